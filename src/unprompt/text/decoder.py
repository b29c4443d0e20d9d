"""The decoder: a vector in, sentences out, by beam search with cached keys and values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from unprompt.errors import ModelError
from unprompt.models.regressors.onnx import folder_session
from unprompt.models.store.folder import ModelFolder
from unprompt.text.words import Words

START, END = "<start>", "<end>"
NO_REPEAT = 3
"""A run of this many tokens occurs at most once in a sentence."""
LENGTH_PENALTY = 0.8
"""A finished sentence scores its log probability / length ** LENGTH_PENALTY; without it short ones always win."""


@dataclass
class _Search:
    """The beams of one vector: token ids so far (beams, length), their log probabilities, and finished sentences."""

    tokens: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    finished: list[tuple[float, list[int]]]


class Decoder:
    """Unit vectors to sentences, with onnxruntime. Deterministic."""

    def __init__(self, folder: ModelFolder, threads: int = 0) -> None:
        from tokenizers import Tokenizer  # takes 0.1 s, which only decoding pays for

        self.folder = folder
        self._session = folder_session(folder, threads)
        self._tokenizer = Tokenizer.from_file(str(folder.file("tokenizer.json")))
        vocabulary = self._tokenizer.get_vocab()
        cache = next((entry.shape for entry in self._session.get_inputs() if entry.name == "past"), None)
        longest = folder.config.get("max_length")
        if cache is None or not {START, END} <= vocabulary.keys() or type(longest) is not int:
            raise ModelError(
                f"model {folder.name} is no decoder: expected an input 'past' in model.onnx, "
                f"the tokens {START} and {END} in tokenizer.json, and a whole number max_length in config.json"
            )
        self._start, self._end = vocabulary[START], vocabulary[END]
        self._longest = longest
        self._depth, self._heads, self._head_width = cache[0], cache[3], cache[5]

    @cached_property
    def words(self) -> Words:
        """The single words in the decoder's vocabulary."""
        return Words.read(self.folder)

    def sentences(self, vectors: npt.NDArray[np.float32], beams: int) -> list[list[str]]:
        """Up to `beams` different sentences for each vector (n, 384), likeliest first.

        Finished sentences come before those that the length limit cut off, however likely these are.
        """
        searches = [
            _Search(np.full((beams, 1), self._start), np.array([0.0] + [-np.inf] * (beams - 1)), []) for _ in vectors
        ]
        going = list(range(len(searches)))
        empty = (self._depth, 2, len(vectors) * beams, self._heads, 0, self._head_width)
        past = np.zeros(empty, np.float32)
        for _ in range(self._longest if going else 0):
            logits, past = self._step([searches[at] for at in going], np.repeat(vectors[going], beams, axis=0), past)
            rows = _log_softmax(logits).reshape(len(going), beams, -1)
            origins = [place * beams + self._extend(searches[at], rows[place]) for place, at in enumerate(going)]
            # Each search ends on its own, so that no answer depends on the rest of the batch.
            left = [place for place, at in enumerate(going) if not _is_done(searches[at], beams)]
            if not left:
                break
            past = past[:, :, np.concatenate([origins[place] for place in left])]
            going = [going[place] for place in left]
        return [self._texts(search, beams) for search in searches]

    def _step(
        self, searches: Sequence[_Search], vectors: npt.NDArray[np.float32], past: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        last = np.concatenate([search.tokens[:, -1:] for search in searches])
        logits, present = self._session.run(None, {"tokens": last, "vector": vectors, "past": past})
        return logits[:, 0], present

    def _extend(self, search: _Search, log_probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
        """Extends the beams by one token; returns for each new beam the one that it extends (beams,)."""
        beams = len(log_probabilities)
        log_probabilities[:, self._start] = -np.inf
        _forbid_repeats(search.tokens, log_probabilities)
        # Each beam can end at most once, so 2 * beams candidates leave enough that continue.
        width = min(2 * beams, log_probabilities.shape[1])
        likeliest = np.argpartition(log_probabilities, -width, axis=1)[:, -width:]
        totals = search.scores[:, None] + np.take_along_axis(log_probabilities, likeliest, axis=1)
        order = np.lexsort((likeliest.ravel(), -totals.ravel()))[
            : 2 * beams
        ]  # ties are ordered by token, so that the result is deterministic
        origin, token, total = order // width, likeliest.ravel()[order], totals.ravel()[order]
        ends = token == self._end
        for beam, score in zip(origin[ends], total[ends], strict=True):
            sentence = search.tokens[beam, 1:].tolist()
            if sentence and np.isfinite(score):
                search.finished.append((score / (len(sentence) + 1) ** LENGTH_PENALTY, sentence))
        goes_on = np.flatnonzero(~ends)[:beams]
        search.tokens = np.column_stack([search.tokens[origin[goes_on]], token[goes_on]])
        search.scores = total[goes_on]
        return np.asarray(origin[goes_on], np.intp)

    def _texts(self, search: _Search, beams: int) -> list[str]:
        """Finished sentences, likeliest first; if there are none, those that the length limit cut off."""
        finished = sorted(search.finished, key=lambda found: -found[0]) or [
            (score, row.tolist())
            for score, row in zip(search.scores, search.tokens[:, 1:], strict=True)
            if np.isfinite(score)
        ]
        texts = (self._tokenizer.decode(ids).strip() for _, ids in finished)
        return list(dict.fromkeys(text for text in texts if text))[:beams]


def _is_done(search: _Search, beams: int) -> bool:
    """Whether no unfinished beam would be among the best `beams` sentences if it ended now."""
    if len(search.finished) < beams:
        return False
    worst = sorted((score for score, _ in search.finished), reverse=True)[beams - 1]
    # A longer one could still be. Waiting until that is impossible takes twice the time, and the sentences found are
    # no nearer to their vectors.
    return bool(search.scores.max() / (search.tokens.shape[1] + 1) ** LENGTH_PENALTY < worst)


def _forbid_repeats(tokens: npt.NDArray[np.int64], log_probabilities: npt.NDArray[np.float32]) -> None:
    """Rules out, in place, each token that would repeat a run of NO_REPEAT tokens."""
    if tokens.shape[1] < NO_REPEAT:
        return
    runs = np.lib.stride_tricks.sliding_window_view(tokens, NO_REPEAT, axis=1)  # (beams, length - 2, NO_REPEAT)
    same_start = (runs[:, :, :-1] == tokens[:, None, -(NO_REPEAT - 1) :]).all(axis=2)
    beam, place = np.nonzero(same_start)
    log_probabilities[beam, runs[beam, place, -1]] = -np.inf


def _log_softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))
