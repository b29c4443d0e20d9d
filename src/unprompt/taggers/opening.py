"""Taggers by name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from unprompt.errors import DataError, UnknownNameError
from unprompt.models.store.published_models import PublishedFile, PublishedModel, published_models
from unprompt.models.store.registry import LOCAL
from unprompt.taggers.choosing import DEFAULT_CHOICE, Choice
from unprompt.taggers.families import FAMILIES, FAMILY_NAMES, Family, FamilyName, family_of
from unprompt.taggers.files import hub_tagger, local_tagger, wanted_files
from unprompt.taggers.tagger import Tagger

_UNKNOWN_LICENCE = "see its page"


@dataclass(frozen=True, slots=True)
class TaggerPlace:
    """Where a tagger is: a `folder` of the user's or, if that is None, what is `published` on the hub."""

    name: str
    family: Family
    published: PublishedModel | None = None
    folder: Path | None = None


def open_tagger(
    name: str,
    family: FamilyName | None = None,
    *,
    weights: Path | None = None,
    choice: Choice = DEFAULT_CHOICE,
    threads: int = 0,
) -> Tagger:
    """Open the tagger of a name, of a repository on the hub (OWNER/NAME), or in `local:FOLDER`.

    Nothing is loaded yet. `weights` is a folder to use instead of the hub's cache. `family` says how a tagger is used
    whose name does not tell. Raises as `tagger_place` does.
    """
    place = tagger_place(name, family, weights)
    if place.folder is not None:
        return Tagger(name, place.family, partial(local_tagger, place.folder, place.family), choice, threads)
    assert place.published is not None
    return Tagger(
        name, place.family, partial(hub_tagger, name, place.published.repository, place.family), choice, threads
    )


def tagger_place(name: str, family: FamilyName | None = None, weights: Path | None = None) -> TaggerPlace:
    """Find a tagger by its name.

    Raises UnknownNameError for an unknown name, DataError for a folder or repository of no known family without
    `family`, a published tagger with another family than its own, and `local:FOLDER` with weights elsewhere.
    """
    if name.startswith(LOCAL):
        if weights is not None:
            raise DataError(f"expected one place for a tagger, found {name} and weights = {weights}; leave one out")
        return TaggerPlace(name, _stated(name, family), folder=Path(name.removeprefix(LOCAL)))
    known = tagger_names()
    if name not in known and "/" not in name:
        raise UnknownNameError("tagger", name, (*known, "OWNER/NAME", f"{LOCAL}FOLDER"))
    own = family_of(published_models()[name].repository if name in known else name)
    if own is not None and family not in (None, own.name):
        raise DataError(f"{name} is a tagger of the family {own.name!r}, found family = {family!r}; leave it out")
    found = own or _stated(name, family)
    if weights is not None:
        return TaggerPlace(name, found, folder=weights)
    return TaggerPlace(name, found, published_models().get(name) or _unlisted(name, found))


def tagger_names() -> list[str]:
    """The names of the published taggers."""
    return [name for name, model in published_models().items() if family_of(model.repository) is not None]


def _stated(name: str, family: FamilyName | None) -> Family:
    if family is None:
        raise DataError(
            f"the name {name} does not say how the tagger is used; add its family, one of {', '.join(FAMILY_NAMES)}"
        )
    return FAMILIES[family]


def _unlisted(repository: str, family: Family) -> PublishedModel:
    """A repository that is not in our table; nobody knows the sizes of its files."""
    files = tuple(PublishedFile(names, 0) for names in wanted_files(family))
    return PublishedModel(repository, _UNKNOWN_LICENCE, files, repository)
