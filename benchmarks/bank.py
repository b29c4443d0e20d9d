"""Prompt banks: how fast they are written, and exact search beside the bare matrix product and an approximate index.

Vectors are synthetic, and so are queries: real ones of all-MiniLM-L6-v2 with noise of the same covariance, 0.45 times
as long. Writing is all of `unprompt bank build` but for the models: cleaning, dropping copies, writing, hashing. The
bare product goes over the same blocks, widens them as the search does, multiplies, and drops the result; it takes turns
with the search. Memory is what was allocated meanwhile, without the mapped files. Processor time is that of all
threads, and is what a busy machine changes least; OPENBLAS_NUM_THREADS says how many multiply.

The index is faiss's IVF over float16, all of it in memory; --index needs faiss-cpu. Its recall is the share of the 100
nearest that it finds. There vectors lie in a file alone, without prompts.

python benchmarks/bank.py PROMPTS [--sizes 1000000] [--index 1000000] [--repetitions 3] [--folder FOLDER]
PROMPTS is a text file with a prompt a line, such as ../shared/data/prompts/train.txt. Files are deleted in the end.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from unprompt.bank import building
from unprompt.bank.bank import Bank
from unprompt.bank.layout import NUMBER, SENTENCES, Makers
from unprompt.interrogation.embedded_pair import NAME, EmbeddedPair
from unprompt.models.two_tower import silent
from unprompt.prediction import Vector
from unprompt.text.sentence import SentenceEncoder
from unprompt.vocabulary import ranking
from unprompt.vocabulary.vector_file import Half

ENCODED = 2000
POOL = 1 << 15
PICTURES = 64
K = 100
SEED = 0


class Source:
    """Synthetic unit vectors. A vector is a real one and one of a pool of noises, so that millions cost little."""

    def __init__(self, prompts: Sequence[str]) -> None:
        self._rng = np.random.default_rng(SEED)
        self._real = SentenceEncoder.embedded(1).encode(prompts[: ENCODED + PICTURES])
        shares, directions = np.linalg.eigh(self._real.T.astype(np.float64) @ self._real / len(self._real))
        scale = (directions * np.sqrt(np.maximum(shares, 0))).astype(np.float32)
        self._noise = 0.45 * self._rng.standard_normal((POOL, 384)).astype(np.float32) @ scale.T

    def vectors(self, count: int) -> Vector:
        """So many more (count, 384)."""
        return self._noisy(self._rng.integers(PICTURES, len(self._real), size=count))

    def pictures(self) -> Vector:
        """Those of prompts that no vector is of (64, 384)."""
        return self._noisy(np.arange(PICTURES))

    def _noisy(self, rows: npt.NDArray[np.int64]) -> Vector:
        raw = self._real[rows] + self._noise[self._rng.integers(POOL, size=len(rows))]
        return np.asarray(raw / np.linalg.norm(raw, axis=1, keepdims=True), np.float32)


@contextmanager
def _no_step(name: str, total: int | None, what: str) -> Iterator[Callable[[int], None]]:
    yield silent


def write(folder: Path, prompts: Sequence[str], count: int, source: Source) -> tuple[Bank, float]:
    """A bank of so many prompts, and the seconds that all but making the vectors took."""
    makers = Makers.of(EmbeddedPair(1))
    numbered = (f"{prompts[number % len(prompts)]}, {number}" for number in range(count))
    building._begin(folder, makers)
    spent_s = -time.perf_counter()
    with building._Files(folder, makers) as files:
        stream = building._distinct(numbered, building.Counts())
        while portion := list(islice(stream, building._PORTION)):
            spent_s += time.perf_counter()
            vectors = source.vectors(len(portion))
            spent_s -= time.perf_counter()
            files.append(portion, vectors, None)
        files.close_whole()
    building._finish(folder, makers, count, _no_step)
    return Bank.open(folder), spent_s + time.perf_counter()


def write_vectors(path: Path, count: int, source: Source) -> Half:
    """So many vectors (count, 384), mapped from a file."""
    with path.open("wb") as file:
        for at in range(0, count, POOL):
            file.write(source.vectors(min(POOL, count - at)).astype(NUMBER).tobytes())
    return np.asarray(np.memmap(path, NUMBER, "r", shape=(count, 384)))


def multiply(vectors: Half, images: Vector) -> None:
    """The product alone."""
    wide = np.empty((ranking._BLOCK, vectors.shape[1]), np.float32)
    for at in range(0, len(vectors), ranking._BLOCK):
        block = vectors[at : at + ranking._BLOCK]
        ranking._widen(block, wide[: len(block)])
        images @ wide[: len(block)].T


def timed(way: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock and of the processor."""
    start, processor = time.perf_counter(), time.process_time()
    way()
    return time.perf_counter() - start, time.process_time() - processor


