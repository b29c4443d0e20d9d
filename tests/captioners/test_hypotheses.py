"""Which caption is taken, on captions as people and models write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unprompt.captioners.hypotheses import first_sound, is_sound

SOUND = [
    "cat",
    "a cat",
    "a black and white photo of a black and white cat",
    "a man and a woman and a dog",
    "a woman with a flower in her hair and a flower in her hand",
    "a white plate with a white cup on a white table with white walls",
    "a red apple, a green apple, a yellow apple and a blue apple",
    "two zebras standing next to each other",
    "a picture of a picture of a dog",
    "houses side by side by side",
    "row after row after row of chairs",
    "a very very big cat",
    "a man in a suit and a man in a hat",
    "new york new york",
    "a sign that says no no",
    "a man's dog and a woman's dog in front of a dog house",
    "the sun over the sea, the sky over the sun, the moon over the sky",
    "一只猫坐在沙发上",
    "arafed image of a woman in a blue dress",
    "a close up of a person wearing a hat and a coat and a scarf",
]

DEGENERATE = {
    "": "",
    "  ": "",
    "...": "",
    "a": "",
    "of the a": "",
    "the the the": "",
    "a cat a cat a cat": "a cat",
    "A cat, a cat, a cat.": "a cat.",
    "a cat a cat a cat a": "a cat",
    "a cat and a cat and a cat": "a cat",
    "a cat and a cat and a cat on a mat": "a cat on a mat",
    "a , cat , cat , cat": "a cat",
    "dog dog dog in snow": "dog in snow",
    "a a a a dog": "a dog",
    "bokeh bokeh bokeh bokeh bokeh": "bokeh",
    "a dog in the water in the water in the water": "a dog in the water",
    "a cat sitting on a couch a cat sitting on a couch": "a cat sitting on a couch",
    "a man in a hat, a man in a hat": "a man in a hat",
    "a man in suit a man in suit a": "a man in suit",
    "cat in a cat with the cat on cat": "cat",
    "a dog dog dog dog and a cat cat cat cat": "a dog and a cat",
}


@pytest.mark.parametrize("caption", SOUND)
def test_what_people_write_is_sound(caption: str) -> None:
    assert is_sound(caption)
    assert first_sound([caption, "another"]) == caption


@pytest.mark.parametrize("caption", DEGENERATE)
def test_a_degenerate_caption_is_passed_over_for_the_next(caption: str) -> None:
    assert not is_sound(caption)
    assert first_sound([caption, "a house by the sea", "another"]) == "a house by the sea"


@pytest.mark.parametrize(("caption", "expected"), DEGENERATE.items())
def test_where_all_are_degenerate_repeats_are_taken_out_of_the_first(caption: str, expected: str) -> None:
    assert first_sound([caption]) == expected
    assert first_sound([caption, ""]) == expected


def test_of_degenerate_captions_the_first_that_something_remains_of_is_taken() -> None:
    assert first_sound(["", "the the the", "sea sea sea sea", "sun sun sun sun"]) == "sea"


def test_without_hypotheses_there_is_no_caption() -> None:
    assert first_sound([]) == ""


def test_blanks_around_a_caption_go() -> None:
    assert first_sound([" a cat \n"]) == "a cat"


@given(st.lists(st.sampled_from(["a", "cat", "dog", "on", "the", ",", "red"]), max_size=40).map(" ".join))
def test_what_remains_of_a_caption_says_nothing_twice_and_is_made_of_its_words(caption: str) -> None:
    remains = first_sound([caption])
    assert remains == "" or is_sound(remains)
    assert set(remains.replace(",", "").split()) <= set(caption.split())
