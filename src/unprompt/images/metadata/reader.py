"""Reads the prompt that a generator wrote into a file, by trying the reader of each tool in order.

Everything in a file is untrusted: the modules of this folder limit sizes, depths and counts, and broken data counts as
nothing found.
"""

from __future__ import annotations

import functools
import logging
import pkgutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from unprompt.display import printable
from unprompt.errors import PluginError
from unprompt.images.metadata.fields import Fields, extract
from unprompt.plugins import Plugin, find_plugins
from unprompt.prediction import WrittenPrompt

if TYPE_CHECKING:
    from unprompt.images.metadata.containers.pieces import Data

Reader: TypeAlias = Callable[[Fields], "WrittenPrompt | None"]
"""Returns what a tool wrote into these texts, built by `compose`; None if that tool did not write them."""

READERS = (
    "swarmui:read",
    "civitai:read",
    "tensorart:read",
    "drawthings:read",
    "mflux:read",
    "mochi:read",
    "fooocus:read",
    "a1111:read",
    "easydiffusion:read",
    "invokeai:read",
    "comfyui.reading:read",
    "novelai:read",
    "fooocus:read_comment",
    "spaces:read",
    "midjourney:read",
    "blackforest:read",
    "plain:read",
    "iptc_source:read",
    "c2pa:read",
)
"""Functions of the modules in this folder. The first that finds a prompt names the tool, so the order matters.

Tools that write an infotext, a graph or JSON of common keys beside their own mark come before the readers of these. A
reader whose text has the least distinguishing mark comes last.
"""

GROUP = "unprompt.metadata"
"""The entry point group for readers of other packages, which are tried if no built-in one finds a prompt."""

_faults: dict[str, PluginError] = {}
"""The first error of each package's readers."""

_log = logging.getLogger(__name__)


def read(data: Data) -> WrittenPrompt | None:
    """Read what the generator wrote into a picture file; None if nothing is found.

    `data` is the whole file, or a `mmap.mmap` of it; its format is recognised by content. No bytes raise an exception.
    Every text but `raw` is free of control characters and terminal escapes, and white space in the prompts is single
    spaces.
    """
    answer = inspect(data)
    return answer if answer is not None and answer.prompt else None


def inspect(data: Data) -> WrittenPrompt | None:
    """Like `read`, but also returns what a tool wrote without a prompt: its name, settings, models."""
    try:
        return find(data)
    except Exception:  # a bug in reading a hostile file must not cost the picture its prediction
        _log.debug("the metadata of a picture could not be read", exc_info=True)
        return None


def find(data: Data) -> WrittenPrompt | None:
    """Like `inspect`, but without catching exceptions: any that this raises is a bug, which the tests look for."""
    looked_at = []
    wordless = None
    for fields in _places(data):
        if not fields:
            continue
        for place in READERS:
            answer = _reader(place)(fields)
            if answer is not None and answer.prompt:
                return answer
            wordless = wordless or answer
        looked_at.append(fields)
    if not looked_at:  # most pictures hold no text or a known one, and finding other packages takes time
        return None
    answers = (_foreign_answer(*foreign, fields) for fields in looked_at for foreign in _foreign_readers())
    return next((answer for answer in answers if answer is not None), wordless)


def _places(data: Data) -> Iterator[Fields]:
    yield extract(data)
    # Only now, for most files say something without.
    from unprompt.images.metadata.stealth import reveal

    if (hidden := reveal(data)) is not None:  # decodes pixels, so it comes last
        yield hidden


@functools.cache
def _reader(place: str) -> Reader:
    """A reader, imported when the ones before it have found nothing."""
    found: Reader = pkgutil.resolve_name(f"{__package__}.{place}")
    return found


@functools.cache
def _foreign_readers() -> tuple[tuple[Plugin, Reader], ...]:
    """The readers of other packages that can be imported."""
    found = []
    for plugin in find_plugins(GROUP).values():
        try:
            with plugin.blamed(may_raise=(PluginError,)):
                found.append((plugin, plugin.load()))
        except PluginError as error:
            _warn(plugin, error)
    return tuple(found)


def _foreign_answer(plugin: Plugin, reader: Reader, fields: Fields) -> WrittenPrompt | None:
    """What another package's reader finds; None if it fails."""
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
    """Log a package's first error only, also when several threads read pictures."""
    if _faults.setdefault(plugin.package, error) is error:
        _log.warning("%s; what it cannot read counts as nothing found", printable(str(error)))
