"""Vocabularies: of one source or of several, with lists left out and words excluded."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unprompt.errors import DataError, UnknownNameError
from unprompt.vocabulary.category import Category
from unprompt.vocabulary.vocabulary import Vocabulary, load_vocabulary

Write = Callable[[str, "str | bytes"], Path]

MEDIUMS = Category("mediums", ("an oil painting", "a photo of a cat"), weights={"a photo of a cat": 1.5})
NEGATIVE = Category("negative", ("blurry", "cat"))
SMALL = Vocabulary("small", (MEDIUMS, NEGATIVE))


def names(vocabulary: Vocabulary) -> list[str]:
    return [category.name for category in vocabulary.categories]


def terms(vocabulary: Vocabulary, name: str) -> tuple[str, ...]:
    category = vocabulary.category(name)
    assert category is not None
    return category.terms


def test_the_package_has_lists_of_its_own() -> None:
    vocabulary = load_vocabulary()
    assert vocabulary.name == "unprompt"
    assert names(vocabulary)[:2] == ["mediums", "movements"]
    assert names(vocabulary)[-1] == "negative"
    assert "artists" not in names(vocabulary)
    assert sum(len(category.terms) for category in vocabulary.positive) > 2_500


def test_what_pictures_should_not_be_stands_apart() -> None:
    assert SMALL.positive == (MEDIUMS,)
    assert SMALL.negative == NEGATIVE
    assert SMALL.category("mediums") == MEDIUMS
    assert SMALL.category("movements") is None
    assert Vocabulary("none", (replace(MEDIUMS, terms=()),)).positive == ()
    assert Vocabulary("none", (MEDIUMS,)).negative is None


def test_the_order_is_that_of_mode_classic(write: Write, tmp_path: Path) -> None:
    for name in ("zoo", "negative", "flavors", "movements", "colour", "trendings", "artists", "mediums"):
        write(f"{name}.txt", "neon\n")
    vocabulary = load_vocabulary([str(tmp_path)])
    assert names(vocabulary) == [
        "mediums",
        "artists",
        "trendings",
        "movements",
        "colour",
        "zoo",
        "flavors",
        "negative",
    ]


def test_sources_are_joined(write: Write) -> None:
    write("a/light.txt", "Golden hour\nneon\n(dusk:2)\n")
    write("a/zoo.txt", "lion\n")
    one = write("b/light.top2.txt", "golden HOUR\nmoonlight\n(NEON:1.5)\n")
    vocabulary = load_vocabulary([str(one.parent.parent / "a"), str(one)])
    assert names(vocabulary) == ["light", "zoo"]
    light = vocabulary.category("light")
    assert light == Category("light", ("Golden hour", "neon", "dusk", "moonlight"), 2, 2, {"dusk": 2.0, "neon": 1.5})
    assert vocabulary.name == f"{one.parent.parent / 'a'}+{one}"
    again = load_vocabulary([str(one), str(one.parent.parent / "a")]).category("light")
    assert again is not None
    assert (again.terms, again.count, again.limit) == (("golden HOUR", "moonlight", "NEON", "dusk"), 2, 2)


def test_two_files_of_a_folder_may_be_one_category(write: Write, tmp_path: Path) -> None:
    write("light.txt", "neon\ndusk\n")
    write("light.top1.txt", "dawn\nneon\n")
    assert load_vocabulary([str(tmp_path)]).categories == (Category("light", ("dawn", "neon", "dusk"), 1, 1),)


def test_a_list_of_ours_is_extended(write: Write) -> None:
    vocabulary = load_vocabulary(["unprompt", str(write("lighting.txt", "light of a pocket calculator\n"))])
    assert terms(vocabulary, "lighting") == (
        *terms(load_vocabulary(), "lighting"),
        "light of a pocket calculator",
    )


def test_lists_are_left_out(write: Write, tmp_path: Path) -> None:
    for name in ("mediums", "light", "trendings"):
        write(f"{name}.txt", "neon\n")
    source = [str(tmp_path)]
    assert names(load_vocabulary(source, without=["light", "mediums"])) == ["trendings"]
    assert names(load_vocabulary(source, without=["sites"])) == ["mediums", "light"]
    write("sites.txt", "artstation\n")
    assert names(load_vocabulary(source, without=["sites"])) == ["mediums", "trendings", "light"]
    with pytest.raises(UnknownNameError, match=r"unknown list 'lights'; did you mean 'light'\?"):
        load_vocabulary(source, without=["lights"])


def test_without_artists_there_are_no_flavors_of_theirs(write: Write, tmp_path: Path) -> None:
    write("artists.txt", "by Ann Lee\ninspired by Bo\nartist\n")
    write("flavors.txt", "style of ANN LEE\nann leek\nbo\nbook\nbest artist\n")
    write("light.txt", "ann lee lighting\n")
    vocabulary = load_vocabulary([str(tmp_path)], without=["artists"])
    assert vocabulary.categories == (
        Category("light", ("ann lee lighting",)),
        Category("flavors", ("ann leek", "book", "best artist"), 3),
    )
    write("flavors.txt", "bo\n")
    assert names(load_vocabulary([str(tmp_path)], without=["artists"])) == ["light"]
    assert names(load_vocabulary([str(tmp_path)], without=["artists", "flavors"])) == ["light"]


def test_excluded_words_take_their_terms_along(write: Write) -> None:
    words = write("words.txt", "# not these\nCAT\nblack dog\n")
    light = write("light.txt", "(cat eyes:2)\na black dog\nblack dogs\n(category:3)\n")
    vocabulary = load_vocabulary([str(light)], exclude=str(words))
    assert vocabulary.categories == (Category("light", ("black dogs", "category"), weights={"category": 3.0}),)


def test_excluding_changes_no_vocabulary_in_place() -> None:
    assert SMALL.excluding(["cat"]).categories == (
        Category("mediums", ("an oil painting",)),
        Category("negative", ("blurry",)),
    )
    assert SMALL.excluding([]) == SMALL
    assert MEDIUMS.terms == ("an oil painting", "a photo of a cat")


def test_a_vocabulary_without_terms_is_refused(write: Write) -> None:
    with pytest.raises(DataError, match="no term is left of the vocabulary small; leave out or exclude less"):
        SMALL.excluding(["painting", "photo"])
    with pytest.raises(DataError, match="no term is left"):
        SMALL.without(["mediums"])
    with pytest.raises(DataError, match="no term is left"):
        SMALL.without(["mediums", "negative"])
    with pytest.raises(DataError, match=r"words\.txt: expected one term a line, found none"):
        load_vocabulary(exclude=str(write("words.txt", "# nothing\n")))
    with pytest.raises(DataError, match="expected at least one vocabulary"):
        load_vocabulary([])


def test_a_negative_list_alone_is_a_vocabulary(write: Write) -> None:
    vocabulary = load_vocabulary([str(write("negative.txt", "blurry\n"))])
    assert vocabulary.positive == ()
    assert vocabulary.negative == Category("negative", ("blurry",))


def test_a_source_that_is_none_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        UnknownNameError, match=r"unknown vocabulary, file or folder 'unpromt'; did you mean 'unprompt'\?"
    ):
        load_vocabulary(["unpromt"])
    with pytest.raises(DataError, match=r"my/lists: cannot be read: No such file"):
        load_vocabulary(["my/lists"])
    with pytest.raises(DataError, match=r"light\.txt: cannot be read: No such file"):
        load_vocabulary(["light.txt"])


def test_a_folder_called_like_ours_needs_a_path(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("unprompt/light.txt", "neon\n")
    monkeypatch.chdir(tmp_path)
    assert names(load_vocabulary(["./unprompt"])) == ["light"]
    assert names(load_vocabulary(["unprompt"])) == names(load_vocabulary())


@pytest.mark.parametrize(
    "other",
    [
        replace(MEDIUMS, name="media"),
        replace(MEDIUMS, terms=("a photo of a cat", "an oil painting")),
        replace(MEDIUMS, terms=("an oil painting, a photo of a cat",)),
        replace(MEDIUMS, count=2),
        replace(MEDIUMS, limit=1),
        replace(MEDIUMS, weights={}),
        replace(MEDIUMS, weights={"a photo of a cat": 1.6}),
    ],
)
def test_the_identity_changes_with_all_that_changes_an_answer(other: Category) -> None:
    assert replace(SMALL, categories=(other, NEGATIVE)).identity != SMALL.identity
    assert replace(SMALL, name="other").identity == SMALL.identity


def test_the_identity_of_a_category_is_that_of_its_terms() -> None:
    assert replace(MEDIUMS, name="media", count=3, limit=3, weights={}).identity == MEDIUMS.identity
    assert replace(MEDIUMS, terms=MEDIUMS.terms[:1]).identity != MEDIUMS.identity
    assert Category("a", ("ab", "c")).identity != Category("a", ("a", "bc")).identity
    assert Category("a", ("half \ud83d",)).identity != Category("a", ("half ",)).identity


@given(st.lists(st.sampled_from(["a b", "A b", "c", "d", "D", "e"]), min_size=1, unique_by=str.casefold), st.data())
def test_joined_lists_hold_every_term_once(first: list[str], data: st.DataObject) -> None:
    pool = st.lists(st.sampled_from(["a B", "C", "d", "f", "g"]), min_size=1, unique_by=str.casefold)
    second = data.draw(pool)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name, "x.txt") for name in "12"]
        for path, lines in zip(paths, (first, second), strict=True):
            path.parent.mkdir()
            path.write_text("\n".join(lines))
        (category,) = load_vocabulary(list(map(str, paths))).categories
    assert category.terms[: len(first)] == tuple(first)
    folded = [term.casefold() for term in category.terms]
    assert len(folded) == len(set(folded))
    assert set(folded) == {term.casefold() for term in first + second}
