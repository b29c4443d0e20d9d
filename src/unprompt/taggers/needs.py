"""What a tagger needs on disk."""

from __future__ import annotations

from unprompt.models.store.needs import Need, hub_need, local_file
from unprompt.models.store.published_models import published_models
from unprompt.taggers.opening import TaggerPlace


def tagger_need(place: TaggerPlace) -> Need:
    """The need for a tagger."""
    if place.folder is None:
        assert place.published is not None
        return hub_need(place.published)
    licence = published_models()[place.name].licence if place.name in published_models() else ""
    files = tuple(local_file(names, place.folder) for names in (place.family.weights, place.family.tags))
    return Need(place.name, files, "copy it there from the model's repository", licence)
