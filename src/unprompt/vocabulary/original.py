"""The lists of clip-interrogator 0.6.0 (MIT), read from the installed package without running its code."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from unprompt.errors import DataError
from unprompt.vocabulary.category import FLAVORS, Category, count_of

NAME = "clip-interrogator"
TRENDINGS, SITES = "trendings", "sites"
"""The category of phrases that name sites, and the other name that the command line accepts for it."""

ARTISTS = "artists"
_BY, _INSPIRED_BY = "by ", "inspired by "
_LISTS = (ARTISTS, FLAVORS, "mediums", "movements", "negative")
_CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")  # all but the line feed
_SITES = (
    "Artstation", "behance", "cg society", "cgsociety", "deviantart", "dribble", "flickr", "instagram", "pexels",
    "pinterest", "pixabay", "pixiv", "polycount", "reddit", "shutterstock", "tumblr", "unsplash", "zbrush central",
)  # fmt: skip
_ORDINARY = {"artist", "bauhaus", "constant"}  # ordinary words, as in the term "artist reference"


def original_categories(folder: Path | None = None) -> list[Category]:
    """Build the categories from clip-interrogator's data folder, as that package does.

    `folder` defaults to that of the installed package. Terms keep their spelling and order; only 15 repeats, an empty
    line and a control character among the flavors are dropped. Raises DataError if the package or one of its lists is
    missing.
    """
    folder = folder or _installed()
    lists = {name: _read(folder / f"{name}.txt") for name in _LISTS}
    artists = lists[ARTISTS]
    lists[ARTISTS] = [prefix + name for prefix in (_BY, _INSPIRED_BY) for name in artists]
    forms = ("{}", "trending on {}", "featured on {}", "{} contest winner")
    lists[TRENDINGS] = [form.format(site) for form in forms for site in _SITES]
    return [Category(name, tuple(terms), count_of(name)) for name, terms in lists.items()]


def artist_names(artists: Category) -> set[str]:
    """The names in a list of artists, without "by" and "inspired by" and without names that are also ordinary words."""
    names = {term.removeprefix(_INSPIRED_BY).removeprefix(_BY) for term in artists.terms}
    return {name for name in names if name.casefold() not in _ORDINARY}


def _installed() -> Path:
    spec = importlib.util.find_spec("clip_interrogator")
    for folder in (spec and spec.submodule_search_locations) or ():
        if (data := Path(folder) / "data").is_dir():
            return data
    raise DataError(
        f"the vocabulary {NAME!r} comes with the package clip-interrogator, which is not installed: "
        "pip install clip-interrogator"
    )


def _read(path: Path) -> list[str]:
    """Read a list as the package does: each line that is not empty is a term."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read: {error.strerror}; install the package again: "
            "pip install --force-reinstall clip-interrogator"
        ) from error
    terms = dict.fromkeys(map(str.strip, _CONTROLS.sub("", text).split("\n")))
    terms.pop("", None)
    return list(terms)
