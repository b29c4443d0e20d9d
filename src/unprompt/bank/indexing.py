"""Making a bank's index with faiss: centres from a sample, then two passes over the bank's vectors.

The first pass assigns each prompt to a list, which gives the lists' lengths; the second writes each list to its final
place. The result is deterministic, and the index is put into place as a whole.
"""

from __future__ import annotations

import contextlib
import importlib
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from unprompt.bank.bank import Bank
from unprompt.bank.index import (
    CENTRES,
    CODES,
    CONFIG,
    ENDS,
    FOLDER,
    MOST_LISTS,
    ROWS,
    STEP,
    STEPS,
    Index,
    IndexConfig,
    bank_identity,
)
from unprompt.bank.layout import NUMBER, PLACE
from unprompt.durable import replacing_folder
from unprompt.errors import needing
from unprompt.models.store.folder import FileSum, file_sha256
from unprompt.prediction import Vector
from unprompt.progress import Step
from unprompt.threads import core_count

_SEED = 0
_ROUNDS = 8  # rounds of k-means: more gain less than 0.001 of recall
_EACH = 32  # sampled prompts per list,
_SAMPLE_BYTES = 1 << 28  # unless they exceed this size
_BLOCK = 4096  # prompts whose vectors are widened at a time
_PORTION = 1 << 17  # prompts sorted by list at a time, so that pieces of lists are written and not single rows

_Lists = npt.NDArray[np.uint16]


def build_index(bank: Bank, step: Step, threads: int = 0) -> Index:
    """Make or replace the index of a bank; `threads` 0 means one per core.

    Memory is 2 bytes per prompt, at most 256 MB for the sample, and 131,072 vectors at 8 bits a number. On one machine
    the result does not depend on the number of threads.

    Raises MissingExtraError without faiss, DataError if vectors of the bank are damaged, OutputBusyError if another
    process builds the same index, DataError or OSError if the folder cannot be written to.
    """
    faiss = _faiss()
    with replacing_folder(bank.folder / FOLDER) as folder, _threads(faiss, threads or core_count()):
        sample = _sample(bank)
        with step("grouping", None, "vectors") as advance:
            centres = _centres(faiss, sample, list_count(len(bank)))
            advance(len(sample))
        coder = faiss.ScalarQuantizer(bank.compared.shape[1], faiss.ScalarQuantizer.QT_8bit)
        coder.train(sample)
        del sample
        lists = _assign(faiss, bank, centres, step)
        ends = np.cumsum(np.bincount(lists, minlength=len(centres)))
        (folder / CENTRES).write_bytes(centres.astype(NUMBER).tobytes())
        (folder / STEPS).write_bytes(_steps(faiss, coder).tobytes())
        (folder / ENDS).write_bytes(ends.astype(PLACE).tobytes())
        _write_lists(folder, bank, coder, lists, ends, step)
        (folder / CONFIG).write_bytes(_config(folder, bank, len(centres), step).to_json().encode())
    return Index.open(bank)


def list_count(prompts: int) -> int:
    """The number of lists for so many prompts: a power of 2 near twice the square root."""
    return int(min(1 << round(math.log2(2 * math.sqrt(prompts))), prompts, MOST_LISTS))


def _faiss() -> Any:
    with needing("index", "the index of a bank"):
        return importlib.import_module("faiss")


@contextlib.contextmanager
def _threads(faiss: Any, count: int) -> Iterator[None]:
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(count)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def _sample(bank: Bank) -> Vector:
    """Vectors (sample, size) of the bank, in order."""
    count, size = bank.compared.shape
    chosen = min(_EACH * list_count(count), _SAMPLE_BYTES // (STEP.itemsize * size), count)
    rows = np.sort(np.random.default_rng(_SEED).choice(count, chosen, replace=False))
    vectors = np.empty((chosen, size), np.float32)
    for at in range(0, chosen, _BLOCK):
        vectors[at : at + _BLOCK] = bank.compared_vectors(rows[at : at + _BLOCK])
    return vectors


def _centres(faiss: Any, sample: Vector, count: int) -> Vector:
    """Centres (count, size) of unit length, rounded to float16 as they are stored."""
    means = faiss.Clustering(sample.shape[1], count)
    means.niter, means.seed, means.spherical, means.min_points_per_centroid = _ROUNDS, _SEED + 1, True, 1
    means.train(sample, faiss.IndexFlatIP(sample.shape[1]))
    found: Vector = faiss.vector_to_array(means.centroids).reshape(count, -1)
    return found.astype(NUMBER).astype(np.float32)


def _assign(faiss: Any, bank: Bank, centres: Vector, step: Step) -> _Lists:
    """For each prompt (prompts,), the list with the nearest centre."""
    quantiser = faiss.IndexFlatIP(centres.shape[1])
    quantiser.add(centres)
    lists = np.empty(len(bank), np.uint16)
    with step("assigning", len(bank), "prompts") as advance:
        for at, vectors in _blocks(bank, 0, len(bank)):
            lists[at : at + len(vectors)] = quantiser.search(vectors, 1)[1][:, 0]
            advance(len(vectors))
    return lists


def _steps(faiss: Any, coder: Any) -> Vector:
    """The difference (size,) between consecutive codes of each number.

    The other half of the trained values, where the codes begin, adds the same constant to every estimate.
    """
    learnt: Vector = faiss.vector_to_array(coder.trained)
    return (learnt[len(learnt) // 2 :] / 255).astype(STEP)


def _write_lists(folder: Path, bank: Bank, coder: Any, lists: _Lists, ends: npt.NDArray[np.int64], step: Step) -> None:
    """Write the content of the lists: ascending rows, and their vectors as 8-bit codes."""
    free = np.concatenate([[0], ends[:-1]])
    size = bank.compared.shape[1]
    with (
        (folder / ROWS).open("wb") as rows_file,
        (folder / CODES).open("wb") as codes_file,
        step("writing the index", len(bank), "prompts") as advance,
    ):
        for first in range(0, len(bank), _PORTION):
            portion = lists[first : first + _PORTION]
            codes = np.empty((len(portion), size), np.uint8)
            for at, vectors in _blocks(bank, first, first + len(portion)):
                codes[at - first : at - first + len(vectors)] = coder.compute_codes(vectors)
            order = np.argsort(portion, kind="stable")
            found, starts = np.unique(portion[order], return_index=True)
            for number, piece in zip(found.tolist(), np.split(order, starts[1:]), strict=True):
                _write_at(rows_file, int(free[number]) * PLACE.itemsize, (piece + first).astype(PLACE))
                _write_at(codes_file, int(free[number]) * size, codes[piece])
                free[number] += len(piece)
            advance(len(portion))


def _blocks(bank: Bank, start: int, end: int) -> Iterator[tuple[int, Vector]]:
    """Vectors (block, size) of the bank between two rows, with the first row of each block."""
    for at in range(start, end, _BLOCK):
        yield at, bank.compared_vectors(np.arange(at, min(at + _BLOCK, end))).astype(np.float32)


def _config(folder: Path, bank: Bank, lists: int, step: Step) -> IndexConfig:
    prompts, size = bank.compared.shape
    config = IndexConfig(bank_identity(bank), prompts, size, lists, {})
    sums = {}
    with step("hashing", sum(config.sizes().values()), "bytes") as advance:
        for name, size_bytes in config.sizes().items():
            sums[name] = FileSum(size_bytes, file_sha256(folder / name))
            advance(size_bytes)
    return replace(config, files=sums)


def _write_at(file: BinaryIO, place: int, content: npt.NDArray[Any]) -> None:
    file.seek(place)
    file.write(content.tobytes())
