"""Wording: the search for the sentence whose own vector is nearest to the fused vector.

Members offer sentences, and the decoder adds its beams. The best of them is then edited: parts of the others, phrases
and single words are added, replaced and removed as long as that brings it nearer. The fused vector of a picture that
could be several things lies between sentences, so an edited one comes nearer than any plain one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from unprompt.prediction import Candidate, Style, Vector
from unprompt.text.decoder import Decoder
from unprompt.text.products import products
from unprompt.text.sentence import SentenceEncoder
from unprompt.text.tokenizers import CLIP_CONTENT_TOKENS, cut_to_tokens, fits_clip, load_clip_tokenizer
from unprompt.text.words import FUNCTION_WORDS, Words

# Measured on validation pictures; see the model card of the decoder.
BEAMS = 8
EDITS = 12
"""The most edits made one after the other."""
LEAST_GAIN = 0.003
"""The least gain in cosine for which an edit is kept: a longer prompt has to be worth reading."""
ADDITIONS = 12
"""Fragments considered for each edit as additions; the first SUBSTITUTES of them also as replacements."""
SUBSTITUTES = 4
TRIED = 24
"""Edits that are encoded at each step, those with the best estimate."""
SHARE = 0.15
"""The estimated share of a fragment in a sentence's vector: v + SHARE * (added - removed)."""

Offer = tuple[str, str]
"""A sentence, and the name of the member that offers it."""


@dataclass
class _Pool:
    """Every sentence tried for one target, with its vector; each is encoded once."""

    encoder: SentenceEncoder
    target: Vector
    origins: dict[str, str] = field(default_factory=dict)
    vectors: dict[str, Vector] = field(default_factory=dict)

    def add(self, offers: Iterable[Offer]) -> None:
        new = {text: origin for text, origin in offers if text and text not in self.origins}
        self.origins |= new
        self.vectors |= zip(new, self.encoder.encode(list(new)), strict=True)

    def similarity(self, text: str) -> float:
        return float(self.vectors[text] @ self.target)

    def best(self) -> str:
        return self.ranked()[0].text

    def ranked(self) -> tuple[Candidate, ...]:
        found = [Candidate(text, self.similarity(text), origin) for text, origin in self.origins.items()]
        return tuple(sorted(found, key=lambda candidate: (-candidate.similarity, candidate.text)))


class Wording:
    """Finds sentences for fused vectors. Deterministic; each picture alone, so no answer depends on its batch."""

    def __init__(
        self, encoder: SentenceEncoder, decoder: Decoder | None, *, style: Style = "prompt", readable: float = 0.5
    ) -> None:
        """Without a decoder, the result is a sentence that a member offers, unedited, whatever the style."""
        self._encoder, self._decoder = encoder, decoder
        self.style, self.readable = style, readable

    def load(self) -> None:
        """Loads now what the first sentence would otherwise load."""
        if self._decoder is not None:
            _ = self._decoder.words
            load_clip_tokenizer()

    def choose(self, fused: npt.NDArray[np.float32], offers: Sequence[Sequence[Offer]]) -> list[tuple[Candidate, ...]]:
        """Candidates for each fused vector (n, 384), nearest first. `offers` holds the members' sentences for each."""
        return [self._choose(target, offered) for target, offered in zip(fused, offers, strict=True)]

    def _choose(self, target: Vector, offered: Sequence[Offer]) -> tuple[Candidate, ...]:
        pool = _Pool(self._encoder, target)
        if self._decoder is None:
            pool.add(offered)
            return pool.ranked()
        words = self._decoder.words
        # The nearest single word is always a candidate, so there is an answer even if nobody offers a sentence.
        pool.add([(words.texts[int(np.argmax(products(target[None], words.vectors)))], "decoder")])
        pool.add((_fitting(text), origin) for text, origin in offered)
        (sentences,) = self._decoder.sentences(target[None], BEAMS)
        pool.add((_fitting(sentence), "decoder") for sentence in sentences)
        _walk(pool, words)
        return pool.ranked()


