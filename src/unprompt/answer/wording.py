"""Fused vector -> prompt: the sentence whose own vector lies nearest.

Members offer sentences, and the decoder adds its beams. Then the best sentence is edited: parts of the others, phrases
and single words are added, exchanged and left out while that brings it nearer, because the fused vector of a picture
that could be several things lies between sentences, and no plain one of them comes as near.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from unprompt.prediction import Candidate, Vector
from unprompt.text.decoder import Decoder
from unprompt.text.products import products
from unprompt.text.sentence import SentenceEncoder
from unprompt.text.tokenizers import CLIP_CONTENT_TOKENS, cut_to_tokens, fits_clip, load_clip_tokenizer
from unprompt.text.words import FUNCTION_WORDS, Words

# Measured on validation pictures; see the model card of the decoder.
BEAMS = 8
EDITS = 12
"""Edits in a row, at most."""
LEAST_GAIN = 0.003
"""An edit must bring the sentence at least so much nearer (cosine): a longer prompt has to be worth reading."""
ADDITIONS = 12
"""Fragments that are thought of as additions at each edit; the first SUBSTITUTES of them in the place of others too."""
SUBSTITUTES = 4
TRIED = 24
"""Edits that are encoded, of all that are estimated."""
SHARE = 0.15
"""What a fragment contributes to the sentence's vector, by estimate: v + SHARE * (added - removed)."""

Offer = tuple[str, str]
"""A sentence and the name of who offers it."""


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
    """Chooses sentences for fused vectors. Deterministic, one picture at a time: no answer depends on a neighbour."""

    def __init__(self, encoder: SentenceEncoder, decoder: Decoder | None) -> None:
        """Without a decoder the sentence is one that a member offers, as it is."""
        self._encoder, self._decoder = encoder, decoder

    def load(self) -> None:
        """Loads what is otherwise loaded when the first sentence needs it."""
        if self._decoder is not None:
            _ = self._decoder.words
            load_clip_tokenizer()

    def choose(self, fused: npt.NDArray[np.float32], offers: Sequence[Sequence[Offer]]) -> list[tuple[Candidate, ...]]:
        """Candidates for each fused vector (n, 384), nearest first; `offers` holds what members offer for each."""
        return [self._choose(target, offered) for target, offered in zip(fused, offers, strict=True)]

    def _choose(self, target: Vector, offered: Sequence[Offer]) -> tuple[Candidate, ...]:
        pool = _Pool(self._encoder, target)
        if self._decoder is None:
            pool.add(offered)
            return pool.ranked()
        words = self._decoder.words
        # The nearest word is there whatever the members and the decoder say, so there is always an answer.
        pool.add([(words.texts[int(np.argmax(products(target[None], words.vectors)))], "decoder")])
        pool.add((_fitting(text), origin) for text, origin in offered)
        (sentences,) = self._decoder.sentences(target[None], BEAMS)
        pool.add((_fitting(sentence), "decoder") for sentence in sentences)
        _walk(pool, words)
        return pool.ranked()


class _Fragments:
    """Words and phrases with their vectors, for estimating what an edit would do."""

    def __init__(self, encoder: SentenceEncoder, words: Words, phrases: Sequence[str]) -> None:
        self._encoder = encoder
        self.texts = list(dict.fromkeys((*phrases, *words.texts)))
        vectors = dict(zip(words.texts, words.vectors, strict=True))
        self._vectors = vectors | dict(zip(phrases, encoder.encode(phrases), strict=True))
        self._matrix = np.stack([self._vectors[text] for text in self.texts])  # (fragments, 384)

    def promising(self, start: Vector, target: Vector) -> list[str]:
        """The fragments that, added to a sentence at `start`, bring it nearest to `target`, best first."""
        nearest = _nearest(start + SHARE * self._matrix, target)
        return [self.texts[index] for index in nearest[: 2 * ADDITIONS]]

    def most_promising(self, edits: Sequence[_Edit], start: Vector, target: Vector) -> list[str]:
        """The texts of the edits that are worth encoding."""
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
    """A changed sentence, and which fragments it won and lost ("": none)."""

    text: str
    added: str = ""
    removed: str = ""


def _walk(pool: _Pool, words: Words) -> None:
    """Walks from the best sentence to nearer ones, an edit at a time."""
    texts = [candidate.text for candidate in pool.ranked()]
    phrases = list(dict.fromkeys(phrase for text in texts for phrase in (*_parts(text), *_phrases(text))))
    fragments = _Fragments(pool.encoder, words, phrases)
    best = texts[0]
    for _ in range(EDITS):
        start = pool.vectors[best]
        edits = _edits(best, fragments.promising(start, pool.target))
        if not edits:  # a word or two, and no other fragment to add
            break
        tried = fragments.most_promising(edits, start, pool.target)
        pool.add((text, "edited") for text in tried if fits_clip(text))
        nearest = pool.best()
        if pool.similarity(nearest) < pool.similarity(best) + LEAST_GAIN:
            break
        best = nearest


def _edits(text: str, promising: Sequence[str]) -> list[_Edit]:
    """The text with a part or a word added, exchanged or left out; `promising` are fragments to add, best first."""
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
    """Places of vectors (n, 384), of any length, by their cosine to the target, nearest first."""
    (along,) = products(target[None], vectors)
    return np.argsort(-along / np.linalg.norm(vectors, axis=1), kind="stable")


def _joined(words: Sequence[str]) -> str:
    """Words as a sentence that neither begins nor ends with a comma."""
    return " ".join(words).strip(" ,")


def _parts(text: str) -> list[str]:
    """What stands between commas."""
    return [part for part in (part.strip(" .") for part in text.split(",")) if part]


def _phrases(text: str) -> list[str]:
    """What stands between function words: "a dog on green grass" -> "dog", "green grass"."""
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
    """The text, cut so that CLIP reads all of it."""
    return cut_to_tokens(text, CLIP_CONTENT_TOKENS)
