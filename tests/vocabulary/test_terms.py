"""Terms are cleaned, whatever a file holds."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unprompt.vocabulary.terms import clean, weighted

# Every character, lone surrogates among them, and more often than by chance those that are cleaned away.
TEXTS = st.text(
    st.one_of(
        st.characters(exclude_categories=[]),
        st.sampled_from(" ,\t\r\x00\x07\x1b\x85\xa0\u200e\u202e\u2028\u2066\ufeff"),
    ),
    max_size=60,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a black cat", "a black cat"),
        ("  a \t black\u00a0\u3000cat ", "a black cat"),
        (", neon,, lights , ,", "neon,, lights"),
        ("red\x1b[31m alarm\x07", "red [31m alarm"),
        ("\u202egnp.exe\u202c", "gnp.exe"),
        ("left\u200eright\u200fleft", "left right left"),
        ("one\u2028two\u2029three\x0bfour\x85five", "one two three four five"),
        ("zero\u200bwidth\ufeff", "zero width"),
        ("half \ud83d of a pair", "half of a pair"),
        ("\u2764\ufe0f\u200d\U0001f525", "\u2764\ufe0f\u200d\U0001f525"),  # a heart on fire: a joiner holds it together
        ("می\u200cخواهم", "می\u200cخواهم"),
        (" ,\t, ", ""),
    ],
)
def test_a_text_is_brought_onto_one_plain_line(text: str, expected: str) -> None:
    assert clean(text) == expected


@given(TEXTS)
def test_cleaning_is_idempotent_and_leaves_nothing_that_a_terminal_obeys(text: str) -> None:
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    assert len(cleaned) <= len(text)
    assert {unicodedata.category(character) for character in cleaned}.isdisjoint({"Cc", "Cs", "Zl", "Zp"})
    assert not {
        unicodedata.bidirectional(character) for character in cleaned if unicodedata.category(character) == "Cf"
    } & {"L", "R", "AL", "LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}
    assert cleaned == " ".join(cleaned.split()).strip(" ,")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(golden hour:1.3)", ("golden hour", 1.3)),
        ("( golden hour, : 2 )", ("golden hour", 2.0)),
        ("(a:b:.5)", ("a:b", 0.5)),
        ("(a:7.)", ("a", 7.0)),
        ("(a:-1)", ("a", -1.0)),
        ("(:1.3)", ("", 1.3)),
        ("(golden hour)", None),
        ("(golden hour:warm)", None),
        ("(golden hour:1.3) again", None),
        ("golden hour:1.3", None),
        ("(a:nan)", None),
        ("(a:1e3)", None),
        ("(a:٣)", None),
    ],
)
def test_a_weight_stands_behind_a_colon_in_brackets(text: str, expected: tuple[str, float] | None) -> None:
    assert weighted(text) == expected
