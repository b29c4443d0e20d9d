"""OpenAI's dialect: /v1/chat/completions with pictures, /v1/embeddings of texts and of pictures, /v1/models.

The answer to a chat is the prompt of its last message's pictures, one line each. What the text of a message asks for is
not obeyed, and the response says so: see `NOTE`. Sources: OpenAI's API reference; Infinity for `modality`; Ollama for
`image_url` as a plain text.
"""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from unprompt.output.jsonl import to_json
from unprompt.prediction import EMBEDDING_SIZE, STYLES, Vector
from unprompt.serve.bodies import read_json
from unprompt.serve.encoded import Sent, sent_pictures
from unprompt.serve.errors import Refusal
from unprompt.serve.exchange import Deadline, answers
from unprompt.serve.native import check_texts, prediction_record, predictions
from unprompt.serve.responses import json_response
from unprompt.serve.service import TEXTS_LIMIT, Asked, Encoded, Service
from unprompt.serve.settings import limits_record

NOTE = "X-Unprompt-Note"
"""The header that says that a message's text was not obeyed."""

_OWN_NAME = "unprompt"
_MESSAGES_LIMIT = 1000
_PARTS_LIMIT = 1000


async def models(request: Request, service: Service) -> Response:
    """The preset, as the one model; with it, what a client should know before it sends anything."""
    return json_response(
        {
            "object": "list",
            "data": [_model(service)],
            "limits": limits_record(service.settings),
            "styles": [] if service.unprompter.preset.wording is None else list(STYLES),
            "bank": {"name": service.bank.folder.name, "prompts": len(service.bank)},
        }
    )


async def model(request: Request, service: Service) -> Response:
    """The one model."""
    return json_response(_model(service))


async def chat(request: Request, service: Service) -> Response:
    """The prompt of the pictures in the last message that has any."""
    service.check_ready()
    service.pictures.check_room(1)
    deadline = Deadline(service.settings.request_timeout_s)
    with service.held.reservation() as reservation:
        asked = await read_json(request, service.settings, reservation)
        name = _checked_model(asked, service)
        if asked.get("n") not in (None, 1):
            raise Refusal(400, "expected n to be 1, found more; a picture has one prompt", param="n")
        pictures, text = _last_pictures(asked.get("messages"))
        sent = await sent_pictures(pictures, service.settings, "messages")
        asked = {"stream": asked.get("stream"), "stream_options": asked.get("stream_options")}
        found = await predictions(request, service, Asked(), sent, deadline)
    records = [prediction_record(answer, 5) for answer in found]
    for record in records:
        service.telemetry.pictures.labels(record["origin"]).inc()
    content = "\n".join(answer.prompt for answer in found)
    usage = {"prompt_tokens": 0, "completion_tokens": len(content.split()), "total_tokens": len(content.split())}
    headers = {NOTE: "the text of the message was not obeyed"} if text else {}
    head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": name}
    if asked["stream"] is True:
        return _streamed(head, content, usage, _wants_usage(asked), headers)
    return json_response(
        {
            **head,
            "object": "chat.completion",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": content},
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": usage,
            "unprompt": records,
        },
        headers=headers,
    )


