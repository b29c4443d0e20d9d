"""Wording: a text for a fused vector and for what is seen in the picture.

Members offer texts, and the decoder writes some. To the nearest of them phrases are added, as people write prompts:
subject, then medium, style, light. The best of all comes near the fused vector, names what is seen, its main subject
first, and reads well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from unprompt.prediction import Candidate, Concept, Style, Vector
from unprompt.text.content_words import content_stems, content_words, stem, subject
from unprompt.text.decoder import Decoder
from unprompt.text.phrases import Phrases
from unprompt.text.sentence import SentenceEncoder
from unprompt.text.tokenizers import CLIP_CONTENT_TOKENS, cut_to_tokens, load_merges

# Measured on validation pictures; see the model card of the decoder.
BEAMS = 4
ENCODED = 4
"""The likeliest of the decoder's texts, whose vectors are compared with the fused one."""
STARTS, ADDITIONS = 2, 5
"""The nearest texts to which phrases are added, and how many are at most."""
SHARE = 0.25
"""The estimated share of a phrase in a text's vector, v + SHARE * phrase."""
LEAST_GAIN = 0.003
"""The least estimated gain in cosine for which a phrase is added: a longer prompt has to be worth reading."""
LEAST_GROUND = 0.02
"""The least ground of a phrase: what is not seen is not added."""
GROUND, SUBJECT, FLUENCY = 0.2, 0.1, 0.05
"""What a text's ground, its subject's and its fluency are worth beside its cosine with the fused vector."""
UNKNOWN = 0.05
"""The ground of a word that is no concept of the model: it may be right, but nothing says so."""
_TEMPLATE = re.compile(r" relate to keywords:? ?|,? in the style of(?=[.,]|$)")
"""What prompts made by a template say, of which the decoder has read hundreds, and ends that lead nowhere."""
TAGS, LEAST_TAG = 16, 0.12
"""The most tags, and the least probability of one."""

Offer = tuple[str, str]
"""A text, and the name of the member that offers it."""


@dataclass(frozen=True, slots=True)
class _Draft:
    """A text with its source and, if the decoder wrote it, its fluency."""

    text: str
    origin: str
    fluency: float | None = None


class Wording:
    """Finds texts for fused vectors. Deterministic; each picture alone, so no answer depends on its batch.

    `style` is that of the decoder's texts. `readable` is from 0, the nearest text, to 1, the one that reads best and
    names only what is seen.
    """

    def __init__(
        self, encoder: SentenceEncoder, decoder: Decoder | None, *, style: Style = "prompt", readable: float = 0.5
    ) -> None:
        """Without a decoder, the result is a text that a member offers."""
        self._encoder, self._decoder = encoder, decoder
        self._style, self._readable = style, readable

    def load(self) -> None:
        """Loads now what the first text would otherwise load."""
        if self._decoder is not None:
            load_merges()

    def choose(self, fused: Vector, offers: Sequence[Offer], concepts: Sequence[Concept] = ()) -> tuple[Candidate, ...]:
        """Candidates for a fused vector (384,) and for what is seen, best first. `offers` are the members' texts."""
        sight = _Sight(concepts, self._decoder)
        drafts = self._drafts(fused, offers, concepts)
        vectors = self._encoder.encode([draft.text for draft in drafts])
        longer = self._longer(fused, drafts, vectors, sight)
        if longer:
            drafts = [*drafts, *longer]
            vectors = np.concatenate([vectors, self._encoder.encode([draft.text for draft in longer])])
        similarities = np.asarray(vectors @ fused, np.float64)
        worth = [
            similarity + 2 * self._readable * self._extra(draft, sight)
            for draft, similarity in zip(drafts, similarities, strict=True)
        ]
        order = sorted(range(len(drafts)), key=lambda place: (-worth[place], drafts[place].text))
        return tuple(Candidate(drafts[place].text, float(similarities[place]), drafts[place].origin) for place in order)

    def _drafts(self, fused: Vector, offers: Sequence[Offer], concepts: Sequence[Concept]) -> list[_Draft]:
        """All different texts; the first of equals counts."""
        if self._decoder is None:
            drafts = [_Draft(text, origin) for text, origin in offers]
        else:
            drafts = [_Draft(_fitting(text), origin) for text, origin in offers]
            drafts += self._written(fused, concepts)
        return list({draft.text: draft for draft in reversed(drafts) if draft.text}.values())

    def _longer(self, fused: Vector, drafts: Sequence[_Draft], vectors: Vector, sight: _Sight) -> list[_Draft]:
        """The nearest texts with phrases added as long as an estimate says that it pays."""
        phrases = None if self._decoder is None or self._style != "prompt" else self._decoder.phrases
        if phrases is None:
            return []
        grounds = [sight.ground_of(stems, unknown=0.0) for stems in phrases.stems]
        seen = [place for place, ground in enumerate(grounds) if ground >= LEAST_GROUND]
        nearest = np.argsort(-(vectors @ fused), kind="stable")[:STARTS]
        return [
            _Draft(_fitting(text), "decoder", drafts[place].fluency)
            for place in nearest.tolist()
            for text in _extended(drafts[place].text, vectors[place], fused, phrases, seen)
        ]

    def _written(self, fused: Vector, concepts: Sequence[Concept]) -> Iterator[_Draft]:
        """The decoder's texts; as tags, the concepts, or the parts of these texts if nothing is known of concepts."""
        assert self._decoder is not None
        seen = {concept.name: concept.probability for concept in concepts}
        if self._style == "tags" and (tags := _tags(concepts)):
            yield _Draft(tags, "concepts")
            return
        for sentence in self._decoder.sentences(fused, BEAMS, concepts=seen, style=self._style)[:ENCODED]:
            written = _without_template(sentence.text)
            text = _as_tags(written) if self._style == "tags" else written
            yield _Draft(_fitting(text), "decoder", sentence.fluency)

    def _extra(self, draft: _Draft, sight: _Sight) -> float:
        """What a text is worth beside its nearness."""
        fluency = FLUENCY * draft.fluency if draft.fluency is not None else 0.0
        if not sight.known:
            return fluency
        return fluency + GROUND * sight.ground(draft.text) + SUBJECT * sight.of(subject(draft.text))


