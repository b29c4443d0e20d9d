"""What a chat server's reply says. Nothing in it is taken on trust: servers answer 200 with errors and web pages.

Sources: OpenAI's API reference; vLLM, llama.cpp, Ollama, LM Studio and transformers' `serve` for errors.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unprompt.chat.exchange import Reply
from unprompt.display import one_line, printable

_SAID_LIMIT = 300
_CONTENT_LIMIT = 20_000


@dataclass(frozen=True, slots=True)
class Content:
    """The text of a reply, as it came; `is_refused` says that the server itself marks it as refused, `is_cut` that it
    ends because it was long enough.
    """

    text: str
    is_refused: bool = False
    is_cut: bool = False


def content_of(reply: Reply) -> Content:
    """The text of a reply with status 200. Raises ValueError that says what was found instead."""
    answer = _parsed(reply.body)
    if not isinstance(answer, Mapping):
        raise ValueError(f"found {_kind(reply)}")
    choices = answer.get("choices")
    if not isinstance(choices, Sequence) or isinstance(choices, str) or not choices:
        said = said_by(reply)
        raise ValueError(f"found an answer without choices{f' ({said})' if said else ''}")
    choice = choices[0] if isinstance(choices[0], Mapping) else {}
    message = choice.get("message")
    if not isinstance(message, Mapping):
        raise ValueError("found a choice without a message")
    refusal, reason = message.get("refusal"), choice.get("finish_reason")
    text = _text(message.get("content"))[:_CONTENT_LIMIT]
    is_refused = reason == "content_filter" or (isinstance(refusal, str) and bool(refusal.strip()))
    return Content(text, is_refused, reason == "length")


def said_by(reply: Reply) -> str:
    """What a server says about an error, in a line; empty if it says nothing that people read."""
    answer = _parsed(reply.body)
    said: Any = answer
    for key in ("error", "detail", "message"):
        if isinstance(said, Mapping) and key in said:
            said = said[key]
    if isinstance(said, list):
        said = json.dumps(said, ensure_ascii=False)
    if answer is None and reply.headers.get("content-type", "").startswith("text/plain"):
        said = reply.body[: 4 * _SAID_LIMIT].decode("utf-8", "replace")
    text = printable(one_line(said)) if isinstance(said, str) else ""
    return text if len(text) <= _SAID_LIMIT else f"{text[:_SAID_LIMIT]}..."


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _text(content: Any) -> str:
    """The content as a text: some servers send a list of parts, and None for nothing."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = (part.get("text") if isinstance(part, Mapping) else part for part in parts)
    return "".join(text for text in texts if isinstance(text, str))


def _kind(reply: Reply) -> str:
    if not reply.body.strip():
        return "an empty body"
    if reply.body.lstrip()[:1] == b"<":
        return "a web page; base_url usually ends in /v1"
    return "no JSON, or JSON that is cut off"
