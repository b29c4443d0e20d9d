"""Words are found as whole words, in whatever case, wherever they stand."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unprompt.vocabulary.exclusion import Exclusion
from unprompt.vocabulary.terms import clean


@pytest.mark.parametrize(
    ("phrase", "text", "expected"),
    [
        ("cat", "a black cat, sitting", True),
        ("cat", "category", False),
        ("cat", "tomcat", False),
        ("cat", "CAT", True),
        ("CAT", "a cat's eye", True),
        ("cat", "cat-like", True),
        ("cat", "cat_girl", True),
        ("cat", "cat9", False),
        ("black cat", "a black cat", True),
        ("black cat", "black cats", False),
        ("black cat", "a black black cat", True),
        ("black cat", "black, cat", False),
        ("cat sitting", "a cat sat, a cat sitting", True),
        ("  black \t cat,", "a black cat", True),
        ("greg rutkowski", "by greg rutkowski and wlop", True),
        ("c++", "c++ code", True),
        ("c++", "code in c++", True),
        ("c++", "c code", False),
        (".net", "asp.net", True),
        ("#1", "#1 digital painting", True),
        ("#1", "#12", False),
        ("o'keeffe", "patrick o'keeffe", True),
        ("8k", "8 k", False),
        ("dalí", "salvador DALÍ", True),
        ("dalí", "salvador dali", False),
        ("dali", "dalí", False),
        ("cafe", "cafe\u0301", False),  # a letter and its accent are one word
        ("caf\u00e9", "CAFE\u0301", True),
        ("straße", "STRASSE", True),
        ("кот", "чёрный КОТ", True),
        ("кот", "который", False),
        ("क", "कि", False),  # a vowel sign belongs to its letter
        ("猫", "黒猫が座る", True),  # no spaces between words
        ("黒猫", "黒い猫", False),
        ("❤", "8k ❤️", True),
    ],
)
def test_a_phrase_stands_as_whole_words(phrase: str, text: str, expected: bool) -> None:
    assert Exclusion([phrase]).found_in(text) is expected
    assert Exclusion(["zebra", phrase, "black zebra", "a black zebra"]).found_in(text) is expected


@pytest.mark.parametrize("phrases", [[], [""], [" ,\t"]])
def test_nothing_is_found_nowhere(phrases: list[str]) -> None:
    assert not Exclusion(phrases).found_in("a black cat")
    assert not Exclusion(phrases).found_in("")


def is_word(character: str) -> bool:
    return character.isalpha() or character.isdigit()


def found_by_looking_everywhere(phrases: list[str], text: str) -> bool:
    """The reference: at each place of the text each phrase, with a border of words before and behind it."""

    def folded(text: str) -> str:
        return unicodedata.normalize("NFC", text.casefold())

    def border(text: str, place: int) -> bool:
        return not 0 < place < len(text) or not (is_word(text[place - 1]) and is_word(text[place]))

    text = folded(text)
    for phrase in filter(None, map(folded, map(clean, phrases))):
        for place in range(len(text)):
            if text.startswith(phrase, place) and border(text, place) and border(text, place + len(phrase)):
                return True
    return False


# Few letters, so that phrases stand in texts; what joins and unjoins words, scripts with and without cases.
PIECES = st.sampled_from(["a", "B", "ab", "é", "É", "ß", "ss", "1", " ", " ", "-", "_", "+", "'", "к", "К", ".", ","])
TEXT = st.lists(PIECES, max_size=12).map("".join)


@given(st.lists(TEXT, max_size=5), TEXT)
def test_it_finds_what_looking_everywhere_finds(phrases: list[str], text: str) -> None:
    text = clean(text)
    assert Exclusion(phrases).found_in(text) is found_by_looking_everywhere(phrases, text)


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_text_is_too_odd(phrase: str, text: str) -> None:
    exclusion = Exclusion([phrase])
    if clean(phrase):
        assert exclusion.found_in(clean(phrase))
        assert exclusion.found_in(f"before {clean(phrase)} behind")
    exclusion.found_in(clean(text))
