"""Addresses and paths: which is which, what may be shown of one, and where its last part begins."""

from __future__ import annotations

import os
import re

from unprompt.display import printable
from unprompt.errors import LocationError

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_USER = re.compile(r"(://)[^/?#]*@")
_SIGNATURE = re.compile(
    r"([?&](?:x-amz-(?:signature|credential|security-token)|x-goog-(?:signature|credential)|"
    r"signature|sig|token|access_token|key|api_key|awsaccesskeyid)=)[^&#]*",
    re.IGNORECASE,
)
_WEB = ("http", "https")
_LOCAL = ("file", "local")
_TRUE = ("1", "true", "yes", "on")
_OFFLINE = ("HF_HUB_OFFLINE", "UNPROMPT_OFFLINE")


def scheme_of(name: str) -> str | None:
    """The scheme of an address, in small letters; None for a path."""
    found = _ADDRESS.match(name)
    return found[1].lower() if found else None


def is_remote(name: str) -> bool:
    """Whether a name is an address in a store. Web addresses have their own reader, and file:// is a path."""
    scheme = scheme_of(name)
    return scheme is not None and scheme not in (*_WEB, *_LOCAL)


def local_path(location: str) -> str:
    """The path that a location without a store means: file:///a/b is /a/b. Raises LocationError for web addresses."""
    scheme = scheme_of(location)
    if scheme in _WEB:
        raise LocationError(
            "bad-url",
            f"expected a folder that can be written, found the web address {shown(location)}; give a local folder, or "
            "one in a store such as s3://BUCKET/DIR",
        )
    return location.partition("://")[2] if scheme in _LOCAL else location


def masked(location: str) -> str:
    """A location without a user, a password or a signature."""
    return location if scheme_of(location) is None else _SIGNATURE.sub(r"\1***", _USER.sub(r"\1***@", location))


def shown(location: str) -> str:
    """A location as messages show it."""
    return printable(masked(location))


def parted(location: str) -> tuple[str, str]:
    """The folder and the name of a file at a path or an address."""
    cut = max(location.rfind("/"), location.rfind(os.sep)) + 1
    return location[:cut], location[cut:]


def is_offline() -> bool:
    """Whether --offline, which sets HF_HUB_OFFLINE, or the environment forbids the network."""
    return any(os.environ.get(name, "").lower() in _TRUE for name in _OFFLINE)
