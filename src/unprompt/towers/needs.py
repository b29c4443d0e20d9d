"""What a two-tower model needs on disk."""

from __future__ import annotations

from pathlib import Path

from unprompt.errors import ModelError, UnknownNameError, needing
from unprompt.models.store.needs import Need, file_here, file_need, folder_need, hub_need
from unprompt.models.store.published_models import PublishedFile, PublishedModel, published_models
from unprompt.models.store.weights import HUB, RANDOM
from unprompt.towers import embedded

_SAFETENSORS = ".safetensors"


def towers_need(name: str, weights: str) -> Need:
    """The need for an open_clip model, `architecture.tag`; `weights` are as for `open_towers`.

    Raises UnknownNameError for a name that open_clip does not know, MissingExtraError if open_clip is not installed.
    """
    name = name if "." in name else name.replace("/", ".", 1)
    if weights == RANDOM:
        return Need(name, ())
    published = published_models().get(name)
    if weights != HUB:
        place = Path(weights)
        licence = "" if published is None else published.licence
        if place.is_dir() and (files := tuple(file_here(path) for path in sorted(place.glob(f"*{_SAFETENSORS}")))):
            return Need(name, files, licence=licence)
        return file_need(name, place, "name a safetensors file that you have", licence=licence)
    return hub_need(published if published is not None and published.repository else _looked_up(name))


def towers_needs(name: str, weights: str) -> list[Need]:
    """The needs of the embedded pair or of an open_clip model, as for `open_towers`. Raises like `towers_need`."""
    return [folder_need(model) for model in embedded.MODELS] if name == embedded.NAME else [towers_need(name, weights)]


def _looked_up(name: str) -> PublishedModel:
    """What open_clip knows about a model that is not in our table.

    Raises UnknownNameError, MissingExtraError without torch, and ModelError if its weights are not on the hub.
    """
    with needing("torch", f"the model {name}"):
        from unprompt.models.networks.open_clip_backbone import HUB_FILES, tag_config
        from unprompt.towers.open_clip_model import split_name
    repository, _, file = tag_config(*split_name(name)).get("hf_hub", "").rpartition("/")
    if not repository:
        raise ModelError(f"the hub has no weights of {name}; name a safetensors file that you have")
    names = (file,) if file else HUB_FILES
    return PublishedModel(name, "see its page", (PublishedFile(names, 0),), repository)


def published_need(name: str) -> Need:
    """The need for a published model, by its name alone.

    Raises UnknownNameError with the nearest known name if neither our table nor open_clip knows it. Names such as
    ViT-B-16.laion2b_s34b_b88k are looked up in open_clip: raises MissingExtraError if it is not installed.
    """
    known = published_models()
    if name in known:
        return hub_need(known[name]) if known[name].repository else folder_need(name)
    if "." not in name and "/" not in name:
        raise UnknownNameError("published model", name, [tag for tag in known if tag.startswith(f"{name}.")] or known)
    return towers_need(name, HUB)
