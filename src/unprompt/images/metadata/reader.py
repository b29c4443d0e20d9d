"""Reads the prompt that a generator wrote into a file, by trying the reader of each tool in order.

Everything in a file is untrusted: the modules of this folder limit sizes, depths and counts, and broken data counts as
nothing found.
"""

from __future__ import annotations

import functools
import logging
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
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

READERS: Mapping[str, tuple[str, ...]] = {
    "swarmui:read": ("sui_image_params",),
    "civitai:read": ("extraMetadata",),
    "tensorart:read": ("generation_data",),
    "drawthings:read": ("Draw Things", '"uc"'),
    "mflux:read": ("mflux", "MFLUX"),
    "mochi:read": ("Include in Image",),
    "fooocus:read": ("ooocus", "base_model", "erformance", "full_prompt", "real_prompt"),
    "a1111:read": ("parameters", "Steps:", "Negative prompt:", "postprocessing"),
    "easydiffusion:read": ("num_inference_steps", "sampler_name", "iffusion", "Guidance Scale"),
    "invokeai:read": ("invokeai_metadata", "sd-metadata", "Dream", "dream"),
    "comfyui.reading:read": ("class_type", "workflow", "nodes"),
    "novelai:read": ("NovelAI", '"uc"'),
    "fooocus:read_comment": ("negative_prompt", "base_model", "erformance", "full_prompt", "real_prompt"),
    "spaces:read": ("rompt",),
    "midjourney:read": ("Job ID:", "--", "\u2014", "\u2013"),
    "blackforest:read": ("Black Forest Labs",),
    "plain:read": ("rompt",),
    "iptc_source:read": ("DigitalSourceType", "AIPromptInformation"),
    "c2pa:read": (),
}
"""Functions of the modules in this folder, each with texts of which one occurs in all that it can read, if there are.

The first that finds a prompt names the tool, so the order matters. Tools that write an infotext, a graph or JSON of
common keys beside their own mark come before the readers of these. A reader whose text has the least distinguishing
mark comes last.
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
        for reader in _readers(fields):
            answer = reader(fields)
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


def _readers(fields: Fields) -> Iterator[Reader]:
    """Yield the readers that could find something; their modules are imported one by one, as they are needed."""
    places = (fields.text, fields.exif, fields.xmp, fields.iptc)
    texts = chain.from_iterable(chain.from_iterable(place.items()) for place in places)
    # A workflow is large, and what it draws is for ComfyUI's reader alone.
    workflow = fields.text.get("workflow")
    said = "\n".join(text for text in texts if text is not workflow)
    for place, marks in READERS.items():
        if not marks or any(mark in said for mark in marks):
            yield reader_at(place)


@functools.cache
def reader_at(place: str) -> Reader:
    """Import the reader at a place of `READERS`."""
    reader: Reader = pkgutil.resolve_name(f"{__package__}.{place}")
    return reader


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