class _Fragments:
    """Words and phrases with their vectors, from which the effect of an edit is estimated."""

    def __init__(self, encoder: SentenceEncoder, words: Words, phrases: Sequence[str]) -> None:
        self._encoder = encoder
        self.texts = list(dict.fromkeys((*phrases, *words.texts)))
        vectors = dict(zip(words.texts, words.vectors, strict=True))
        self._vectors = vectors | dict(zip(phrases, encoder.encode(phrases), strict=True))
        self._matrix = np.stack([self._vectors[text] for text in self.texts])  # (fragments, 384)

    def promising(self, start: Vector, target: Vector) -> list[str]:
        """The fragments whose addition to a sentence at `start` should bring it nearest to `target`, best first."""
        nearest = _nearest(start + SHARE * self._matrix, target)
        return [self.texts[index] for index in nearest[: 2 * ADDITIONS]]

    def most_promising(self, edits: Sequence[_Edit], start: Vector, target: Vector) -> list[str]:
        """The texts of the edits with the best estimates, which are worth encoding."""
        self._learn({fragment for edit in edits for fragment in (edit.added, edit.removed)} - self._vectors.keys())
        nothing = np.zeros_like(start)
        gained = np.stack([self._vectors[edit.added] if edit.added else nothing for edit in edits])
        lost = np.stack([self._vectors[edit.removed] if edit.removed else nothing for edit in edits])
        return [edits[index].text for index in _nearest(start + SHARE * (gained - lost), target)[:TRIED]]

    def _learn(self, fragments: set[str]) -> None:
        new = sorted(fragments - {""})
        self._vectors |= dict(zip(new, self._encoder.encode(new), strict=True))


@dataclass(frozen=True)
class _Edit:
    """An edited sentence, with the fragment added to it and the one removed from it ("": none)."""

    text: str
    added: str = ""
    removed: str = ""


def _walk(pool: _Pool, words: Words) -> None:
    """Hill climbing: edits the best sentence, one edit at a time, while it comes nearer."""
    texts = [candidate.text for candidate in pool.ranked()]
    phrases = list(dict.fromkeys(phrase for text in texts for phrase in (*_parts(text), *_phrases(text))))
    fragments = _Fragments(pool.encoder, words, phrases)
    best = texts[0]
    for _ in range(EDITS):
        start = pool.vectors[best]
        edits = _edits(best, fragments.promising(start, pool.target))
        if not edits:  # one or two words, and no other fragment to add
            break
        tried = fragments.most_promising(edits, start, pool.target)
        pool.add((text, "edited") for text in tried if fits_clip(text))
        nearest = pool.best()
        if pool.similarity(nearest) < pool.similarity(best) + LEAST_GAIN:
            break
        best = nearest


def _edits(text: str, promising: Sequence[str]) -> list[_Edit]:
    """All edits of a text by one part or word: added (of `promising`, best first), replaced or removed."""
    parts, words = _parts(text), text.split()
    said = {*parts, *words}
    additions = [fragment for fragment in promising if fragment not in said][:ADDITIONS]
    edits = [_Edit(", ".join([*parts, addition]), addition) for addition in additions]
    for place, part in enumerate(parts if len(parts) > 1 else ()):
        before, after = parts[:place], parts[place + 1 :]
        edits.append(_Edit(", ".join([*before, *after]), "", part))
        edits += [_Edit(", ".join([*before, new, *after]), new, part) for new in additions[:SUBSTITUTES]]
    single = [addition for addition in additions if " " not in addition][:SUBSTITUTES]
    for place, word in enumerate(words if len(words) > 2 else ()):
        before, after = words[:place], words[place + 1 :]
        bare = word.strip(" .,")
        comma = "," if word.endswith(",") else ""
        edits.append(_Edit(_joined([*before, *after]), "", bare))
        if bare not in FUNCTION_WORDS:
            edits += [_Edit(_joined([*before, new + comma, *after]), new, bare) for new in single]
    return edits


def _nearest(vectors: npt.NDArray[np.floating], target: Vector) -> npt.NDArray[np.intp]:
    """The indices of vectors (n, 384), of any length, by their cosine with the target, nearest first."""
    (along,) = products(target[None], vectors)
    return np.argsort(-along / np.linalg.norm(vectors, axis=1), kind="stable")


def _joined(words: Sequence[str]) -> str:
    """Joins words to a sentence that neither begins nor ends with a comma."""
    return " ".join(words).strip(" ,")


def _parts(text: str) -> list[str]:
    """The parts of a text between its commas."""
    return [part for part in (part.strip(" .") for part in text.split(",")) if part]


def _phrases(text: str) -> list[str]:
    """The phrases between function words: "a dog on green grass" -> "dog", "green grass"."""
    phrases = []
    for part in _parts(text):
        phrase: list[str] = []
        for word in (*part.split(), "the"):
            if word not in FUNCTION_WORDS:
                phrase.append(word)
            elif phrase:
                phrases.append(" ".join(phrase))
                phrase = []
    return phrases


def _fitting(text: str) -> str:
    """The text, cut to what CLIP reads."""
    return cut_to_tokens(text, CLIP_CONTENT_TOKENS)
