"""The vectors of many prompts: computed once, cached on disk, and read from there when needed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from unprompt.display import printable
from unprompt.durable import LockedFile, open_locked, write_errors
from unprompt.errors import DataError, OutputBusyError
from unprompt.models.store.registry import cache_folder
from unprompt.prediction import EMBEDDING_SIZE
from unprompt.progress import Advance, no_advance
from unprompt.text.fingerprints import fingerprint
from unprompt.text.sentence import SentenceEncoder
from unprompt.threads import core_count, in_order

Keys = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]

VECTORS, KEYS = "vectors.f16", "keys.u64"
_VECTOR, _KEY = np.dtype("<f2"), np.dtype("<u8")
_ROW_BYTES = EMBEDDING_SIZE * _VECTOR.itemsize

_SORTED_TOGETHER = 16_384  # prompts sorted by length at a time: enough to fill batches without padding
_CHARACTERS_TOGETHER = 16_000_000  # and their characters at most, which only prompts of a thousand and more reach
_KEPT_TOGETHER = 128  # prompts a thread encodes before they are stored: what a kill costs, and an interrupt waits for
_BATCH = 16  # larger batches exceed a core's cache and are slower


def default_cache() -> Path:
    """The folder where vectors are cached: `unprompt/vectors` in the user's cache."""
    return cache_folder("vectors")


class VectorStore:
    """Vectors of all-MiniLM-L6-v2 on disk, in float16, indexed by the fingerprints of their texts.

    The folder of each version of the encoder holds `vectors.f16`, one row (384,) per text, and `keys.u64`, the
    fingerprints. Both files only grow, by 776 bytes per text. A row counts once its key is written, so a killed run
    loses only what was being encoded. The index takes 16 bytes of memory per text. `cut` counts the texts encoded so
    far that are longer than the encoder reads.

    Raises DataError if another process is writing to the same folder, or if the folder cannot be used.
    """

    def __init__(self, cache: Path, threads: int = 0) -> None:
        self._encoder = SentenceEncoder.embedded(1)
        self.threads = threads or core_count()
        self.cut = 0
        self.folder = cache / self._encoder.folder.identity()
        with write_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as opening:
            self._key_file = opening.enter_context(self._open(KEYS))
            self._vector_file = opening.enter_context(self._open(VECTORS))
            self._rows = self._whole_rows()
            opening.pop_all()
        self._read_index()

    def __enter__(self) -> VectorStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._vector_file.close()
        self._key_file.close()

    @property
    def vectors(self) -> npt.NDArray[np.float16]:
        """All stored vectors (rows, 384), memory-mapped; of unit length up to rounding."""
        if not self._rows:
            return np.empty((0, EMBEDDING_SIZE), np.float16)
        return np.memmap(self.folder / VECTORS, _VECTOR, "r", shape=(self._rows, EMBEDDING_SIZE))

    def rows(self, keys: Keys) -> Rows:
        """The row of each fingerprint; -1 if it is not stored."""
        if not len(self._keys):
            return np.full(len(keys), -1, np.int64)
        places = np.minimum(self._keys.searchsorted(keys), len(self._keys) - 1)
        return np.where(self._keys[places] == keys, self._order[places], -1)

    def keep(self, prompts: Iterable[str], advance: Advance = no_advance) -> None:
        """Encode and store the prompts that are missing; `advance` is called with the number done since the last call.

        Prompts of similar length are encoded together, one batch per thread: splitting a batch among threads is slower.
        """
        stream = iter(prompts)
        with ThreadPoolExecutor(self.threads, "encoding") as pool:
            while chunk := _chunk(stream):
                missing = sorted(self._missing(chunk), key=len)
                parts = [missing[at : at + _KEPT_TOGETHER] for at in range(0, len(missing), _KEPT_TOGETHER)]
                for part, vectors, cut in in_order(pool, self._encode, parts, self.threads):
                    self._append(part, vectors)
                    self.cut += cut
                    advance(len(part))
                if missing:
                    self._read_index()

    def _missing(self, prompts: list[str]) -> list[str]:
        """The prompts without a row, each once."""
        keys = {fingerprint(prompt): prompt for prompt in prompts}
        rows = self.rows(np.fromiter(keys, np.uint64, len(keys)))
        return [prompt for prompt, row in zip(keys.values(), rows.tolist(), strict=True) if row < 0]

    def _encode(self, prompts: list[str]) -> tuple[list[str], npt.NDArray[np.float32], int]:
        """The prompts, their vectors, and how many of them are read in part."""
        cut = sum(not self._encoder.reads_all(prompt) for prompt in prompts)
        return prompts, self._encoder.encode(prompts, _BATCH), cut

    def _append(self, prompts: list[str], vectors: npt.NDArray[np.float32]) -> None:
        keys = np.fromiter(map(fingerprint, prompts), _KEY, len(prompts))
        self._vector_file.write(vectors.astype(_VECTOR).tobytes())
        self._key_file.write(keys.tobytes())
        self._rows += len(keys)

    def _read_index(self) -> None:
        keys = np.fromfile(self.folder / KEYS, _KEY)
        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]

    def _open(self, name: str) -> LockedFile:
        try:
            return open_locked(self.folder / name)
        except OutputBusyError as error:
            folder = printable(str(self.folder))
            raise DataError(
                f"another unprompt is writing vectors to {folder}; wait for it, or choose another --cache"
            ) from error

    def _whole_rows(self) -> int:
        """The number of rows with both a vector and a key; whatever a kill left behind them is cut off."""
        sizes = ((self._vector_file, _ROW_BYTES), (self._key_file, _KEY.itemsize))
        rows = min(os.fstat(file.fileno()).st_size // size for file, size in sizes)
        for file, size in sizes:
            file.truncate(rows * size)
            file.seek(rows * size)
        return rows


def _chunk(prompts: Iterator[str]) -> list[str]:
    """The next prompts that are sorted together."""
    chunk: list[str] = []
    characters = 0
    for prompt in islice(prompts, _SORTED_TOGETHER):
        chunk.append(prompt)
        characters += len(prompt)
        if characters >= _CHARACTERS_TOGETHER:
            break
    return chunk
