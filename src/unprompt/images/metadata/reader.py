"""Which tool wrote into a file, and what: the readers in their order.

Everything in a file is untrusted: sizes, depths and counts are bounded in the modules below, and broken data means
"nothing found".
"""

from __future__ import annotations

import functools
import logging
import pkgutil
from collections.abc import Callable, Iterator
from typing import TypeAlias

from unprompt.display import printable
from unprompt.errors import PluginError
from unprompt.images.metadata.fields import Fields, extract
from unprompt.images.metadata.stealth import reveal
from unprompt.plugins import Plugin, find_plugins
from unprompt.prediction import WrittenPrompt

Reader: TypeAlias = Callable[[Fields], "WrittenPrompt | None"]
"""What a tool wrote into these texts; None where they are none of that tool's. `compose` makes the answer."""

READERS = (
    "swarmui:read",
    "fooocus:read",
    "a1111:read",
    "easydiffusion:read",
    "invokeai:read",
    "comfyui:read",
    "novelai:read",
    "fooocus:read_comment",
    "drawthings:read",
)
"""Functions of the modules in this folder. The first that answers names the tool, so the order matters.

`parameters` is looked at before `prompt` and `prompt` before `Comment`; the tools that put JSON of their own into
`parameters` are asked before AUTOMATIC1111, whose text has no mark to know it by.
"""

GROUP = "unprompt.metadata"
"""The entry points of other packages' readers, which are asked where none of ours finds a prompt."""

_faults: dict[str, PluginError] = {}
"""The first fault of each package's readers."""

_log = logging.getLogger(__name__)


def read(data: bytes) -> WrittenPrompt | None:
    """What the generator wrote into a picture file, or None.

    `data` is the whole file: PNG, JPEG, WebP, TIFF or AVIF. Nothing is raised for any bytes. Control characters and
    terminal escapes are gone from every text but `raw`, and runs of white space in the prompts are one space.
    """
    try:
        return find(data)
    except Exception:  # a fault of ours in reading a hostile file must not cost the picture its prediction
        _log.debug("the metadata of a picture could not be read", exc_info=True)
        return None


def find(data: bytes) -> WrittenPrompt | None:
    """As `read`, without the net under it: whatever this raises is a fault of ours, and the tests look for it here."""
    looked_at = []
    for fields in _places(data):
        if fields.text or fields.exif or fields.xmp:
            answer = next((answer for reader in _readers() if (answer := reader(fields)) is not None), None)
            if answer is not None:
                return answer
            looked_at.append(fields)
    if not looked_at:  # most pictures hold no text, or one of ours, and other packages take time to look up
        return None
    answers = (_foreign_answer(*foreign, fields) for fields in looked_at for foreign in _foreign_readers())
    return next((answer for answer in answers if answer is not None), None)


def _places(data: bytes) -> Iterator[Fields]:
    yield extract(data)
    if (hidden := reveal(data)) is not None:  # decodes pixels, so it comes last
        yield hidden


@functools.cache
def _readers() -> tuple[Reader, ...]:
    return tuple(pkgutil.resolve_name(f"{__package__}.{place}") for place in READERS)


@functools.cache
def _foreign_readers() -> tuple[tuple[Plugin, Reader], ...]:
    """Those of other packages that can be imported."""
    found = []
    for plugin in find_plugins(GROUP).values():
        try:
            with plugin.blamed(may_raise=(PluginError,)):
                found.append((plugin, plugin.load()))
        except PluginError as error:
            _warn(plugin, error)
    return tuple(found)


def _foreign_answer(plugin: Plugin, reader: Reader, fields: Fields) -> WrittenPrompt | None:
    """What another package's reader finds; nothing where it fails."""
    try:
        with plugin.blamed(may_raise=()):
            answer: object = reader(fields)
            if answer is None or isinstance(answer, WrittenPrompt):
                return answer
            raise TypeError(f"it answered with a {type(answer).__name__}, not a WrittenPrompt")
    except PluginError as error:
        _warn(plugin, error)
        return None


def _warn(plugin: Plugin, error: PluginError) -> None:
    """Says once that a package's reader fails; pictures are read by several threads."""
    if _faults.setdefault(plugin.package, error) is error:
        _log.warning("%s; what it cannot read counts as nothing found", printable(str(error)))