class _Sight:
    """The probabilities of what is seen in a picture, by the stems of words."""

    def __init__(self, concepts: Sequence[Concept], decoder: Decoder | None) -> None:
        names = decoder.concepts if decoder is not None and concepts else {}
        self.known = {stem(name): 0.0 for name in names if " " not in name}
        for concept in reversed(concepts):
            for word in content_words(concept.name):
                self.known[stem(word)] = max(concept.probability, self.known.get(stem(word), 0.0))

    def of(self, word: str) -> float:
        """The probability of a word by its stem."""
        return self.known.get(word, UNKNOWN)

    def ground(self, text: str) -> float:
        """The mean probability of a text's content words, 0 to 1."""
        return self.ground_of(content_stems(text))

    def ground_of(self, stems: frozenset[str], unknown: float = UNKNOWN) -> float:
        """The mean probability of words by their stems, 0 to 1; `unknown` is that of a word that is no concept."""
        return sum(self.known.get(word, unknown) for word in sorted(stems)) / len(stems) if stems else 0.0


def _extended(text: str, vector: Vector, fused: Vector, phrases: Phrases, seen: Sequence[int]) -> list[str]:
    """The text with all phrases that should bring it nearer, and with half of them; none repeats what it says."""
    said, found = set(content_stems(text)), []
    text = text.rstrip(" .,;:")
    for _ in range(ADDITIONS):
        new = [place for place in seen if not phrases.stems[place] <= said]
        if not new:
            break
        moved = vector + SHARE * phrases.vectors[new]  # (phrases, 384)
        moved /= np.linalg.norm(moved, axis=1, keepdims=True)
        cosines = (moved * fused).sum(axis=1)
        best = int(np.argmax(cosines))
        if cosines[best] < float(vector @ fused) + LEAST_GAIN:
            break
        vector, text = moved[best], f"{text}, {phrases.texts[new[best]]}"
        said |= phrases.stems[new[best]]
        found.append(text)
    # Encoding is what takes the time: the middle and the end stand for the others.
    return list(dict.fromkeys([*found[len(found) // 2 : len(found) // 2 + 1], *found[-1:]]))


def _without_template(text: str) -> str:
    """The text with a comma in the place of a template's words."""
    return _TEMPLATE.sub(", ", text).strip(" ,")


def _tags(concepts: Sequence[Concept]) -> str:
    """The probable concepts as tags; a word that is part of a tag already stands in it."""
    chosen: list[str] = []
    said: set[str] = set()
    for concept in concepts:
        words = set(concept.name.split())
        if concept.probability >= LEAST_TAG and not words <= said and len(chosen) < TAGS:
            chosen.append(concept.name)
            said |= words
    return ", ".join(chosen)


def _as_tags(text: str) -> str:
    """A text's parts between commas, without articles; of a plain sentence its content words."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return ", ".join(parts) if len(parts) > 1 else ", ".join(dict.fromkeys(content_words(text)))


def _fitting(text: str) -> str:
    """The text, cut to what CLIP reads."""
    return cut_to_tokens(text, CLIP_CONTENT_TOKENS)
