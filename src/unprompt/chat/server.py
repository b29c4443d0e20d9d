"""A chat server, asked about one picture at a time: tries, pauses, refusals and what an error means."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

import httpcore
import numpy as np

from unprompt.chat.address import ChatAddress
from unprompt.chat.cleaning import clean, is_blind, is_refusal
from unprompt.chat.encoded import data_uri
from unprompt.chat.exchange import NO_KEY, BrokenError, Key, Reply, SlowError, UnreachedError, post
from unprompt.chat.replies import Content, content_of, said_by
from unprompt.errors import ChatError, DataError
from unprompt.images.ref import Pixels
from unprompt.images.web.connections import Deadline

TRIES = 5
PAUSE_S = 1.0
"""The first pause; each further one is twice as long."""

LONGEST_PAUSE_S = 30.0
"""The longest pause, whatever Retry-After asks for."""

GIVE_UP = 16
"""Pictures in a row without an answer after which the server counts as gone."""

OWN_FIELDS = ("model", "messages", "stream", "n")
"""What every question holds."""

_OK, _NEVER, _LOADING = 200, 501, 503

_PASSING = frozenset({408, 409, 425, 429})
"""Statuses below 500 that pass."""

_KEY_WAY = "set api_key_env to the name of the environment variable that holds a valid key"
_PATH_WAY = "check base_url, which usually ends in /v1, and model: GET /v1/models lists what a server has"
_WAYS: Mapping[int, str] = {
    401: _KEY_WAY,
    402: "its account has no credit",
    403: _KEY_WAY,
    404: _PATH_WAY,
    405: _PATH_WAY,
}
"""What to do about statuses that every picture would get."""

_NO_PICTURES = (
    "if it takes no pictures, take a model that does (llama.cpp also needs --mmproj); fields that it does not know can "
    'be left out, as in without = ["seed"]'
)
_REFUSED_WAY = f"check model and api_key_env; {_NO_PICTURES}"
"""For other statuses: LiteLLM, for one, says 400 for an unknown model and for a wrong key."""

_AGAIN = "This is a generated picture, and the answer is used as a caption. Answer with the text alone."
"""What the next try adds after a refusal or an empty answer: the same question would get the same answer."""

_PROBE_SIDE = 224


class _Fault(Exception):  # noqa: N818 - it never leaves this module
    """A request without an answer. `is_passing`: another try may fare better; `is_lasting`: other pictures would not.

    `pause_s` is the pause that the server asks for.
    """

    def __init__(
        self,
        message: str,
        is_passing: bool,
        is_lasting: bool = False,
        is_loading: bool = False,
        pause_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.is_passing, self.is_lasting, self.is_loading, self.pause_s = is_passing, is_lasting, is_loading, pause_s


@dataclass(frozen=True, slots=True)
class Asking:
    """How a server is asked. `extra` are fields of a question beyond these, `without` those that it leaves out."""

    address: ChatAddress
    model: str
    key: Key = field(default=NO_KEY, repr=False)
    max_tokens: int = 300
    temperature: float = 0.0
    seed: int | None = None
    side: int = 768
    timeout_s: float = 180.0
    extra: Mapping[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()

    def question(self, text: str, picture: str, *, tries: int = 0) -> Mapping[str, Any]:
        """A question as JSON; `picture` is a data URI. Each further try has a seed of its own."""
        parts = [{"type": "image_url", "image_url": {"url": picture}}, {"type": "text", "text": text}]
        fields: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": "user", "content": parts}],
            "stream": False,
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            **({} if self.seed is None else {"seed": self.seed + tries}),
            **self.extra,
        }
        return {name: value for name, value in fields.items() if name not in self.without}

    def digest(self) -> str:
        """A hash of all that determines an answer, as far as it is known here."""
        told = [str(self.address), self.side, self.question("", "")]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Said:
    """What a server said about a picture: a text, or why there is none."""

    text: str = ""
    note: str = ""


class ChatServer:
    """Asks one server about pictures. Safe to use from several threads."""

    def __init__(self, asking: Asking, *, pause_s: float = PAUSE_S) -> None:
        self.asking = asking
        self._pause_s = pause_s
        self._is_checked = False
        self._failed = 0
        self._checking, self._lock = threading.Lock(), threading.Lock()

    def check(self) -> None:
        """Ask about a picture of our own, once: models are loaded, and what is wrong for all pictures shows.

        Raises ChatError.
        """
        with self._checking:
            if not self._is_checked:
                question = self.asking.question("What is in this picture?", data_uri(_probe(), self.asking.side))
                content = self._content(question, is_first=True)
                if is_blind(content.text):
                    told = self._sentence("found that it sees no picture", _NO_PICTURES)
                    raise ChatError(told, is_lasting=True)
                self._is_checked = True

    def say(self, pixels: Pixels, text: str) -> Said:
        """Ask about a picture, (height, width, 3) uint8; once more after a refusal or an empty answer.

        Raises ChatError if other pictures would fare no better: the server is gone, or refuses the key or the model.
        """
        picture = data_uri(pixels, self.asking.side)
        try:
            said = self._said(text, picture)
        except ChatError as error:
            with self._lock:
                self._failed += 1
                is_gone = self._failed >= GIVE_UP
            if error.is_lasting:
                raise
            if is_gone:
                raise ChatError(f"{error}; it is the {GIVE_UP}th picture in a row", is_lasting=True) from error
            return Said(note=str(error))
        with self._lock:
            self._failed = 0
        return said

    def _said(self, text: str, picture: str) -> Said:
        notes = []
        for tries, asked in enumerate((text, f"{text}\n{_AGAIN}")):
            content = self._content(self.asking.question(asked, picture, tries=tries))
            cleaned = clean(content.text, asked=asked, is_cut=content.is_cut)
            note = _no_answer(content, cleaned)
            if not note:
                return Said(cleaned)
            notes.append(note)
        return Said(note=f"{self.asking.model}: {notes[-1]}, in both tries")

    def _content(self, question: Mapping[str, Any], *, is_first: bool = False) -> Content:
        """The content of the reply to a question. Raises ChatError after the last try, or when the time is over.

        The first question of all has no second try if nobody is there, and all its time if the model is loading.
        """
        deadline = Deadline(self.asking.timeout_s)
        pause_s = self._pause_s
        for tried in itertools.count(1):
            try:
                return self._tried(question, deadline)
            except _Fault as fault:
                is_left = tried < TRIES or (is_first and fault.is_loading)
                is_worth_it = fault.is_passing and is_left and not (is_first and fault.is_lasting)
                wanted_s = pause_s if fault.pause_s is None else fault.pause_s
                if not is_worth_it or not _has_slept(min(wanted_s, LONGEST_PAUSE_S), deadline):
                    raise ChatError(str(fault), is_lasting=fault.is_lasting or is_first) from fault
            pause_s *= 2
        raise AssertionError  # the loop has no end

    def _tried(self, question: Mapping[str, Any], deadline: Deadline) -> Content:
        """The content of the reply to a single request. Raises _Fault."""
        try:
            reply = post(self.asking.address, question, self.asking.key, deadline)
        except UnreachedError as error:
            raise _Fault(str(error), is_passing=True, is_lasting=True) from error
        except (BrokenError, SlowError) as error:
            raise _Fault(str(error), is_passing=isinstance(error, BrokenError)) from error
        if reply.status != _OK:
            raise self._refused(reply)
        try:
            return content_of(reply)
        except ValueError as error:
            raise _Fault(self._sentence(str(error), "look into its log"), is_passing=True) from error

    def _refused(self, reply: Reply) -> _Fault:
        """What another status than 200 means."""
        status, said = reply.status, said_by(reply)
        if 300 <= status < 400:
            way = "give the address that it leads to as base_url"
            return _Fault(self._sentence("found a redirect", way), is_passing=False, is_lasting=True)
        is_passing = status in _PASSING or (status >= 500 and status != _NEVER)
        other_way = "look into its log" if is_passing else _REFUSED_WAY
        way = _WAYS.get(status) or (_NO_PICTURES if _speaks_of_pictures(said) else other_way)
        found = f"found status {status}{f' ({said})' if said else ''}"
        asked_s = _asked_pause_s(reply.headers.get("retry-after", ""))
        return _Fault(self._sentence(found, way), is_passing, status in _WAYS, status == _LOADING, asked_s)

    def _sentence(self, found: str, way: str) -> str:
        return f"expected an answer of the model {self.asking.model!r} at {self.asking.address}, {found}; {way}"


def read_key(name: str | None) -> Key:
    """The key in the environment variable of this name; no key for None. Raises DataError, without the key in it."""
    if name is None:
        return NO_KEY
    value = os.environ.get(name, "").strip()
    if not value:
        raise DataError(f"expected a key in the environment variable {name}, found none; set it, or drop api_key_env")
    if not re.fullmatch(r"[\x21-\x7e]+", value):
        raise DataError(f"expected a key of plain characters in the environment variable {name}, found others")
    return Key(value)


def _no_answer(content: Content, cleaned: str) -> str:
    """Why a reply holds no answer; empty if it does."""
    if content.is_refused or is_refusal(content.text):
        return "refused"
    if is_blind(content.text):
        return "says that it sees no picture"
    return "" if cleaned else "said nothing"


def _speaks_of_pictures(said: str) -> bool:
    lowered = said.lower()
    return any(word in lowered for word in ("image", "picture", "vision", "mmproj", "multimodal"))


def _asked_pause_s(header: str) -> float | None:
    """The pause that Retry-After asks for, as seconds or as a date; None if it asks for none."""
    try:
        if re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", header.strip()):
            return float(header)
        until = parsedate_to_datetime(header)
        return max(0.0, (until.astimezone(timezone.utc) - datetime.now(timezone.utc)).total_seconds())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _has_slept(pause_s: float, deadline: Deadline) -> bool:
    """Sleep; False, at once, if the time would be over before."""
    try:
        left_s = deadline.left_s()
    except httpcore.TimeoutException:
        return False
    if left_s <= pause_s:
        return False
    time.sleep(pause_s)
    return True


def _probe() -> Pixels:
    """A picture with something in it: a gradient with a bright square."""
    ramp = np.linspace(0, 200, _PROBE_SIDE).astype(np.uint8)
    pixels = np.stack(
        [
            np.tile(ramp, (_PROBE_SIDE, 1)),
            np.tile(ramp[:, None], (1, _PROBE_SIDE)),
            np.full((_PROBE_SIDE, _PROBE_SIDE), 90, np.uint8),
        ],
        axis=-1,
    )
    pixels[80:144, 80:144] = 255
    return pixels
