"""The choice of words, with the real sentence encoder, a tiny decoder, and the embedded one where it is there."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tiny_models

from unprompt.answer.wording import Wording
from unprompt.models.store.folder import ModelFolder
from unprompt.models.store.registry import EMBEDDED
from unprompt.prediction import Concept
from unprompt.text.decoder import Decoder
from unprompt.text.phrases import Phrases
from unprompt.text.sentence import SentenceEncoder
from unprompt.text.tokenizers import CLIP_CONTENT_TOKENS, count_clip_tokens

PROMPTS = (
    "a red dragon over a castle, oil painting, dramatic light",
    "portrait of an old sailor, charcoal sketch",
    "two dogs run across a snowy field",
)

CONCEPTS = (
    Concept("oil painting", 0.7),
    Concept("painting", 0.6),
    Concept("dragon", 0.5),
    Concept("castle", 0.3),
    Concept("dog", 0.03),
)


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return SentenceEncoder.embedded(1)


@pytest.fixture(scope="module", params=["tiny", "embedded"])
def wording(
    request: pytest.FixtureRequest, encoder: SentenceEncoder, tmp_path_factory: pytest.TempPathFactory
) -> Wording:
    folder = ModelFolder.open(EMBEDDED / "sentence_decoder.unprompt")
    if request.param == "tiny":
        folder = tiny_models.decoder(tmp_path_factory.mktemp("models") / "words.tiny")
    return Wording(encoder, Decoder(folder))


@pytest.fixture(scope="module")
def embedded() -> Decoder:
    return Decoder(ModelFolder.open(EMBEDDED / "sentence_decoder.unprompt"))


def test_there_are_always_words(wording: Wording, encoder: SentenceEncoder) -> None:
    aims = np.random.default_rng(0).standard_normal((2, 384)).astype(np.float32)
    aims = np.concatenate([aims / np.linalg.norm(aims, axis=1, keepdims=True), encoder.encode(["", *PROMPTS])])
    for aim in aims:
        candidates = wording.choose(aim, [])
        texts = [candidate.text for candidate in candidates]
        assert texts
        assert all(text.strip() for text in texts)
        assert len(set(texts)) == len(texts)
        similarities = [candidate.similarity for candidate in candidates]
        assert np.allclose(encoder.encode(texts) @ aim, similarities, atol=1e-4)


def test_what_members_offer_competes(wording: Wording, encoder: SentenceEncoder) -> None:
    first, second = encoder.encode(PROMPTS[:2])
    candidates = wording.choose(first, [(PROMPTS[0], "captioner"), ("a bowl of soup", "interrogator")])
    assert (candidates[0].text, candidates[0].origin) == (PROMPTS[0], "captioner")
    assert candidates[0].similarity == pytest.approx(1, abs=1e-4)
    soup = next(candidate for candidate in candidates if candidate.text == "a bowl of soup")
    assert soup.origin == "interrogator"
    assert soup.similarity < candidates[0].similarity
    assert {candidate.origin for candidate in wording.choose(second, [])} == {"decoder"}


def test_without_a_decoder_the_nearest_offer_is_the_answer(encoder: SentenceEncoder) -> None:
    (aim,) = encoder.encode(PROMPTS[:1])
    offers = [("a bowl of soup", "one"), (PROMPTS[0], "two"), (PROMPTS[0], "three")]
    candidates = Wording(encoder, None).choose(aim, offers)
    found = [(candidate.text, candidate.origin) for candidate in candidates]
    assert found == [(PROMPTS[0], "two"), ("a bowl of soup", "one")]


def test_clip_reads_every_candidate_to_its_end(wording: Wording, encoder: SentenceEncoder) -> None:
    long = ", ".join(f"{PROMPTS[number % 3]} number {number}" for number in range(30))
    wordy = "cat " * 100
    candidates = wording.choose(encoder.encode([long])[0], [(long, "captioner"), (wordy, "captioner")])
    assert max(count_clip_tokens(candidate.text) for candidate in candidates) <= CLIP_CONTENT_TOKENS
    cut = [candidate.text for candidate in candidates if candidate.origin == "captioner"]
    assert len(cut) == 2
    assert any(long.startswith(text) and len(text) > 100 for text in cut)
    assert any(wordy.startswith(text) and len(text) > 100 for text in cut)


def test_several_threads_get_what_one_gets(wording: Wording, encoder: SentenceEncoder) -> None:
    aims = encoder.encode(PROMPTS)
    alone = [wording.choose(aim, [("a castle", "captioner")], CONCEPTS) for aim in aims]
    with ThreadPoolExecutor(3) as threads:
        again = list(threads.map(lambda aim: wording.choose(aim, [("a castle", "captioner")], CONCEPTS), aims))
    assert again == alone


def test_tags_are_the_probable_concepts_or_the_parts_of_a_prompt(encoder: SentenceEncoder, wording: Wording) -> None:
    tags = Wording(encoder, wording._decoder, style="tags")
    (aim,) = encoder.encode(PROMPTS[:1])
    assert tags.choose(aim, [], CONCEPTS)[0].text == "oil painting, dragon, castle"
    parts = tags.choose(aim, [])[0].text.split(", ")
    assert len(set(parts)) == len(parts) >= 1


def test_ground_decides_between_offers_that_are_equally_near(embedded: Decoder, encoder: SentenceEncoder) -> None:
    (dragon, castle) = encoder.encode(["a dragon", "a castle"])
    aim = (dragon + castle) / np.linalg.norm(dragon + castle)
    offers = [("a dragon", "one"), ("a castle", "one")]
    for seen in ("dragon", "castle"):
        candidates = Wording(encoder, embedded).choose(aim, offers, [Concept(seen, 0.9)])
        ranks = {candidate.text: rank for rank, candidate in enumerate(candidates)}
        other = {"dragon": "a castle", "castle": "a dragon"}[seen]
        assert ranks[f"a {seen}"] < ranks[other]


def test_phrases_that_are_seen_are_added(encoder: SentenceEncoder, tmp_path: Path) -> None:
    decoder = Decoder(tiny_models.decoder(tmp_path / "words.tiny"))
    texts = ("oil painting", "stormy sky", "neon lights")
    decoder.phrases = Phrases(texts, encoder.encode(texts))
    (aim,) = encoder.encode(["a red dragon over a castle, oil painting, stormy sky"])
    offers = [("a red dragon over a castle", "captioner")]
    seen = [Concept("dragon", 0.9), Concept("oil painting", 0.6), Concept("stormy", 0.4), Concept("sky", 0.4)]
    best = Wording(encoder, decoder).choose(aim, offers, seen)[0]
    assert best.text.startswith("a red dragon over a castle, ")
    assert {"oil painting", "stormy sky"} == set(best.text.split(", ")[1:])
    # What is not seen is not added, though it would come nearer.
    blind = Wording(encoder, decoder).choose(aim, offers, [Concept("dragon", 0.9), Concept("neon lights", 0.9)])
    assert all("oil painting" not in candidate.text for candidate in blind)


def test_the_nearest_answer_asks_for_nothing_else(embedded: Decoder, encoder: SentenceEncoder) -> None:
    (aim,) = encoder.encode(PROMPTS[2:])
    similarities = [
        candidate.similarity for candidate in Wording(encoder, embedded, readable=0).choose(aim, [], CONCEPTS)
    ]
    assert similarities == sorted(similarities, reverse=True)
