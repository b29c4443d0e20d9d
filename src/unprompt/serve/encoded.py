"""Pictures inside JSON: base64 as it is, data URIs, and addresses where these are allowed."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

from unprompt.errors import PictureError
from unprompt.images.web.address import WebAddress
from unprompt.images.web.limits import WebLimits
from unprompt.prediction import Failure
from unprompt.serve.bodies import Upload, too_large_file, too_many
from unprompt.serve.errors import Refusal
from unprompt.serve.settings import Settings

Sent: TypeAlias = "Upload | Failure"
"""A picture that arrived, or why one at an address did not."""

_DATA = re.compile(r"\s*data:([a-z0-9.+/-]{0,100})((?:;[^,;]{0,200}){0,8}),", re.IGNORECASE)
_ADDRESS = re.compile(r"\s*https?://", re.IGNORECASE)
_URL_TIMEOUT_S = 15.0
_DOWNLOADS = ThreadPoolExecutor(8, "unprompt-serve-download")
"""Slow servers hold a few threads of their own, and no batch."""


async def sent_pictures(texts: Sequence[Any], settings: Settings, param: str) -> list[Sent]:
    """The pictures that some texts of a JSON body are, in order; `param` names them in refusals.

    Raises Refusal: 400 (no text, no base64), 403 (an address, where none is allowed), 413. An address that cannot be
    read is a Failure among the others.
    """
    if len(texts) > settings.most_pictures:
        raise too_many(settings)
    found = []
    for position, text in enumerate(texts):
        name = f"{param}[{position}]" if len(texts) > 1 else param
        found.append(_sent(text, position, len(texts), settings, name))
    return [await picture if asyncio.isfuture(picture) else picture for picture in found]


async def sent_picture(text: Any, settings: Settings, param: str) -> Sent:
    """The one picture that a text is. Raises as `sent_pictures` does."""
    (picture,) = await sent_pictures([text], settings, param)
    return picture


def _sent(text: Any, position: int, count: int, settings: Settings, param: str) -> Any:
    if not isinstance(text, str):
        raise Refusal(400, "expected a picture as base64 or a data URI, found no text; encode the file", param=param)
    if _ADDRESS.match(text):
        return _begin_download(text.strip(), settings, param)
    source = "picture" if count == 1 else f"picture {position}"
    return Upload(source, decoded(text, settings, param))


def decoded(text: str, settings: Settings, param: str) -> bytes:
    """The bytes of base64 or of a data URI. Raises Refusal (400, 413)."""
    head = _DATA.match(text)
    if head is not None and not head[2].lower().endswith(";base64"):
        raise Refusal(400, "expected a data URI in base64, found another encoding; use ;base64,", param=param)
    start = head.end() if head is not None else 0
    if (len(text) - start) * 3 // 4 > settings.file_limit + 1024:
        raise too_large_file(settings, param)
    encoded = "".join(text[start:].split()) if _has_space(text) else text[start:]
    encoded = encoded.replace("-", "+").replace("_", "/") if "-" in encoded or "_" in encoded else encoded
    try:
        data = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise Refusal(
            400, "expected a picture as base64 or a data URI, found other characters; encode the file", param=param
        ) from None
    if len(data) > settings.file_limit:
        raise too_large_file(settings, param)
    if not data:
        raise Refusal(
            400, "expected a picture as base64 or a data URI, found an empty one; encode the file", param=param
        )
    return data


def _has_space(text: str) -> bool:
    return any(space in text for space in "\n\r\t ")


def _begin_download(url: str, settings: Settings, param: str) -> Any:
    if not settings.allow_urls:
        raise Refusal(
            403,
            "expected a picture, found an address; this service reads none unless it is started with --allow-urls; "
            "send the picture itself",
            kind="addresses-forbidden",
            param=param,
        )
    limits = WebLimits(timeout_s=_URL_TIMEOUT_S, limit_mb=settings.file_limit_mb, offline=settings.offline)
    return asyncio.get_running_loop().run_in_executor(_DOWNLOADS, _downloaded, url, limits)


def _downloaded(url: str, limits: WebLimits) -> Sent:
    shown = re.sub("//[^/?#]*@", "//***@", url)[:2000]
    try:
        return Upload(shown, WebAddress(url, limits).read())
    except PictureError as error:
        return Failure(shown, error.kind, str(error))
