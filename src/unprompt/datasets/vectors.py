"""Vectors of many prompts: encoded once, kept on disk, and read from there as they are needed."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from unprompt.display import printable
from unprompt.errors import DataError
from unprompt.output.files import OutputBusyError, open_locked, write_all, write_errors
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

_SORTED_TOGETHER = 16_384  # prompts: among so many, those of one length fill batches without padding
_KEPT_TOGETHER = 128  # prompts that a thread encodes before they are kept: what a kill costs, and how long an end takes
_BATCH = 16  # larger batches no longer fit a core's cache, and are slower


def default_cache() -> Path:
    """Where vectors are kept: `unprompt/vectors` in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unprompt" / "vectors"


class VectorStore:
    """Vectors of all-MiniLM-L6-v2 on disk, float16, under the fingerprints of their texts.

    A folder for each version of the encoder holds `vectors.f16`, a row (384,) a text, and `keys.u64`, its fingerprint.
    Both only grow: 776 bytes a text. A row counts once its key is there, so a killed run loses no more than what was
    being encoded. The index in memory takes 16 bytes a text.

    Raises DataError where another process encodes into the same folder, or where it cannot be used.
    """

    def __init__(self, cache: Path, threads: int = 0) -> None:
        self._encoder = SentenceEncoder.embedded(1)
        self.threads = threads or core_count()
        self.folder = cache / self._encoder.folder.identity()
        with write_errors(str(self.folder)):
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
        """All vectors that are kept (rows, 384), mapped from the disk; of unit length but for the rounding."""
        if not self._rows:
            return np.empty((0, EMBEDDING_SIZE), np.float16)
        return np.memmap(self.folder / VECTORS, _VECTOR, "r", shape=(self._rows, EMBEDDING_SIZE))

    def rows(self, keys: Keys) -> Rows:
        """The row of each fingerprint; -1 for one that is not kept."""
        if not len(self._keys):
            return np.full(len(keys), -1, np.int64)
        places = np.minimum(self._keys.searchsorted(keys), len(self._keys) - 1)
        return np.where(self._keys[places] == keys, self._order[places], -1)

    def keep(self, prompts: Iterable[str], advance: Advance = no_advance) -> None:
        """Encodes the prompts that are not kept yet; `advance` hears how many more were.

        Those of like length are encoded together, one batch a thread: a batch split among threads is slower.
        """
        stream = iter(prompts)
        with ThreadPoolExecutor(self.threads, "encoding") as pool:
            while chunk := list(islice(stream, _SORTED_TOGETHER)):
                missing = sorted(self._missing(chunk), key=len)
                parts = [missing[at : at + _KEPT_TOGETHER] for at in range(0, len(missing), _KEPT_TOGETHER)]
                for part, vectors in in_order(pool, self._encode, parts, self.threads):
                    self._append(part, vectors)
                    advance(len(part))
                if missing:
                    self._read_index()

    def _missing(self, prompts: list[str]) -> list[str]:
        """Those without a row, each once."""
        keys = {fingerprint(prompt): prompt for prompt in prompts}
        rows = self.rows(np.fromiter(keys, np.uint64, len(keys)))
        return [prompt for prompt, row in zip(keys.values(), rows.tolist(), strict=True) if row < 0]

    def _encode(self, prompts: list[str]) -> tuple[list[str], npt.NDArray[np.float32]]:
        return prompts, self._encoder.encode(prompts, _BATCH)

    def _append(self, prompts: list[str], vectors: npt.NDArray[np.float32]) -> None:
        keys = np.fromiter(map(fingerprint, prompts), _KEY, len(prompts))
        with write_errors(str(self.folder)):
            write_all(self._vector_file, vectors.astype(_VECTOR).tobytes())
            write_all(self._key_file, keys.tobytes())
        self._rows += len(keys)

    def _read_index(self) -> None:
        keys = np.fromfile(self.folder / KEYS, _KEY)
        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]

    def _open(self, name: str) -> io.FileIO:
        path = str(self.folder / name)
        try:
            return open_locked(path)
        except OutputBusyError as error:
            folder = printable(str(self.folder))
            raise DataError(
                f"another unprompt encodes into {folder}; wait for it, or choose another --cache"
            ) from error

    def _whole_rows(self) -> int:
        """How many rows have a vector and a key; what lies behind them, which a kill left, is cut off."""
        sizes = ((self._vector_file, _ROW_BYTES), (self._key_file, _KEY.itemsize))
        rows = min(os.fstat(file.fileno()).st_size // size for file, size in sizes)
        with write_errors(str(self.folder)):
            for file, size in sizes:
                file.truncate(rows * size)
                file.seek(rows * size)
        return rows
