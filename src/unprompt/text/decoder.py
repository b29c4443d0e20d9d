"""The decoder: a vector, and what is seen in the picture, in; sentences out, by beam search with cached keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from unprompt.errors import ModelError
from unprompt.models.regressors.onnx import folder_session
from unprompt.models.store.folder import ModelFolder
from unprompt.models.store.image_model import CONCEPTS
from unprompt.prediction import STYLES, Style, Vector
from unprompt.text.phrases import Phrases

START, END = "<start>", "<end>"
NO_REPEAT = 3
"""A run of this many tokens occurs at most once in a sentence."""
LENGTH_PENALTY = 0.8
"""A finished sentence scores its log probability / length ** LENGTH_PENALTY; without it short ones always win."""

_Ids = npt.NDArray[np.int64]
_Scores = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, and the mean log probability of its tokens: how fluent it is."""

    text: str
    fluency: float


class _Search:
    """The beams of one vector: token ids so far (beams, length), their log probabilities, and finished sentences."""

    def __init__(self, beams: int, start: int) -> None:
        self.tokens: _Ids = np.full((beams, 1), start)
        self.scores: npt.NDArray[np.float64] = np.array([0.0] + [-np.inf] * (beams - 1))
        self.finished: list[tuple[float, float, list[int]]] = []

    def extend(self, likeliest: _Ids, log_probabilities: _Scores, end: int) -> npt.NDArray[np.intp]:
        """Extends the beams by one of the likeliest tokens (beams, n); returns for each new beam the one it extends."""
        beams, width = likeliest.shape
        totals = self.scores[:, None] + np.where(_repeats(self.tokens, likeliest), -np.inf, log_probabilities)
        # Each beam can end at most once, so 2 * beams candidates leave enough that continue. Ties go by token.
        order = np.lexsort((likeliest.ravel(), -totals.ravel()))[: 2 * beams]
        origin, token, total = order // width, likeliest.ravel()[order], totals.ravel()[order]
        ends = token == end
        for beam, score in zip(origin[ends], total[ends], strict=True):
            self._finish(self.tokens[beam, 1:].tolist(), float(score))
        goes_on = np.flatnonzero(~ends)[:beams]
        self.tokens = np.column_stack([self.tokens[origin[goes_on]], token[goes_on]])
        self.scores = total[goes_on]
        return np.asarray(origin[goes_on], np.intp)

    def is_done(self, beams: int) -> bool:
        """Whether no unfinished beam would be among the best `beams` sentences if it ended now."""
        if not np.isfinite(self.scores).any():
            return True
        if len(self.finished) < beams:
            return False
        worst = sorted((rank for rank, _, _ in self.finished), reverse=True)[beams - 1]
        # A longer one could still be. Waiting until that is impossible takes twice the time, and the sentences found
        # are no nearer to their vectors.
        return bool(self.scores.max() / (self.tokens.shape[1] + 1) ** LENGTH_PENALTY < worst)

    def sentences(self) -> list[tuple[float, list[int]]]:
        """Finished sentences with their fluency, likeliest first; if there are none, those that the limit cut off."""
        if not self.finished:
            for row, score in zip(self.tokens[:, 1:], self.scores, strict=True):
                self._finish(row.tolist(), float(score))
        return [(fluency, ids) for _, fluency, ids in sorted(self.finished, key=lambda found: -found[0])]

    def _finish(self, ids: list[int], score: float) -> None:
        if ids and np.isfinite(score):
            length = len(ids) + 1
            self.finished.append((score / length**LENGTH_PENALTY, score / length, ids))


