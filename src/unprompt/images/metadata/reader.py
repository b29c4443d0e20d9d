"""Which tool wrote into a file, and what: the readers in their order.

Everything in a file is untrusted: sizes, depths and counts are bounded in the modules below, and broken data means
"nothing found".
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from unprompt.images.metadata import (
    a1111,
    comfyui,
    drawthings,
    easydiffusion,
    fooocus,
    invokeai,
    novelai,
    swarmui,
)
from unprompt.images.metadata.fields import Fields, extract
from unprompt.images.metadata.stealth import reveal
from unprompt.prediction import WrittenPrompt

_log = logging.getLogger(__name__)

# The order names the tool. `parameters` is looked at before `prompt` and `prompt` before `Comment`; the tools that put
# JSON of their own into `parameters` are asked before AUTOMATIC1111, whose text has no mark to know it by.
_READERS: tuple[Callable[[Fields], WrittenPrompt | None], ...] = (
    swarmui.read,
    fooocus.read,
    a1111.read,
    easydiffusion.read,
    invokeai.read,
    comfyui.read,
    novelai.read,
    fooocus.read_comment,
    drawthings.read,
)


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
    found = _first_answer(extract(data))
    if found is None and (hidden := reveal(data)) is not None:  # decodes pixels, so it comes last
        found = _first_answer(hidden)
    return found


def _first_answer(fields: Fields) -> WrittenPrompt | None:
    return next((answer for reader in _READERS if (answer := reader(fields)) is not None), None)
