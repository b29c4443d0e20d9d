"""A chat server as a member, the user's own or another: what it says about a picture is its vote."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from unprompt.chat.address import ChatAddress, read_address
from unprompt.chat.exchange import check_connection
from unprompt.chat.instructions import Instruction, read_instruction, values_of
from unprompt.chat.server import OWN_FIELDS, Asking, ChatServer, Said, read_key
from unprompt.checked import Bounds, Length, read, read_both
from unprompt.errors import DataError, ModelError
from unprompt.images.decode import Picture
from unprompt.members.kinds import find_kind, needs_of, open_member
from unprompt.members.member import Member, MemberKind, MemberSpec
from unprompt.models.store.needs import Need, NeededFile
from unprompt.prediction import Vote
from unprompt.progress import Step

_EXTRA_LIMIT = 10_000
_LICENCE = "its model's own"


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Which server is asked, for what and how.

    `tags` is a tagger, {model = NAME, ...}, or a member of another `kind`, whose text fills the instruction's {tags}.
    `api_key_env` names the environment variable that holds the key; the key itself stands in no preset. `instruction`
    is a name or a .txt file. `side` is the longer side, in pixels, to which a picture is reduced. `timeout_s` is the
    time for one picture with all tries. `extra` are fields of a question beyond these, such as {top_k = 1}; `without`
    names those of ours that a server does not take.
    """

    base_url: str = ""
    api_key_env: str | None = None
    instruction: Annotated[str, Length(1000)] = "prompt"
    max_tokens: Annotated[int, Bounds(1, 32_768)] = 300
    temperature: Annotated[float, Bounds(0, 2)] = 0.0
    seed: Annotated[int, Bounds(0, 2**31 - 2)] | None = None
    concurrency: Annotated[int, Bounds(1, 64)] = 4
    side: Annotated[int, Bounds(64, 4096)] = 768
    timeout_s: Annotated[float, Bounds(1, 3600)] = 180.0
    tags: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        read_address(self.base_url)
        if self.api_key_env is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,99}", self.api_key_env):
            # Not repeated: it may be the key itself.
            raise DataError("expected api_key_env to be the name of an environment variable, found something else")
        for name in (*OWN_FIELDS, "max_tokens", "temperature", "seed"):
            if name in self.extra and name not in self.without:
                raise DataError(f"expected extra to hold other fields, found {name!r}, which is set without it")

        try:
            told = json.dumps(dict(self.extra))
        except (TypeError, ValueError, RecursionError) as error:
            raise DataError(f"expected extra to hold what JSON can say: {error}") from error
        if len(told) > _EXTRA_LIMIT:
            raise DataError(f"expected extra of at most {_EXTRA_LIMIT:,} characters, found {len(told):,}")

    @property
    def address(self) -> ChatAddress:
        """The server's address."""
        return read_address(self.base_url)


