"""Two-tower models by name."""

from __future__ import annotations

from typing import Any

from unprompt.errors import DataError, needing
from unprompt.models.store.weights import HUB
from unprompt.towers import embedded
from unprompt.towers.two_tower import TwoTower


def open_towers(name: str, *, weights: str = HUB, threads: int = 0, device: Any = None) -> TwoTower:
    """The embedded pair ("embedded"), or a model of open_clip by `architecture.tag`, such as ViT-L-14.openai.

    `weights` of the latter are those of the tag ("hub", from its cache or, where the network is allowed, the hub), a
    safetensors file of the whole model or a folder with one, or "random"; `device` is where it runs, as torch names it;
    None: a GPU where there is one.

    Raises UnknownNameError with the nearest names, MissingExtraError without the extra [torch]; ModelError for weights
    that cannot be had, DataError for those of another model, both when they are first needed.
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
