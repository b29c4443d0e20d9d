"""Texts of real pictures in every mode, by the embedded pair and small lists."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import vocabularies
from PIL import Image

from unprompt.errors import DataError, PictureError, UnknownNameError
from unprompt.interrogation.captions import DecodedCaption, GivenCaption, open_captioner
from unprompt.interrogation.interrogation import MODES, Mode, Settings
from unprompt.interrogation.interrogator import Interrogator
from unprompt.progress import SILENT
from unprompt.towers.embedded import EmbeddedPair
from unprompt.vocabulary.vocabulary import load_vocabulary

NAMES = ("coffee.jpg", "chelsea.jpg", "astronaut.jpg")
BRIEF = Settings(min_terms=1, max_terms=2)
"""For tests that want a text of any length."""


Make = Callable[..., Interrogator]


@pytest.fixture(scope="session")
def interrogator(towers: EmbeddedPair) -> Make:
    def make(lists: Path, cache: Path | None = None) -> Interrogator:
        return Interrogator(towers, load_vocabulary([str(lists)]), GivenCaption("a picture"), cache)

    return make


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return vocabularies.write(tmp_path_factory.mktemp("lists"))


@pytest.fixture(scope="module")
def small(interrogator: Make, lists: Path) -> Interrogator:
    return interrogator(lists)


def ranked(small: Interrogator, picture: Path, name: str) -> list[str]:
    """The terms of one list by a plain product."""
    category = small.lists.vocabulary.category(name)
    assert category is not None
    image = small.towers.encode_images([small.read(str(picture))])[0]
    cosines = small.towers.encode_texts(category.terms) @ image
    return [category.terms[place] for place in np.argsort(-cosines)]


def test_classic_takes_the_best_of_each_list(small: Interrogator, examples: Path) -> None:
    picture = examples / "coffee.jpg"
    best = {name: ranked(small, picture, name) for name in vocabularies.LISTS if name != "negative"}
    answer = small.interrogate(str(picture), "classic")
    assert answer.text == (
        f"a picture, {best['mediums'][0]} {best['artists'][0]}, {best['movements'][0]}, {best['lighting'][0]}, "
        + ", ".join(best["flavors"][:3])
    )
    assert answer.origin == "classic"
    assert [term.category for term in answer.terms] == [
        "mediums", "artists", "movements", "lighting", "flavors", "flavors", "flavors",
    ]  # fmt: skip


def test_no_medium_follows_a_caption_that_begins_with_it(small: Interrogator, examples: Path) -> None:
    picture = examples / "coffee.jpg"
    medium, artist = ranked(small, picture, "mediums")[0], ranked(small, picture, "artists")[0]
    text = small.interrogate(str(picture), "classic", caption=f"{medium} of a cup").text
    assert text.startswith(f"{medium} of a cup {artist}, ")


def test_published_is_a_medium_a_movement_and_three_flavors(small: Interrogator, examples: Path) -> None:
    picture = examples / "chelsea.jpg"
    expected = [
        "a picture",
        ranked(small, picture, "mediums")[0],
        ranked(small, picture, "movements")[0],
        *ranked(small, picture, "flavors")[:3],
    ]
    assert small.interrogate(str(picture), "published").text == ", ".join(expected)


def test_published_without_flavors_takes_all_other_lists(interrogator: Make, examples: Path, tmp_path: Path) -> None:
    (vocabularies.write(tmp_path) / "flavors.txt").unlink()
    other = interrogator(tmp_path)
    answer = other.interrogate(str(examples / "chelsea.jpg"), "published")
    assert [term.category in ("artists", "lighting") for term in answer.terms[2:]] == [True] * 3


def test_fast_takes_the_best_of_all_lists(small: Interrogator, examples: Path) -> None:
    picture = examples / "astronaut.jpg"
    answer = small.interrogate(str(picture), "fast", settings=Settings(max_terms=6))
    image = small.towers.encode_images([small.read(str(picture))])[0]
    terms = [term for category in small.lists.vocabulary.positive for term in category.terms]
    cosines = small.towers.encode_texts(terms) @ image
    assert answer.text == ", ".join(["a picture", *(terms[place] for place in np.argsort(-cosines)[:6])])
    assert [term.similarity for term in answer.terms] == pytest.approx(sorted(cosines, reverse=True)[:6], abs=1e-3)


def test_best_is_the_nearest_of_all(small: Interrogator, examples: Path) -> None:
    pictures = [small.read(str(examples / name)) for name in NAMES]
    images = small.towers.encode_images(pictures)
    settings = Settings(min_terms=2, max_terms=6)
    best = small.interrogate_pictures(pictures, settings)
    assert {each.origin for each in best} <= {"caption", "classic", "fast", "chain"}
    others: tuple[Mode, ...] = ("caption", "classic", "fast")
    for mode in others:
        texts = [each.text for each in small.interrogate_pictures(pictures, replace(settings, mode=mode))]
        cosines = (small.towers.encode_texts(texts) * images).sum(1)
        assert all(cosine <= (each.similarity or 0) + 1e-6 for cosine, each in zip(cosines, best, strict=True))


def test_negative_is_a_chain_away_from_the_picture(small: Interrogator, examples: Path) -> None:
    picture = small.read(str(examples / "chelsea.jpg"))
    image = small.towers.encode_images([picture])[0]
    answer = small.interrogate_pictures([picture], Settings(mode="negative"))[0]
    assert {term.category for term in answer.terms} <= {"flavors", "negative"}
    stages = list(itertools.accumulate((term.text for term in answer.terms), lambda a, b: f"{a}, {b}"))
    cosines = small.towers.encode_texts(stages) @ image
    assert answer.similarity == pytest.approx(cosines.min(), abs=1e-5)
    assert answer.similarity < 0.1  # of the words of a prompt for this picture it is 0.3 and more


def test_positive_and_negative_together(small: Interrogator, examples: Path) -> None:
    picture = small.read(str(examples / "chelsea.jpg"))
    both = small.interrogate_pictures([picture], Settings(mode="classic", negative=True))[0]
    assert both.text == small.interrogate_pictures([picture], Settings(mode="classic"))[0].text
    assert both.negative_prompt == small.interrogate_pictures([picture], Settings(mode="negative"))[0].text


@pytest.mark.parametrize("mode", MODES)
def test_batches_and_caches_change_nothing(
    mode: Mode, interrogator: Make, lists: Path, examples: Path, tmp_path: Path
) -> None:
    cold = interrogator(lists, cache=tmp_path)
    pictures = [cold.read(str(examples / name)) for name in NAMES[:2]]
    settings = Settings(mode=mode, negative=mode == "best", gains=True, min_terms=2, max_terms=3)
    together = cold.interrogate_pictures(pictures, settings)
    assert bool(list(tmp_path.rglob("*.safetensors"))) == (mode != "caption")
    warm = interrogator(lists, cache=tmp_path)
    alone = [warm.interrogate_pictures([picture], settings)[0] for picture in reversed(pictures)]
    assert together == alone[::-1]  # similarities and gains as well, to the bit


@pytest.mark.parametrize("flavors", [True, False])
@pytest.mark.parametrize("negative", [True, False])
@pytest.mark.parametrize("mode", MODES)
def test_the_lists_that_a_mode_uses_are_prepared_and_no_others(
    mode: Mode, negative: bool, flavors: bool, interrogator: Make, tmp_path: Path, examples: Path
) -> None:
    lists = vocabularies.write(tmp_path / "lists")
    if not flavors:
        (lists / "flavors.txt").unlink()
    settings = replace(BRIEF, mode=mode, negative=negative)
    prepared = interrogator(lists, cache=tmp_path / "prepared")
    prepared.prepare(SILENT, settings)
    used = interrogator(lists, cache=tmp_path / "used")
    used.interrogate_pictures([used.read(str(examples / "coffee.jpg"))], settings)
    assert _vectors(tmp_path / "prepared") == _vectors(tmp_path / "used")


def _vectors(cache: Path) -> set[str]:
    return {path.name for path in cache.rglob("*.safetensors")}


def test_gains_add_up_to_the_similarity(small: Interrogator, examples: Path) -> None:
    answer = small.interrogate(str(examples / "coffee.jpg"), "fast", settings=Settings(gains=True))
    image = small.towers.encode_images([small.read(str(examples / "coffee.jpg"))])[0]
    caption = float(small.towers.encode_texts(["a picture"])[0] @ image)
    gains = [term.gain for term in answer.terms]
    assert answer.similarity == pytest.approx(caption + sum(gain or 0 for gain in gains), abs=1e-5)


def test_without_gains_a_simple_text_is_not_measured(small: Interrogator, examples: Path) -> None:
    answer = small.interrogate(str(examples / "coffee.jpg"), "fast")
    assert answer.similarity is None
    assert {term.gain for term in answer.terms} == {None}


@pytest.mark.parametrize("mode", MODES)
def test_no_caption_is_needed(mode: Mode, small: Interrogator, examples: Path) -> None:
    answer = small.interrogate(str(examples / "coffee.jpg"), mode, caption="", settings=BRIEF)
    assert answer.text.strip(", ") == answer.text
    assert bool(answer.text) == (mode != "caption")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("limit", [1, 4, 9])
def test_texts_keep_to_the_limit(mode: Mode, limit: int, small: Interrogator, examples: Path) -> None:
    settings = Settings(max_tokens=limit, negative=True)
    answer = small.interrogate(str(examples / "coffee.jpg"), mode, caption="a cup, of coffee", settings=settings)
    assert small.towers.count_tokens(answer.text) <= limit
    assert small.towers.count_tokens(answer.negative_prompt or "") <= limit


def test_limits_hold_in_every_mode(interrogator: Make, tmp_path: Path, examples: Path) -> None:
    folder = vocabularies.write(tmp_path / "lists")
    (folder / "flavors.txt").rename(folder / "flavors.top1.txt")
    limited = interrogator(folder)
    picture = limited.read(str(examples / "coffee.jpg"))
    for mode in MODES:
        answer = limited.interrogate_pictures([picture], Settings(mode=mode, min_terms=5, max_terms=5))[0]
        assert sum(term.category == "flavors" for term in answer.terms) <= 1, mode


@pytest.mark.parametrize("mode", ["fast", "classic", "published", "best"])
def test_a_term_of_two_lists_is_said_once(mode: Mode, interrogator: Make, tmp_path: Path, examples: Path) -> None:
    terms = ["Moody", "bokeh", "a cat", "at night", "sunset"]
    folder = vocabularies.write(tmp_path / "lists", mediums=terms, movements=terms, lighting=["moody", "Bokeh"])
    answer = interrogator(folder).interrogate(str(examples / "coffee.jpg"), mode)
    texts = [term.text.casefold() for term in answer.terms]
    assert texts
    assert len(texts) == len(set(texts))


def test_a_caption_brings_no_comma_too_many(small: Interrogator, examples: Path) -> None:
    for mode in MODES:
        text = small.interrogate(str(examples / "coffee.jpg"), mode, caption=" a cat, ", settings=BRIEF).text
        assert ",," not in text.replace(" ", "")


def test_mode_negative_asks_for_no_caption(towers: EmbeddedPair, lists: Path, examples: Path) -> None:
    class Nobody(GivenCaption):
        def captions(self, pictures: object) -> list[str]:
            raise AssertionError("nobody wants one")

    reader = Interrogator(towers, load_vocabulary([str(lists)]), Nobody(""))
    picture = reader.read(str(examples / "coffee.jpg"))
    answer = reader.interrogate_pictures([picture], Settings(mode="negative", negative=True, max_terms=2))[0]
    assert answer.text
    assert answer.negative_prompt is None


def test_a_weight_helps_what_is_unlike_the_picture_too(interrogator: Make, tmp_path: Path, examples: Path) -> None:
    places = []
    for line in ("watermark", "(watermark:5)", "(watermark:0.2)"):
        folder = vocabularies.write(tmp_path / line, lighting=["jumping in mid-air", "cobra movement", line])
        reader = interrogator(folder)
        category = reader.lists.vocabulary.category("lighting")
        image = reader.towers.encode_images([reader.read(str(examples / "chelsea.jpg"))])
        terms = [term.text for term in reader.lists.ranked([category], image, 3)[0]]  # type: ignore[list-item]
        places.append(terms.index("watermark"))
    assert places[1] <= places[0] <= places[2]
    assert places[1] < places[2]


def test_the_embedded_captioner_describes(small: Interrogator, examples: Path) -> None:
    captioner = open_captioner("embedded", 1)
    assert isinstance(captioner, DecodedCaption)
    pictures = [small.read(str(examples / name)) for name in NAMES]
    captions = captioner.captions(pictures)
    assert all(captions)
    assert captions == [captioner.captions([picture])[0] for picture in pictures]
    assert "cat" in captions[1]
    assert "vit_tiny_patch16_224.unprompt" in captioner.identities()


def test_identities_change_with_the_vocabulary(interrogator: Make, lists: Path, tmp_path: Path) -> None:
    other = vocabularies.write(tmp_path, lighting=["soft light"])
    first, second = interrogator(lists).identities(), interrogator(other).identities()
    assert set(first.values()) != set(second.values())


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"mode": "bset"}, UnknownNameError, "did you mean 'best'"),
        ({"max_terms": 0}, DataError, "max_terms to be a whole number of 1 or more, found 0"),
        ({"min_terms": -1}, DataError, "min_terms to be a whole number of 0 or more, found -1"),
        ({"candidates": 0}, DataError, "candidates"),
        ({"max_tokens": 0}, DataError, "max_tokens"),
    ],
)
def test_settings_are_checked(changes: dict[str, object], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        replace(Settings(), **changes)


def test_a_picture_that_is_none_is_an_error(small: Interrogator, tmp_path: Path, examples: Path) -> None:
    (tmp_path / "no.png").write_bytes(b"no picture")
    with pytest.raises(PictureError, match=r"no\.png"):
        small.interrogate(str(tmp_path / "no.png"))
    with pytest.raises(ValueError, match="one picture"):
        small.interrogate([str(examples / "coffee.jpg"), str(examples / "chelsea.jpg")])
    assert small.interrogate(Image.new("RGB", (8, 8)), "caption").text == "a picture"


def test_a_vocabulary_of_negatives_alone_is_refused(interrogator: Make, tmp_path: Path) -> None:
    (tmp_path / "negative.txt").write_text("blurry\n")
    with pytest.raises(DataError, match="vocabulary"):
        interrogator(tmp_path)
