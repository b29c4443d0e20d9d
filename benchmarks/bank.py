"""Prompt banks: how fast they are written, and exact search beside the bare matrix product, and an index.

Vectors are synthetic, and so are queries: real ones of all-MiniLM-L6-v2 with noise of the same covariance, 0.45 times
as long. Writing is all of `unprompt bank build` but for the models: cleaning, dropping copies, writing, hashing. The
bare product goes over the same blocks, widens them as the search does, multiplies, and drops the result; it takes turns
with the search. Memory is what was allocated meanwhile, without the mapped files. Processor time is that of all
threads, and is what a busy machine changes least; OPENBLAS_NUM_THREADS says how many multiply.

An index is compared with the exact search: recall is the share of the nearest that it finds; warm is processor time
with all files in memory, cold is time by the clock, opening included, with none of them there (Linux). faiss's own
search goes over the same lists, copied into memory, up to 2 million prompts. Memory of the build is what the process
has of its own at most, without mapped files; that of a search is what was allocated. Needs the extra [index]; there the
prompts are numbers, and a bank takes 12 GB at 10 million.

python benchmarks/bank.py PROMPTS [--sizes 1000000] [--index 1000000] [--repetitions 3] [--folder FOLDER]
PROMPTS is a text file with a prompt a line, such as ../shared/data/prompts/train.txt. Files are deleted in the end.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import sys
import tempfile
import threading
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
from unprompt.bank.index import Index
from unprompt.bank.indexing import build_index
from unprompt.bank.layout import Config, Makers
from unprompt.prediction import Vector
from unprompt.progress import SILENT
from unprompt.text.sentence import SentenceEncoder
from unprompt.towers.embedded import NAME, EmbeddedPair
from unprompt.vocabulary import ranking

ENCODED = 2000
POOL = 1 << 15
PICTURES = 64
K = 100
COPIED = 2_000_000
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
            files.append(portion, building.Encoded(building._stored(vectors, makers), None))
        files.close_whole()
    building._finish(folder, Config(count, makers, {}), {}, SILENT)
    return Bank.open(folder), spent_s + time.perf_counter()


def write_numbers(folder: Path, count: int, source: Source) -> Bank:
    """A bank whose prompts are numbers."""
    makers = Makers.of(EmbeddedPair(1))
    building._begin(folder, makers)
    with building._Files(folder, makers) as files:
        for at in range(0, count, POOL):
            size = min(POOL, count - at)
            vectors = building.Encoded(building._stored(source.vectors(size), makers), None)
            files.append([str(number) for number in range(at, at + size)], vectors)
        files.close_whole()
    building._finish(folder, Config(count, makers, {}), {}, SILENT)
    return Bank.open(folder)


def multiply(vectors: ranking.Halves, images: Vector) -> None:
    """The product alone."""
    wide = np.empty((ranking._BLOCK, images.shape[1]), np.float32)
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


def build(bank: Bank, threads: int) -> str:
    """Makes the index of a bank, and tells what that took."""
    with own_memory() as peak:
        clock_s, processor_s = timed(lambda: build_index(bank, SILENT, threads))
    index = Index.open(bank)
    size_bytes = sum(file.size for file in index.config.files.values())
    share = size_bytes / sum(file.size for file in bank.config.files.values())
    return (
        f"{len(bank):,} prompts in {index.config.lists:,} lists in {clock_s:.0f} s, {processor_s:.0f} s of processor; "
        f"{size_bytes / 1e6:,.0f} MB, {share:.0%} of the bank; {max(peak) / 1e6:,.0f} MB of memory"
    )


def index_rows(folder: Path, images: Vector, repetitions: int) -> Iterator[list[str]]:
    """The index beside the exact search, by how many pictures are asked about together."""
    for some in (images[:1], images):
        recalls, exact_ms, ours_ms, faiss_ms, memory = warm(folder, images, some, repetitions)
        cold = [1000 * from_disk(folder, opened, some) / len(some) for opened in (Bank.open, open_index)]
        yield [
            *(f"{len(Bank.open(folder)):,}", str(len(some)), *(f"{each:.3f}" for each in recalls)),
            *(f"{exact_ms:.1f} ms", f"{ours_ms:.1f} ms", f"{exact_ms / ours_ms:.1f}"),
            "-" if faiss_ms is None else f"{faiss_ms:.1f} ms",
            *(f"{cold[0]:.0f} ms", f"{cold[1]:.0f} ms", f"{cold[0] / cold[1]:.1f}", f"{memory / 1e6:.0f} MB"),
        ]


def warm(
    folder: Path, images: Vector, some: Vector, repetitions: int
) -> tuple[list[float], float, float, float | None, int]:
    """Recall of 10 and 100; milliseconds a picture of the exact search, the index and faiss; memory of the index.

    Whatever it maps is let go in the end: what is mapped stays in memory.
    """
    bank, index = Bank.open(folder), open_index(folder)
    recalls = [recall(bank, index, images, count) for count in (10, K)]
    ways: list[Callable[[], object]] = [lambda: bank.nearest(some, K), lambda: index.nearest(some, K)]
    if len(bank) <= COPIED:
        theirs = copied(index)
        ways.append(lambda: theirs.search(some, K))
    turns = [[1000 * timed(way)[1] / len(some) for way in ways] for _ in range(repetitions)]
    exact_ms, ours_ms, *faiss_ms = (median(each) for each in zip(*turns, strict=True))
    tracemalloc.start()
    index.nearest(some, K)
    memory = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return recalls, exact_ms, ours_ms, faiss_ms[0] if faiss_ms else None, memory


def open_index(folder: Path) -> Index:
    """The index of the bank in a folder."""
    return Index.open(Bank.open(folder))


def recall(bank: Bank, index: Index, images: Vector, count: int) -> float:
    """The share of the nearest that is found."""
    pairs = zip(bank.nearest(images, count), index.nearest(images, count), strict=True)
    return float(np.mean([len(np.intersect1d(exact.rows, found.rows)) / count for exact, found in pairs]))


def copied(index: Index) -> Any:
    """The same lists as an index of faiss, all of it in memory."""
    faiss: Any = importlib.import_module("faiss")
    lists, size = index._centres.shape
    quantiser = faiss.IndexFlatIP(size)
    quantiser.add(index._centres.astype(np.float32))
    kind = (faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT, False)
    theirs = faiss.IndexIVFScalarQuantizer(quantiser, size, lists, *kind)
    quantiser.this.disown()
    theirs.own_fields = True
    # It begins each number at a place of its own; here all begin at 0, which changes no order.
    faiss.copy_array_to_vector(np.concatenate([np.zeros(size, np.float32), 255 * index._steps]), theirs.sq.trained)
    for number, (start, end) in enumerate(zip(index._starts.tolist(), index._ends.tolist(), strict=True)):
        if end > start:
            rows, codes = index._rows[start:end].astype(np.int64), np.ascontiguousarray(index._codes[start:end])
            theirs.invlists.add_entries(number, end - start, faiss.swig_ptr(rows), faiss.swig_ptr(codes))
    theirs.ntotal, theirs.is_trained, theirs.nprobe = index.config.prompts, True, lists // 8
    return theirs


def from_disk(folder: Path, opened: Callable[[Path], Bank | Index], images: Vector) -> float:
    """Seconds of a search whose files are not in memory."""
    for path in folder.rglob("*.*"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return timed(lambda: opened(folder).nearest(images, K))[0]


@contextmanager
def own_memory() -> Iterator[list[int]]:
    """How many bytes the process has of its own, again and again (Linux)."""
    seen: list[int] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.05):
            resident, shared = (int(pages) for pages in Path("/proc/self/statm").read_text().split()[1:3])
            seen.append((resident - shared) * os.sysconf("SC_PAGE_SIZE"))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


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
    parser.add_argument("--sizes", type=int, nargs="*", default=[1_000_000])
    parser.add_argument("--index", type=int, nargs="*", default=[])
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
    columns = ("pictures", "recall 10", "recall 100", "exact", "index", "ratio", "faiss", "exact", "index", "ratio")
    indexed = table(
        f"The {K} nearest by an index, {threads} threads, for each picture: warm, then cold",
        "prompts",
        *columns,
        "memory",
    )
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="unprompt-bank-") as place:
        for size in options.sizes:
            folder = Path(place, str(size))
            bank, spent_s = write(folder, prompts, size, source)
            size_bytes = sum(file.size for file in bank.config.files.values())
            share = bank.config.files[bank.config.makers.sentences_file].size / size_bytes
            console.print(
                f"{size:,} prompts written in {spent_s:.1f} s, {size / spent_s:,.0f}/s; {size_bytes / size:.0f} bytes "
                f"each, {share:.0%} of them vectors"
            )
            for some in (images[:1], images):
                searched.add_row(*search(bank, some, options.repetitions))
        if options.sizes:
            console.print(searched)
        for size in options.index:
            folder = Path(place, f"indexed-{size}")
            console.print(build(write_numbers(folder, size, source), threads))
            for row in index_rows(folder, images, options.repetitions):
                indexed.add_row(*row)
            shutil.rmtree(folder)
    if options.index:
        console.print(indexed)


if __name__ == "__main__":
    main()