class Decoder:
    """Unit vectors to sentences, with onnxruntime. Deterministic; may be used by several threads at once.

    Each picture is decoded alone and on one core, so that no answer depends on its batch or on the number of threads.
    """

    def __init__(self, folder: ModelFolder) -> None:
        from tokenizers import Tokenizer  # takes 0.1 s, which only decoding pays for

        self.folder = folder
        self._session = folder_session(folder, threads=1)
        self._tokenizer = Tokenizer.from_file(str(folder.file("tokenizer.json")))
        vocabulary = self._tokenizer.get_vocab()
        inputs = {entry.name: entry.shape for entry in self._session.get_inputs()}
        longest = folder.config.get("max_length")
        if "past" not in inputs or not {START, END} <= vocabulary.keys() or type(longest) is not int:
            raise ModelError(
                f"model {folder.name} is no decoder: expected an input 'past' in model.onnx, "
                f"the tokens {START} and {END} in tokenizer.json, and a whole number max_length in config.json"
            )
        self._start, self._end, self._longest = vocabulary[START], vocabulary[END], longest
        self._depth, self._heads, self._head_width = inputs["past"][0], inputs["past"][3], inputs["past"][5]
        self.concepts = _read_concepts(folder, inputs["concepts"][1]) if "concepts" in inputs else {}

    @cached_property
    def phrases(self) -> Phrases | None:
        """The phrases that may be added to its sentences, if it comes with any."""
        return Phrases.read(self.folder)

    def sentences(
        self, vector: Vector, beams: int, *, concepts: Mapping[str, float] | None = None, style: Style = "prompt"
    ) -> list[Sentence]:
        """Up to `beams` different sentences for a unit vector (384,), likeliest first.

        `concepts` are the probabilities of what is seen, by name; unknown names are ignored. A decoder without sight
        ignores them all, and the style. Finished sentences come before those that the length limit cut off, however
        likely these are.
        """
        search = _Search(beams, self._start)
        fixed = self._fixed_inputs(vector, beams, concepts or {}, style)
        past = np.zeros((self._depth, 2, beams, self._heads, 0, self._head_width), np.float32)
        for _ in range(self._longest):
            likeliest, log_probabilities, past = self._step(search.tokens[:, -1:], past, fixed)
            origins = search.extend(likeliest, log_probabilities, self._end)
            if search.is_done(beams):
                break
            past = past[:, :, origins]
        texts: dict[str, Sentence] = {}
        for fluency, ids in search.sentences():
            if text := self._tokenizer.decode(ids).strip():
                texts.setdefault(text, Sentence(text, fluency))
        return list(texts.values())[:beams]

    def _fixed_inputs(
        self, vector: Vector, beams: int, concepts: Mapping[str, float], style: Style
    ) -> dict[str, npt.NDArray[np.generic]]:
        fixed: dict[str, npt.NDArray[np.generic]] = {"vector": np.repeat(vector[None], beams, axis=0)}
        if self.concepts:
            seen = np.zeros((1, len(self.concepts)), np.float32)
            for name, probability in concepts.items():
                if (place := self.concepts.get(name)) is not None:
                    seen[0, place] = probability
            fixed |= {"concepts": np.repeat(seen, beams, axis=0), "style": np.full(beams, STYLES.index(style))}
        return fixed

    def _step(
        self, last: _Ids, past: npt.NDArray[np.float32], fixed: Mapping[str, npt.NDArray[np.generic]]
    ) -> tuple[_Ids, _Scores, npt.NDArray[np.float32]]:
        *found, present = self._session.run(None, {"tokens": last, "past": past, **fixed})
        if len(found) == 2:
            return found[0], found[1], present
        logits = found[0][:, 0]  # a decoder from before the model itself chose the likeliest
        logits[:, self._start] = -np.inf
        return *_likeliest(logits, 4 * len(last)), present


def _read_concepts(folder: ModelFolder, count: int) -> dict[str, int]:
    """The places of concepts by name. Raises ModelError if there are not as many names as the model expects."""
    names = folder.file(CONCEPTS).read_text(encoding="utf-8").splitlines()
    if len(names) != count:
        raise ModelError(f"model {folder.name}: expected {count} concepts in {CONCEPTS}, found {len(names)}")
    return {name: place for place, name in enumerate(names)}


def _likeliest(logits: npt.NDArray[np.float32], width: int) -> tuple[_Ids, _Scores]:
    """The `width` likeliest tokens of each row of logits (beams, vocabulary), with their log probabilities."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    chosen = np.argpartition(log_probabilities, -min(width, logits.shape[1]), axis=1)[:, -width:]
    return chosen, np.take_along_axis(log_probabilities, chosen, axis=1)


def _repeats(tokens: _Ids, following: _Ids) -> npt.NDArray[np.bool_]:
    """Whether each of the tokens (beams, n) that may follow would repeat a run of NO_REPEAT tokens."""
    repeats = np.zeros(following.shape, bool)
    if tokens.shape[1] < NO_REPEAT:
        return repeats
    runs = np.lib.stride_tricks.sliding_window_view(tokens, NO_REPEAT, axis=1)  # (beams, length - 2, NO_REPEAT)
    same_start = (runs[:, :, :-1] == tokens[:, None, -(NO_REPEAT - 1) :]).all(axis=2)
    for beam, place in zip(*np.nonzero(same_start), strict=True):
        repeats[beam] |= following[beam] == runs[beam, place, -1]
    return repeats
