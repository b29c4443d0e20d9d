"""The chain, beside an obvious one that encodes every whole text at every step."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from unprompt.interrogation.chain import Candidate, Rules, grow
from unprompt.interrogation.sentence import Sentence
from unprompt.prediction import Term, Vector
from unprompt.towers.embedded import EmbeddedPair

TERMS = (
    "a cat", "sitting on a sofa", "oil painting", "moody", "a red car", "at night", "in the rain", "highly detailed",
    "black and white", "a mountain lake",
)  # fmt: skip


@pytest.fixture(scope="module")
def towers(towers: EmbeddedPair) -> EmbeddedPair:
    """The embedded pair, which here scores every term in full."""
    pair = copy.copy(towers)
    pair.shortlist = None
    return pair


@pytest.fixture(scope="module")
def vectors(towers: EmbeddedPair) -> Callable[[str], Vector]:
    """The vector of a text, encoded by itself and once."""
    return functools.cache(lambda text: towers.encode_texts([text])[0])


def rules(
    *, at_least: int = 3, at_most: int = 5, tokens: int = 75, away: bool = False, limits: dict[str, int] | None = None
) -> Rules:
    return Rules("chain", at_least, at_most, tokens, away, limits or {})


def candidates(
    towers: EmbeddedPair, image: Vector, terms: Sequence[str] = TERMS, weights: dict[str, float] | None = None
) -> list[Candidate]:
    vectors = towers.encode_texts(terms).astype(np.float16)
    return [
        Candidate(Term(text, ("even", "odd")[place % 2], float(vector @ image)), (weights or {}).get(text, 1.0), vector)
        for place, (text, vector) in enumerate(zip(terms, vectors, strict=True))
    ]  # fmt: skip


def obvious_chain(
    vectors: Callable[[str], Vector], image: Vector, start: str, sign: int, at_least: int, at_most: int
) -> str:
    left = list(TERMS)

    def cosine(text: str) -> float:
        return sign * float(vectors(text) @ image)

    if not start:
        start = max(left, key=cosine)
        left.remove(start)
    best, current = start, start
    for step in range(at_most):
        if not left:
            break
        chosen = max(left, key=lambda term: cosine(f"{current}, {term}"))
        text = f"{current}, {chosen}"
        if cosine(text) <= cosine(current) and step >= at_least:
            break
        if cosine(text) > cosine(best):
            best = text
        current = text
        left.remove(chosen)
    return best


@pytest.fixture(scope="module")
def images(towers: EmbeddedPair) -> Vector:
    return towers.encode_texts(
        [
            "an oil painting of a cat on a couch",
            "a rainy neon street at night, a red sports car",
            "a quiet lake at dusk",
        ]
    )


@pytest.mark.parametrize("away", [False, True])
@pytest.mark.parametrize("start", ["a picture", ""])
@pytest.mark.parametrize("at_least", [0, 4])
def test_it_is_the_obvious_chain(
    towers: EmbeddedPair,
    vectors: Callable[[str], Vector],
    images: Vector,
    away: bool,
    start: str,
    at_least: int,
) -> None:
    chosen = rules(at_least=at_least, at_most=4, away=away)
    found = grow(towers, images, [start] * 3, [candidates(towers, image) for image in images], chosen)
    sign = -1 if away else 1
    expected = [obvious_chain(vectors, image, start, sign, at_least, 4) for image in images]
    assert [sentence.text for sentence in found] == expected


def test_pictures_do_not_change_each_other(towers: EmbeddedPair, images: Vector) -> None:
    offered = [candidates(towers, image) for image in images]
    together = grow(towers, images, ["", "a car", ""], offered, rules())
    alone = [
        grow(towers, image[None], [start], [offer], rules())[0]
        for image, start, offer in zip(images, ["", "a car", ""], offered, strict=True)
    ]
    assert together == alone  # texts, terms, gains and cosines, to the bit


def test_stages_gains_and_cosines_belong_together(towers: EmbeddedPair, images: Vector) -> None:
    (found,) = grow(towers, images[:1], ["a picture"], [candidates(towers, images[0])], rules())
    assert found.stages[0] == "a picture"
    assert [f"{before}, {term.text}" for before, term in zip(found.stages, found.terms, strict=False)] == list(
        found.stages[1:]
    )
    cosines = towers.encode_texts(found.stages) @ images[0]
    assert np.allclose(np.diff(cosines), [term.gain for term in found.terms], atol=1e-5)
    assert found.similarity == pytest.approx(cosines[-1], abs=1e-5)
    assert found.similarity == pytest.approx(max(cosines), abs=1e-5)


def test_nothing_is_longer_than_the_limit(towers: EmbeddedPair, images: Vector) -> None:
    for tokens in (1, 2, 5, 9):
        chosen = rules(tokens=tokens, at_least=32, at_most=32)
        for start in ("a picture", ""):
            if towers.count_tokens(start) > tokens:
                continue
            (found,) = grow(towers, images[:1], [start], [candidates(towers, images[0])], chosen)
            assert towers.count_tokens(found.text) <= tokens


def test_where_no_term_fits_the_start_stays(towers: EmbeddedPair, images: Vector) -> None:
    offered = candidates(towers, images[0], ["a term of five words"])
    assert grow(towers, images[:1], ["a picture"], [offered], rules(tokens=3))[0].text == "a picture"
    assert grow(towers, images[:1], [""], [offered], rules(tokens=3)) == [Sentence("chain", ("",))]
    assert grow(towers, images[:1], [""], [[]], rules()) == [Sentence("chain", ("",))]


def test_no_more_terms_of_a_list_than_its_limit(towers: EmbeddedPair, images: Vector) -> None:
    chosen = rules(at_least=32, at_most=32, limits={"even": 1, "odd": 2})
    for start in ("a picture", ""):
        (found,) = grow(towers, images[1:2], [start], [candidates(towers, images[1])], chosen)
        categories = [term.category for term in found.terms]
        assert categories.count("even") <= 1
        assert categories.count("odd") <= 2


def test_a_weight_brings_a_term_forward_or_holds_it_back(towers: EmbeddedPair, images: Vector) -> None:
    def first(weights: dict[str, float]) -> str:
        offered = candidates(towers, images[0], weights=weights)
        return grow(towers, images[:1], ["a sofa"], [offered], rules(at_most=1))[0].terms[0].text

    plain = first({})
    other = first({plain: 0.01})  # the second best
    assert other != plain
    assert first({other: 10.0}) == other


def test_a_shortlist_scores_the_most_promising_alone(towers: EmbeddedPair, images: Vector) -> None:
    short = copy.copy(towers)
    short.shortlist = len(TERMS)
    offered = [candidates(towers, image) for image in images]
    whole = grow(short, images, ["a picture"] * 3, offered, rules())
    assert whole == grow(towers, images, ["a picture"] * 3, offered, rules())
    short.shortlist = 1
    few = grow(short, images, ["a picture"] * 3, offered, rules())
    assert all(one.similarity <= all_.similarity + 1e-6 for one, all_ in zip(few, whole, strict=True))
    assert few != whole