def search(bank: Bank, images: Vector, repetitions: int) -> list[str]:
    """A row of the table: the search, the bare product, their ratio and the memory."""
    multiply(bank.compared, images)  # brings the file into memory
    ours, bare = [], []
    for _turn in range(repetitions):
        ours.append(timed(lambda: bank.nearest(images, K)))
        bare.append(timed(lambda: multiply(bank.compared, images)))
    tracemalloc.start()
    bank.nearest(images, K)
    memory = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    clock_s, processor_s = (median(each) for each in zip(*ours, strict=True))
    bare_s = median(processor for _, processor in bare)
    each_ms = 1000 * processor_s / len(images)
    cells = [f"{len(bank):,}", str(len(images)), f"{clock_s:.2f} s", f"{processor_s:.2f} s", f"{each_ms:.0f} ms"]
    return [*cells, f"{bare_s:.2f} s", f"{processor_s / bare_s:.2f}", f"{memory / 1e6:.0f} MB"]


def index_rows(vectors: Half, images: Vector, lists: int, threads: int) -> list[list[str]]:
    """Exact search, and how an approximate index fares beside it, by how many of its lists are looked at."""
    faiss: Any = importlib.import_module("faiss")
    faiss.omp_set_num_threads(threads)
    exact = [set(rows.tolist()) for rows, _ in ranking.nearest(vectors, images, K)]
    rows = [["-", "exact", "1.000", *_costs(lambda some: ranking.nearest(vectors, some, K), images)]]
    quantiser = faiss.IndexFlatIP(384)
    kind = (faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    index: Any = faiss.IndexIVFScalarQuantizer(quantiser, 384, lists, *kind)
    index.cp.niter = 6

    def build() -> None:
        chosen = np.sort(np.random.default_rng(SEED).choice(len(vectors), min(40 * lists, len(vectors)), replace=False))
        index.train(vectors[chosen].astype(np.float32))
        for at in range(0, len(vectors), POOL):
            index.add(vectors[at : at + POOL].astype(np.float32))

    _, build_s = timed(build)
    for looked_at in (lists // 64, lists // 16, lists // 4):
        index.nprobe = looked_at
        found = index.search(images, K)[1].tolist()
        recall = np.mean([len(each & set(row)) / len(each) for each, row in zip(exact, found, strict=True)])
        costs = _costs(lambda some: index.search(some, K), images)
        rows.append([f"{build_s:.0f} s", f"{looked_at} of {lists}", f"{recall:.3f}", *costs])
    return [[f"{len(vectors):,}", *row] for row in rows]


def _costs(way: Callable[[Vector], object], images: Vector) -> list[str]:
    """Processor time of a picture among all, and of one alone."""
    many, one = timed(lambda: way(images))[1], timed(lambda: way(images[:1]))[1]
    return [f"{1000 * many / len(images):.1f} ms", f"{1000 * one:.1f} ms"]


def table(title: str, first: str, *headings: str) -> Table:
    """An empty table."""
    made = Table(first, title=title, title_justify="left")
    for heading in headings:
        made.add_column(heading, justify="right")
    return made


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompts", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--index", type=int, nargs="*", default=[])
    parser.add_argument("--lists", type=int, default=1024)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 130)
    prompts = [line for line in options.prompts.read_text(encoding="utf-8").split("\n") if line]
    source = Source(prompts)
    images = source.pictures()
    threads = int(os.environ.get("OPENBLAS_NUM_THREADS", os.cpu_count() or 1))
    headings = ("pictures", "search", "processor", "a picture", "bare product", "ratio", "memory")
    searched = table(f"The {K} nearest, {threads} threads, compared by {NAME}", "prompts", *headings)
    columns = ("build, processor", "lists", "recall", "of 64, each", "one alone")
    indexed = table(f"faiss IVF, float16, {threads} threads, processor time", "prompts", *columns)
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="unprompt-bank-") as place:
        for size in options.sizes:
            folder = Path(place, str(size))
            bank, spent_s = write(folder, prompts, size, source)
            size_bytes = sum(file.size for file in bank.config.files.values())
            share = bank.config.files[SENTENCES].size / size_bytes
            console.print(
                f"{size:,} prompts written in {spent_s:.1f} s, {size / spent_s:,.0f}/s; {size_bytes / size:.0f} bytes "
                f"each, {share:.0%} of them vectors"
            )
            for some in (images[:1], images):
                searched.add_row(*search(bank, some, options.repetitions))
        console.print(searched)
        for size in options.index:
            vectors = write_vectors(Path(place, f"{size}.f16"), size, source)
            for row in index_rows(vectors, images, options.lists, threads):
                indexed.add_row(*row)
    if options.index:
        console.print(indexed)


if __name__ == "__main__":
    main()
