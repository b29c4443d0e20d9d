"""What a captioner needs on disk."""

from __future__ import annotations

from pathlib import Path

from unprompt.captioners.folder import LocalSource, read_config
from unprompt.captioners.ofa.files import NEEDED as OFA_FILES
from unprompt.captioners.opening import CAPTIONERS, COCA_NAMES, OFA_KIND, check_one_place, unknown_captioner
from unprompt.errors import ModelError
from unprompt.models.store.needs import Need, NeededFile, file_here, hub_need, local_file
from unprompt.models.store.published_models import published_models
from unprompt.models.store.registry import LOCAL


def captioner_need(name: str, weights: Path | None = None) -> Need:
    """The need for a captioner named in CAPTIONERS, perhaps with weights elsewhere, or for `local:FOLDER`.

    Raises UnknownNameError for another name, DataError for a repository of the hub that is none of them and for
    `local:FOLDER` with weights elsewhere.
    """
    check_one_place(name, weights)
    if name not in CAPTIONERS and not name.startswith(LOCAL):
        raise unknown_captioner(name)
    published = published_models().get(name)
    if weights is None and published is not None:
        return hub_need(published)
    place = weights or Path(name.removeprefix(LOCAL))
    licence = "" if published is None else published.licence
    if name in COCA_NAMES:
        return Need(name, (local_file((place.name,), place.parent),), "name a safetensors file that you have", licence)
    try:
        if read_config(place).get("model_type") != OFA_KIND:
            return Need(name, _listed(LocalSource(place).folder.path), licence=licence)
    except ModelError as error:
        return Need(name, (NeededFile(place.name, place, here=False),), licence=licence, fault=error)
    return Need(name, tuple(local_file(names, place) for names in OFA_FILES), "put the whole checkpoint there", licence)


def _listed(folder: Path) -> tuple[NeededFile, ...]:
    return tuple(file_here(path) for path in sorted(folder.iterdir()) if path.is_file())
