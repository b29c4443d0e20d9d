"""Keys that let a client in: named, in a file, compared in constant time.

The file has a line for each key: its name, white space or a colon, the key. Empty lines and those that begin with "#"
are passed over.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from pathlib import Path

from unprompt.display import printable
from unprompt.errors import DataError

SHORTEST = 16
"""The fewest characters of a key."""

_LINE = re.compile(r"([\w.@-]{1,64})(?:\s*:\s*|\s+)(\S+)")


class Keys:
    """The keys of a service, by name. Only their hashes are kept."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._hashes = {name: _hash(key) for name, key in keys.items()}

    def __bool__(self) -> bool:
        return bool(self._hashes)

    @classmethod
    def read(cls, file: str | Path | None) -> Keys:
        """The keys in a file; none without a file. Raises DataError, which repeats no key."""
        return cls({} if file is None else _read(Path(file)))

    def name_of(self, key: str) -> str | None:
        """The name of a key, None if it is none. Takes the same time for whatever key."""
        asked = _hash(key)
        found = None
        for name, known in self._hashes.items():
            if hmac.compare_digest(asked, known):
                found = name
        return found

    def let_in(self, headers: Mapping[str, str]) -> bool:
        """Whether a request's headers have a key: Authorization (Bearer, or Basic's password), or X-API-Key."""
        kind, _, value = headers.get("authorization", "").partition(" ")
        given = headers.get("x-api-key", "")
        if kind.lower() == "bearer":
            given = value.strip()
        elif kind.lower() == "basic":
            given = _password(value.strip())
        return self.name_of(given) is not None


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _password(encoded: str) -> str:
    try:
        decoded = base64.b64decode(encoded, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return ""
    return decoded.partition(":")[2]


def _read(file: Path) -> dict[str, str]:
    shown = printable(str(file))
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"expected a file of keys at {shown}, found: {error.strerror}; check the path") from error
    except UnicodeDecodeError as error:
        raise DataError(f"expected a file of keys in UTF-8 at {shown}, found other bytes") from error
    keys: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None or len(match[2]) < SHORTEST or match[1] in keys:
            raise DataError(
                f"{shown}, line {number}: expected a name of its own and a key of at least {SHORTEST} characters, such "
                "as 'alice 5f0c...'; make one with: python -c 'import secrets; print(secrets.token_urlsafe())'"
            )
        keys[match[1]] = match[2]
    if not keys:
        raise DataError(f"expected keys in {shown}, found none; add a line: NAME KEY")
    return keys