async def embeddings(request: Request, service: Service) -> Response:
    """Unit vectors of texts, or of pictures with `modality` "image": one space."""
    service.check_ready()
    deadline = Deadline(service.settings.request_timeout_s)
    with service.held.reservation() as reservation:
        asked = await read_json(request, service.settings, reservation)
        name = _checked_model(asked, service)
        _check_size(asked)
        is_base64 = _is_base64(asked)
        inputs = _inputs(asked)
        if asked.get("modality", "text") == "image":
            sent = await sent_pictures(inputs, service.settings, "input")
            asked = {}
            vectors = await _picture_vectors(request, service, sent, deadline)
        else:
            check_texts(inputs, "input")
            vectors = await answers(request, service.light, Encoded(), inputs, deadline)
    data = [
        {"object": "embedding", "index": index, "embedding": _encoded(vector) if is_base64 else vector.tolist()}
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": 0, "total_tokens": 0}
    return json_response({"object": "list", "data": data, "model": name, "usage": usage})


def _model(service: Service) -> Mapping[str, Any]:
    return {
        "id": service.unprompter.preset.name,
        "object": "model",
        "created": 0,
        "owned_by": "unprompt",
        "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
        "description": service.unprompter.preset.description,
        "members": [member.name for member in service.unprompter.members],
    }


def _checked_model(asked: Mapping[str, Any], service: Service) -> str:
    """The preset's name. Raises Refusal (404) if another model is asked for."""
    own = service.unprompter.preset.name
    if asked.get("model") in (None, "", own, _OWN_NAME):
        return own
    raise Refusal(
        404,
        f"expected the model {own!r}, found another; GET /v1/models lists what this service has",
        kind="model-not-found",
        param="model",
    )


def _last_pictures(messages: Any) -> tuple[list[Any], str]:
    """The pictures of the last message that has any, and the text of all. Raises Refusal (400)."""
    if not isinstance(messages, list) or len(messages) > _MESSAGES_LIMIT:
        raise Refusal(400, "expected messages as a list, found something else or too many", param="messages")
    last: list[Any] = []
    texts = []
    for message in messages:
        pictures, text = _parts(message)
        last = pictures or last
        texts.append(text)
    if not last:
        raise Refusal(
            400,
            "expected a picture in a message, found none; send a part of the type image_url with a data URI",
            param="messages",
        )
    return last, " ".join(filter(None, texts))


def _parts(message: Any) -> tuple[list[Any], str]:
    """The pictures and the text of a message; some clients put `image_url` beside the content."""
    if not isinstance(message, dict):
        raise Refusal(400, "expected each message to be an object, found something else", param="messages")
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    if len(parts) > _PARTS_LIMIT:
        raise Refusal(413, f"expected at most {_PARTS_LIMIT:,} parts in a message, found more", param="messages")
    pictures = [_address(message["image_url"])] if "image_url" in message else []
    texts = [content] if isinstance(content, str) else []
    for part in parts:
        if isinstance(part, dict) and "image_url" in part:
            pictures.append(_address(part["image_url"]))
        elif isinstance(part, dict) and isinstance(part.get("text"), str):
            texts.append(part["text"])
    return pictures, " ".join(texts).strip()


def _address(image_url: Any) -> Any:
    return image_url.get("url") if isinstance(image_url, dict) else image_url


def _wants_usage(asked: Mapping[str, Any]) -> bool:
    options = asked.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def _streamed(
    head: Mapping[str, Any], content: str, usage: Mapping[str, Any], with_usage: bool, headers: Mapping[str, str]
) -> Response:
    """The answer as server-sent events: it comes at once, in as many pieces as clients expect."""
    chunk = {**head, "object": "chat.completion.chunk"}
    deltas = [
        {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None},
        {"index": 0, "delta": {"content": content}, "finish_reason": None},
        {"index": 0, "delta": {}, "finish_reason": "stop"},
    ]
    events = [{**chunk, "choices": [delta]} for delta in deltas]
    if with_usage:
        events.append({**chunk, "choices": [], "usage": usage})
    lines = "".join(f"data: {to_json(event)}\n\n" for event in events) + "data: [DONE]\n\n"
    return Response(lines.encode(), 200, {"Cache-Control": "no-cache", **headers}, media_type="text/event-stream")


def _inputs(asked: Mapping[str, Any]) -> list[Any]:
    given = asked.get("input")
    inputs = [given] if isinstance(given, str) else given
    if not isinstance(inputs, list) or not inputs or not all(isinstance(text, str) for text in inputs):
        raise Refusal(
            400,
            "expected input to be a text or a list of texts, found something else; tokens are not taken",
            param="input",
        )
    if len(inputs) > TEXTS_LIMIT:
        raise Refusal(413, f"expected at most {TEXTS_LIMIT} inputs, found {len(inputs):,}; send fewer", param="input")
    if asked.get("modality", "text") not in ("text", "image"):
        raise Refusal(400, "expected modality to be text or image, found another", param="modality")
    return inputs


def _check_size(asked: Mapping[str, Any]) -> None:
    if asked.get("dimensions") not in (None, EMBEDDING_SIZE):
        raise Refusal(400, f"expected dimensions to be {EMBEDDING_SIZE}, found another number", param="dimensions")


def _is_base64(asked: Mapping[str, Any]) -> bool:
    encoding = asked.get("encoding_format") or "float"
    if encoding not in ("float", "base64"):
        raise Refusal(400, "expected encoding_format to be float or base64, found another", param="encoding_format")
    return bool(encoding == "base64")


async def _picture_vectors(
    request: Request, service: Service, sent: Sequence[Sent], deadline: Deadline
) -> list[Vector]:
    found = await predictions(request, service, Asked(text=False), sent, deadline)
    for answer in found:
        service.telemetry.pictures.labels(answer.origin).inc()
    return [answer.vector for answer in found]


def _encoded(vector: Vector) -> str:
    return base64.b64encode(np.asarray(vector, "<f4").tobytes()).decode("ascii")
