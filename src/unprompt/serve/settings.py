"""What a service may do and take: the options of `unprompt serve`, as one value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from unprompt.checked import read
from unprompt.errors import DataError

DEFAULT_PORT = 7799


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of `unprompt serve`.

    Sizes are in millions of bytes. `queue` is the number of pictures that may wait, `pictures` the most of one request,
    `held_mb` the most that all requests together may hold. `request_timeout_s` runs from the first byte of the body to
    the answer, `upload_timeout_s` covers the body alone. `threads` is that of `unprompt.load`.
    """

    preset: str = "embedded"
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    bank: str | None = None
    clip: str = "embedded"
    api_key_file: str | None = None
    public: bool = False
    allow_hosts: tuple[str, ...] = ()
    allow_origins: tuple[str, ...] = ()
    allow_urls: bool = False
    queue: int = 128
    pictures: int = 64
    batch_size: int = 8
    threads: int = 0
    workers: int = 1
    body_limit_mb: float = 128.0
    file_limit_mb: float = 32.0
    held_mb: float = 512.0
    pixel_limit_mp: float = 100.0
    memory_limit_mb: float = 950.0
    request_timeout_s: float = 300.0
    upload_timeout_s: float = 30.0
    drain_s: float = 30.0
    log_prompts: bool = False
    offline: bool = False
    allow_missing: bool = False
    quiet: bool = False

    @property
    def most_pictures(self) -> int:
        """The most pictures of one request: never more than the queue can hold."""
        return min(self.pictures, self.queue)

    @property
    def body_limit(self) -> int:
        """The most bytes of a body."""
        return int(self.body_limit_mb * 1_000_000)

    @property
    def file_limit(self) -> int:
        """The most bytes of a picture's file."""
        return int(self.file_limit_mb * 1_000_000)

    @property
    def picture_limits(self) -> Mapping[str, Any]:
        """What one picture may have and take, as `Unprompter.predict` names it."""
        return {"pixel_limit_mp": self.pixel_limit_mp, "memory_limit_mb": self.memory_limit_mb}

    def to_json(self) -> str:
        """The settings as a text, which a worker's environment can hold."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """Read what `to_json` wrote. Raises DataError."""
        try:
            table = json.loads(text)
        except ValueError as error:
            raise DataError(f"expected the settings of a service as JSON, found {error}") from error
        return read(cls, {key: value for key, value in table.items() if value is not None}, "the settings")


def limits_record(settings: Settings) -> Mapping[str, Any]:
    """What clients should know before they send anything."""
    return {
        "pictures": settings.most_pictures,
        "file_mb": settings.file_limit_mb,
        "body_mb": settings.body_limit_mb,
        "pixel_limit_mp": settings.pixel_limit_mp,
        "request_timeout_s": settings.request_timeout_s,
        "addresses": settings.allow_urls,
    }
