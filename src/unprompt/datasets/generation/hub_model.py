"""Whether a model can come from the hub, found out before torch and diffusers take their seconds."""

from __future__ import annotations

import contextlib
import os

from unprompt.display import printable
from unprompt.models.store.hub_cache import cached_file, is_offline

INDEX = "model_index.json"
"""The file of a pipeline that names its parts."""


def is_hub_name(model: str) -> bool:
    """Whether a model that is no folder is named as the hub does it: OWNER/NAME."""
    return not model.startswith((".", "~", os.sep)) and model.count("/") == 1


def check_within_reach(model: str) -> None:
    """Raise OutOfReachError within seconds if a model has to be fetched from a hub that does not answer.

    One of which some files are cached is left to whoever loads it.
    """
    if os.path.isdir(model) or not is_hub_name(model) or is_offline():
        return
    with contextlib.suppress(ValueError):  # no name for the hub's library, as the loader says
        if cached_file(model, [INDEX]) is None:
            from unprompt.models.store.hub_download import check_reachable

            check_reachable(printable(model))
