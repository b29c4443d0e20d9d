"""Texts out of captions and terms: whole terms, never too long."""

import random

import pytest

from unprompt.interrogation.sentence import Addition, compose, fitted
from unprompt.prediction import Term
from unprompt.text.tokenizers import CLIP_CONTENT_TOKENS, count_clip_tokens
from unprompt.vocabulary.vocabulary import load_vocabulary


def addition(text: str, joint: str = ", ") -> Addition:
    return Addition(Term(text, "list", 0.5), joint)


def words(text: str) -> int:
    return len(text.replace(",", " ,").split())


def test_terms_follow_the_caption_in_their_order() -> None:
    made = compose("fast", "a cat", [addition("oil on canvas"), addition("moody")], words, 75)
    assert made.text == "a cat, oil on canvas, moody"
    assert made.stages == ("a cat", "a cat, oil on canvas", "a cat, oil on canvas, moody")
    assert [term.text for term in made.terms] == ["oil on canvas", "moody"]
    assert made.origin == "fast"


def test_without_a_caption_the_first_term_begins() -> None:
    assert compose("fast", "", [addition("moody"), addition("dark")], words, 75).text == "moody, dark"


def test_a_term_that_does_not_fit_ends_the_text() -> None:
    made = compose("fast", "a cat", [addition("oil on canvas"), addition("moody")], words, 5)
    assert made.text == "a cat"  # "moody" would fit, but it stands behind one that does not
    assert compose("fast", "a cat", [addition("oil on canvas"), addition("moody")], words, 6).text == (
        "a cat, oil on canvas"
    )


def test_what_stands_between_two_commas_goes_together() -> None:
    additions = [addition("an oil painting"), addition("by nobody", " ")]
    assert compose("classic", "a cat", additions, words, 8).text == "a cat, an oil painting by nobody"
    made = compose("classic", "a cat", additions, words, 7)
    assert made.text == "a cat"
    assert made.terms == ()


def test_a_long_caption_is_cut_at_a_comma_or_else_at_a_word() -> None:
    assert fitted("one two, three four", words, 3) == "one two"
    assert fitted("one two three four", words, 3) == "one two three"
    assert fitted("one", words, 0) == ""


@pytest.mark.parametrize("seed", range(4))
def test_random_terms_never_exceed_the_limit_and_end_at_a_whole_term(seed: int) -> None:
    generator = random.Random(seed)
    terms = [term for category in load_vocabulary().categories for term in category.terms]
    for _ in range(300):
        caption = " ".join(generator.choices(terms, k=generator.randrange(4)))
        chosen = [addition(term) for term in generator.sample(terms, generator.randrange(1, 33))]
        limit = generator.randrange(1, CLIP_CONTENT_TOKENS + 1)
        made = compose("fast", fitted(caption, count_clip_tokens, limit), chosen, count_clip_tokens, limit)
        assert count_clip_tokens(made.text) <= limit
        whole = [*filter(None, [made.stages[0]]), *(term.text for term in made.terms)]
        assert made.text == ", ".join(whole)
        assert [term.text for term in made.terms] == [each.term.text for each in chosen[: len(made.terms)]]