class ServerMember:
    """Votes with a server's texts: votes without a vector, and without a text where there is no answer.

    The vote's `note` then says why. `concurrency` questions at most are asked at the same time.
    """

    def __init__(
        self,
        server: ChatServer,
        instruction: Instruction,
        *,
        name: str,
        weight: float,
        concurrency: int,
        tagger: Member | None = None,
    ) -> None:
        self.name = name
        self.server, self.instruction, self.tagger = server, instruction, tagger
        self._weight = weight
        self._concurrency = concurrency
        self._askers: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()

    @classmethod
    def of(cls, spec: MemberSpec[ServerOptions], threads: int = 0) -> ServerMember:
        """Make the member that a preset describes; `threads` are those of its tagger.

        Raises DataError for a missing key, what `read_instruction` raises, and what opening the tagger raises.
        """
        options = spec.options
        instruction = read_instruction(options.instruction)
        asking = Asking(
            options.address,
            spec.model,
            read_key(options.api_key_env),
            options.max_tokens,
            options.temperature,
            options.seed,
            options.side,
            options.timeout_s,
            options.extra,
            options.without,
        )
        tagger = _tagger_spec(options)
        return cls(
            ChatServer(asking),
            instruction,
            name=spec.name,
            weight=spec.weight,
            concurrency=options.concurrency,
            tagger=None if tagger is None else open_member(tagger, threads),
        )

    def identities(self) -> Mapping[str, str]:
        asking = self.server.asking
        digest = hashlib.sha256(f"{asking.digest()} {self.instruction.text}".encode()).hexdigest()
        own = {f"{asking.model} ({self.instruction.name})": digest[:12]}
        return own if self.tagger is None else {**self.tagger.identities(), **own}

    @property
    def shorter_side(self) -> int | None:
        sides = [self.server.asking.side, *([self.tagger.shorter_side] if self.tagger is not None else [])]
        return None if None in sides else max(side for side in sides if side is not None)

    def prepare(self, step: Step) -> None:
        """Ask one question, so that the model is loaded, and what is wrong for all pictures shows before them."""
        with step(f"{self.name}: {self.server.asking.model}", 1, "question") as advance:
            self.server.check()
            advance(1)

    def unload(self) -> None:
        """Free the tagger's memory; the rest is the server's own."""
        if self.tagger is not None:
            self.tagger.unload()

    def vote(self, pictures: Sequence[Picture]) -> list[Vote]:
        """Return one text per picture; none where the server refused or failed. Raises ChatError if it is gone."""
        self.server.check()
        tagged = [None] * len(pictures) if self.tagger is None else self.tagger.vote(pictures)
        said = self._pool().map(self._said, pictures, tagged)
        return [Vote(self.name, self._weight, texts=(each.text,) if each.text else (), note=each.note) for each in said]

    def _said(self, picture: Picture, tagged: Vote | None) -> Said:
        tags = "" if tagged is None else next(iter(tagged.texts), "")
        return self.server.say(picture.pixels, self.instruction.about({**values_of(picture), "tags": tags}))

    def _pool(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._askers is None:
                self._askers = ThreadPoolExecutor(self._concurrency, thread_name_prefix="unprompt-ask")
            return self._askers


def needs(spec: MemberSpec[ServerOptions]) -> list[Need]:
    """The server, which is asked for a connection and nothing else, the key, and what the tagger needs.

    Raises what `read_instruction` raises, so that a mistake in it shows before a server that is not there.
    """
    options = spec.options
    read_instruction(options.instruction)
    address = options.address
    place = Path(str(address).partition("://")[2])
    try:
        check_connection(address)
        fault = None
    except ModelError as error:
        fault = error
    server = NeededFile(str(address), place, here=fault is None)
    found = [Need(f"server of {spec.model}", (server,), licence=_LICENCE, fault=fault)]
    if options.api_key_env is not None:
        found.append(_key_need(options.api_key_env))
    tagger = _tagger_spec(options)
    return found if tagger is None else [*found, *needs_of(tagger)]


def _key_need(name: str) -> Need:
    try:
        read_key(name)
        fault = None
    except DataError as error:
        fault = error
    return Need(f"key {name}", (NeededFile(name, Path("environment") / name, here=fault is None),), fault=fault)


@dataclass(frozen=True, slots=True)
class _Tagger:
    model: str
    kind: str = "tagger"


@dataclass(frozen=True, slots=True)
class _AnyTagger(_Tagger):
    """The keys that decide which others there may be."""

    other_keys = True


def _tagger_spec(options: ServerOptions) -> MemberSpec[Any] | None:
    """The member whose text fills {tags}. Raises as reading a preset does."""
    if not options.tags:
        return None
    where = "tags of the member server"
    kind = find_kind(read(_AnyTagger, options.tags, where).kind, where)
    tagger, own = read_both(_Tagger, kind.options, options.tags, where)
    return MemberSpec("tags", tagger.kind, tagger.model, 1.0, own)


KIND = MemberKind(ServerMember.of, ServerOptions, needs, offers_texts=True)
