"""The choice of words, with the real sentence encoder, a tiny decoder, and the embedded one where it is there."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_models

from unprompt.answer.wording import Wording
from unprompt.models.store.folder import ModelFolder
from unprompt.models.store.registry import EMBEDDED
from unprompt.text.decoder import Decoder
from unprompt.text.sentence import SentenceEncoder
from unprompt.text.tokenizers import CLIP_CONTENT_TOKENS, count_clip_tokens

PROMPTS = (
    "a red dragon over a castle, oil painting, dramatic light",
    "portrait of an old sailor, charcoal sketch",
    "two dogs run across a snowy field",
)


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return SentenceEncoder.embedded(1)


@pytest.fixture(scope="module", params=["tiny", "embedded"])
def wording(
    request: pytest.FixtureRequest, encoder: SentenceEncoder, tmp_path_factory: pytest.TempPathFactory
) -> Wording:
    embedded = EMBEDDED / "sentence_decoder.unprompt"
    if request.param == "tiny":
        folder = tiny_models.decoder(tmp_path_factory.mktemp("models") / "words.tiny")
    elif embedded.exists():
        folder = ModelFolder.open(embedded)
    else:
        pytest.skip("the decoder is not embedded yet")
    return Wording(encoder, Decoder(folder, 1))


def test_there_are_always_words_best_first(wording: Wording, encoder: SentenceEncoder) -> None:
    aims = np.random.default_rng(0).standard_normal((2, 384)).astype(np.float32)
    aims = np.concatenate([aims / np.linalg.norm(aims, axis=1, keepdims=True), encoder.encode(["", *PROMPTS])])
    answers = wording.choose(aims, [[]] * len(aims))
    assert len(answers) == len(aims)
    for aim, candidates in zip(aims, answers, strict=True):
        assert candidates
        similarities = [candidate.similarity for candidate in candidates]
        assert similarities == sorted(similarities, reverse=True)
        texts = [candidate.text for candidate in candidates]
        assert all(text.strip() for text in texts)
        assert len(set(texts)) == len(texts)
        assert np.allclose(encoder.encode(texts) @ aim, similarities, atol=1e-4)


def test_what_members_offer_competes(wording: Wording, encoder: SentenceEncoder) -> None:
    aims = encoder.encode(PROMPTS)
    offers = [[(PROMPTS[0], "captioner"), ("a bowl of soup", "interrogator")], [(PROMPTS[1], "captioner")], []]
    first, second, third = wording.choose(aims, offers)
    for candidates, prompt in ((first, PROMPTS[0]), (second, PROMPTS[1])):
        assert (candidates[0].text, candidates[0].origin) == (prompt, "captioner")
        assert candidates[0].similarity == pytest.approx(1, abs=1e-4)
    soup = next(candidate for candidate in first if candidate.text == "a bowl of soup")
    assert soup.origin == "interrogator"
    assert soup.similarity < first[0].similarity
    assert {"captioner", "interrogator"}.isdisjoint(candidate.origin for candidate in third)
    assert any(candidate.origin == "decoder" for candidate in third)


def test_parts_of_two_offers_come_nearer_than_either(wording: Wording, encoder: SentenceEncoder) -> None:
    (aim,) = encoder.encode(["a red dragon over a castle, charcoal sketch of an old sailor"])
    offers = [("a red dragon over a castle", "one"), ("charcoal sketch of an old sailor", "two")]
    (candidates,) = wording.choose(aim[None], [offers])
    similarity = {candidate.text: candidate.similarity for candidate in candidates}
    assert candidates[0].similarity > max(similarity[text] for text, _ in offers) + 0.05


def test_clip_reads_every_candidate_to_its_end(wording: Wording, encoder: SentenceEncoder) -> None:
    long = ", ".join(f"{PROMPTS[number % 3]} number {number}" for number in range(30))
    wordy = "cat " * 100
    (candidates,) = wording.choose(encoder.encode([long]), [[(long, "captioner"), (wordy, "captioner")]])
    assert max(count_clip_tokens(candidate.text) for candidate in candidates) <= CLIP_CONTENT_TOKENS
    cut = [candidate.text for candidate in candidates if candidate.origin == "captioner"]
    assert len(cut) == 2
    assert any(long.startswith(text) and len(text) > 100 for text in cut)
    assert any(wordy.startswith(text) and len(text) > 100 for text in cut)


def test_the_same_again_alone_and_among_others(wording: Wording, encoder: SentenceEncoder) -> None:
    aims = encoder.encode(PROMPTS)
    offers = [[("a castle", "captioner")], [], [("a dog in the snow", "captioner")]]
    together = wording.choose(aims, offers)
    assert wording.choose(aims, offers) == together
    alone = [wording.choose(aim[None], [offered])[0] for aim, offered in zip(aims, offers, strict=True)]
    assert alone == together
    assert wording.choose(aims[::-1], offers[::-1]) == together[::-1]
    assert wording.choose(aims[:0], []) == []
