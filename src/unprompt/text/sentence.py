"""The metric space: all-MiniLM-L6-v2, which turns a sentence into a unit vector of 384 numbers.

Source: Reimers and Gurevych, "Sentence-BERT" (2019), the model `sentence-transformers/all-MiniLM-L6-v2`.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from unprompt.models.regressors.onnx import folder_session
from unprompt.models.store.folder import ModelFolder
from unprompt.models.store.image_model import ONNX_WEIGHTS
from unprompt.models.store.registry import SENTENCE_ENCODER, find_model
from unprompt.prediction import EMBEDDING_SIZE
from unprompt.threads import core_count

if TYPE_CHECKING:
    import numpy.typing as npt

QUICK, QUICK_WEIGHTS = "quick.onnx", "quick.json"
"""The graph that computes in 8-bit integers what model.onnx computes in floats, and what its weights are made of."""

LONGEST = 256
"""Word pieces that the model was trained to read. The rest of a text is cut off, as in the reference."""

_LOOKED_AT = 128 * LONGEST
"""Characters of a text that the tokenizer is given, which takes 190 bytes of memory for each: room for all the pieces
that are read, each a word of the 100 letters that it knows at most."""

_TOGETHER = 64
"""Texts whose tokens are held with all that the tokenizer says of them, 100 KB for the longest."""


class SentenceEncoder:
    """Texts to unit vectors, with onnxruntime. May be used by several threads at once.

    A batch of texts is encoded on one core, and several batches at a time, so that no vector depends on the number of
    threads, and no thread waits for another inside the model. With `quick` the vectors are only near the model's own
    (a cosine of 0.993) and depend a little on what is encoded with them: enough to choose among the texts of one
    picture, in half the time.
    """

    def __init__(self, folder: ModelFolder, threads: int = 0, *, quick: bool = False) -> None:
        from tokenizers import Tokenizer  # takes 0.1 s, which only encoding pays for

        self.folder = folder
        self._threads = threads or core_count()
        is_quick = quick and QUICK in folder.config["files"]
        self._session = folder_session(folder, 1, QUICK if is_quick else ONNX_WEIGHTS)
        self._tokenizer = Tokenizer.from_file(str(folder.file("tokenizer.json")))
        self._tokenizer.enable_truncation(LONGEST)
        self._tokenizer.no_padding()

    @classmethod
    def embedded(cls, threads: int = 0) -> SentenceEncoder:
        """The encoder that the package contains. `threads` 0: one for each core."""
        return cls(find_model(SENTENCE_ENCODER), threads)

    def encode(self, texts: Sequence[str], batch_size: int = 32) -> npt.NDArray[np.float32]:
        """Unit vectors (len(texts), 384) float32, in the order of the texts.

        Texts of similar length go through the model together, `batch_size` at a time. An empty text has a vector too,
        the model's own. Only the first `LONGEST` word pieces of a text count: see `reads_all`.
        """
        ids = [row for at in range(0, len(texts), _TOGETHER) for row in self.token_ids(texts[at : at + _TOGETHER])]
        order = sorted(range(len(ids)), key=lambda index: len(ids[index]))
        batches = [order[at : at + batch_size] for at in range(0, len(order), batch_size)]
        vectors = np.empty((len(ids), EMBEDDING_SIZE), np.float32)

        def encode(chosen: Sequence[int]) -> None:
            vectors[chosen] = self._encode_batch([ids[index] for index in chosen])

        if len(batches) == 1:
            encode(batches[0])
        elif batches:
            with ThreadPoolExecutor(min(self._threads, len(batches)), "unprompt-text") as workers:
                list(workers.map(encode, batches))
        return vectors

    def reads_all(self, text: str) -> bool:
        """Whether all of a text counts, and not only its first `LONGEST` word pieces."""
        if len(text) <= LONGEST - 2 and text.isascii():  # no character becomes two pieces, the ends are pieces as well
            return True
        if len(text) > _LOOKED_AT:
            return False
        (encoding,) = self._tokenizer.encode_batch([_readable(text)])
        return not encoding.overflowing

    def token_ids(self, texts: Sequence[str]) -> list[npt.NDArray[np.uint16]]:
        """The word pieces of each text that are read."""
        encodings = self._tokenizer.encode_batch([_readable(text) for text in texts])
        return [np.array(encoding.ids, np.uint16) for encoding in encodings]

    def _encode_batch(self, ids: Sequence[npt.NDArray[np.uint16]]) -> npt.NDArray[np.float32]:
        longest = max(len(row) for row in ids)
        input_ids = np.zeros((len(ids), longest), np.int64)
        mask = np.zeros_like(input_ids)
        for row, tokens in enumerate(ids):
            input_ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        (vectors,) = self._session.run(None, {"input_ids": input_ids, "attention_mask": mask})
        return np.asarray(vectors, dtype=np.float32)


def _readable(text: str) -> str:
    """What the tokenizer is given of a text: the words of a very long one that may be read, without lone surrogates."""
    if len(text) > _LOOKED_AT:
        text = " ".join(text.split(maxsplit=LONGEST)[:LONGEST])[:_LOOKED_AT]
    return text.encode("utf-8", "replace").decode("utf-8")
