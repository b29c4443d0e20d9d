"""The lists of clip-interrogator are what that tool makes of them."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from unprompt.errors import DataError
from unprompt.vocabulary.category import Category
from unprompt.vocabulary.exclusion import Exclusion
from unprompt.vocabulary.original import artist_names, original_categories
from unprompt.vocabulary.vocabulary import load_vocabulary

needs_package = pytest.mark.skipif(
    importlib.util.find_spec("clip_interrogator") is None, reason="clip-interrogator is not installed"
)
SITES = ("Artstation", "zbrush central")


@pytest.fixture(scope="module")
def data() -> Path:
    """The data folder of the installed package."""
    spec = importlib.util.find_spec("clip_interrogator")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / "data"


def lines(path: Path) -> list[str]:
    """As `load_list` of the tool reads them."""
    with path.open(encoding="utf-8", errors="replace") as file:
        return [line.strip() for line in file.readlines()]


@needs_package
def test_the_terms_are_the_tool_s_own_in_its_order(data: Path) -> None:
    categories = {category.name: category for category in original_categories()}
    assert {name: len(category.terms) for name, category in categories.items()} == {
        "artists": 10_530,
        "flavors": 100_954,
        "mediums": 95,
        "movements": 200,
        "negative": 41,
        "trendings": 72,
    }
    for name in ("mediums", "movements", "negative"):
        assert list(categories[name].terms) == lines(data / f"{name}.txt")
    artists = lines(data / "artists.txt")
    assert list(categories["artists"].terms) == [f"by {a}" for a in artists] + [f"inspired by {a}" for a in artists]
    assert {name: category.count for name, category in categories.items() if category.count != 1} == {"flavors": 3}


@needs_package
def test_of_the_flavors_only_repeats_and_what_is_no_term_are_gone(data: Path) -> None:
    (flavors,) = (category.terms for category in original_categories() if category.name == "flavors")
    own = lines(data / "flavors.txt")
    distinct = list(dict.fromkeys(own))
    assert (len(own), len(distinct)) == (100_970, 100_955)
    assert [*flavors] == ["moebius" if flavor == "\x08moebius" else flavor for flavor in distinct if flavor]


def test_trendings_are_made_of_sites(tmp_path: Path) -> None:
    for name in ("artists", "flavors", "mediums", "movements", "negative"):
        (tmp_path / f"{name}.txt").write_text("x\n")
    (trendings,) = (category.terms for category in original_categories(tmp_path) if category.name == "trendings")
    assert (trendings[0], trendings[17]) == SITES
    assert (trendings[18], trendings[35]) == tuple(f"trending on {site}" for site in SITES)
    assert (trendings[36], trendings[53]) == tuple(f"featured on {site}" for site in SITES)
    assert (trendings[54], trendings[71]) == tuple(f"{site} contest winner" for site in SITES)


def test_a_folder_of_other_lists_is_read_as_the_tool_reads_it(tmp_path: Path) -> None:
    for name in ("artists", "mediums", "movements", "negative"):
        (tmp_path / f"{name}.txt").write_text("x\n")
    (tmp_path / "flavors.txt").write_bytes(
        b"# pixelart\n (steampunk:1.2) \nneon,\n\nCat\ncat\ncat\nna\xefve\nno\xc2\xa0end"
    )
    (flavors,) = (category for category in original_categories(tmp_path) if category.name == "flavors")
    assert flavors.terms == (
        "# pixelart",
        "(steampunk:1.2)",
        "neon,",
        "Cat",
        "cat",
        "na\ufffdve",
        "no\u00a0end",
    )
    assert flavors.weights == {}


def test_a_list_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"artists\.txt: cannot be read: No such file .*pip install"):
        original_categories(tmp_path)


def test_without_the_package_it_is_said_how_to_get_it(tmp_path: Path) -> None:
    code = """
import sys
sys.modules["clip_interrogator"] = None  # what makes an import fail
from unprompt.vocabulary.vocabulary import load_vocabulary
load_vocabulary(["clip-interrogator"])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert "DataError" in run.stderr
    assert "pip install clip-interrogator" in run.stderr


@needs_package
def test_the_lists_are_read_without_running_the_package() -> None:
    code = """
import sys
from unprompt.vocabulary.vocabulary import load_vocabulary
load_vocabulary(["clip-interrogator"])
assert not {"clip_interrogator", "torch", "open_clip", "transformers"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@needs_package
def test_without_artists_no_flavor_names_one(data: Path) -> None:
    whole = load_vocabulary(["clip-interrogator"])
    left = load_vocabulary(["clip-interrogator"], without=["artists"])
    assert [category.name for category in left.categories] == [
        "mediums",
        "trendings",
        "movements",
        "flavors",
        "negative",
    ]
    flavors, kept = whole.category("flavors"), left.category("flavors")
    assert flavors is not None
    assert kept is not None
    gone = {*flavors.terms} - {*kept.terms}
    assert len(gone) == len(flavors.terms) - len(kept.terms) == 2_015
    assert {"artgerm and greg rutkowski", "moebius", "edward munch"} <= gone
    assert {"professional artist", "constant green background", "bauhaus style", "highly detailed"} <= {*kept.terms}
    named = Exclusion(name for name in lines(data / "artists.txt") if name not in ("artist", "Bauhaus", "Constant"))
    assert not any(map(named.found_in, kept.terms))
    assert left.category("movements") == whole.category("movements")


def test_names_of_artists_are_those_behind_by() -> None:
    artists = Category("artists", ("by Ann Lee", "inspired by Ann Lee", "Bo Li", "by artist", "by Constant"))
    assert artist_names(artists) == {"Ann Lee", "Bo Li"}
