"""Opens two-tower models by name."""

from __future__ import annotations

from typing import Any

from unprompt.errors import DataError, needing
from unprompt.models.store.weights import HUB
from unprompt.towers import embedded
from unprompt.towers.two_tower import TwoTower


def open_towers(name: str, *, weights: str = HUB, threads: int = 0, device: Any = None) -> TwoTower:
    """Open the embedded pair ("embedded"), or an open_clip model by `architecture.tag`, such as ViT-L-14.openai.

    For the latter, `weights` is "hub" (those of the tag, downloaded if necessary and allowed), the path of a
    safetensors file of the whole model or of a folder with one, or "random"; `device` is torch's name of the device
    (default: a GPU if available).

    Raises UnknownNameError with the nearest names, MissingExtraError without the extra [torch]. Weights raise
    ModelError if they are not available, DataError if they belong to another model, when they are first needed.
    """
    if name == embedded.NAME:
        if weights != HUB:
            raise DataError(
                f"the embedded models have their own weights, found {weights!r} for them; name a --clip model"
            )
        return embedded.EmbeddedPair(threads)
    with needing("torch", f"the model {name}"):
        from unprompt.towers.open_clip import OpenClipTowers
    return OpenClipTowers(name, weights=weights, device=device)
