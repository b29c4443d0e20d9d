"""Pictures by their position, and listings that are compared."""

from pathlib import Path

import pytest

from unprompt.errors import DataError
from unprompt.images.files import Unavailable
from unprompt.images.ref import ImageRef
from unprompt.images.sources import image_refs
from unprompt.scale.listing import list_all, share_of


def refs(*names: str) -> list[ImageRef]:
    return [ImageRef(name, Unavailable("not-found", "")) for name in names]


def test_shares_are_all_pictures_once() -> None:
    names = [f"{number}.png" for number in range(11)]
    listing = list_all(refs(*names))
    assert listing.pictures == 11
    shares = [[ref.source for ref in share_of(refs(*names), shard, 4, listing)] for shard in range(4)]
    assert shares == [names[shard::4] for shard in range(4)]
    assert [list(share_of(refs("a"), shard, 3, list_all(refs("a")))) for shard in (1, 2)] == [[], []]


@pytest.mark.parametrize(
    "others", [("a", "b"), ("a", "b", "c", "d"), ("b", "a", "c"), ("a", "bc", ""), ("ab", "", "c"), ("A", "b", "c")]
)
def test_another_listing_is_another(others: tuple[str, ...]) -> None:
    listing = list_all(refs("a", "b", "c"))
    assert list_all(refs(*others)) != listing
    with pytest.raises(DataError, match=f"the 3 pictures of this run, found {len(others)}, or others, when shard 1"):
        list(share_of(refs(*others), 1, 2, listing))


def test_the_same_name_under_another_folder_is_another() -> None:
    first, second = (ImageRef("a", Unavailable("not-found", ""), below) for below in ("x/a", "y/a"))
    assert list_all([first]) != list_all([second])


def test_no_pictures_at_all_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no pictures in the folder"):
        list_all(image_refs(tmp_path))
    assert list_all(image_refs([tmp_path, tmp_path / "missing.png"])).pictures == 2
