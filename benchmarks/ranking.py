"""Ranking of ten million terms for 64 pictures, beside the bare matrix product.

The terms are random unit vectors of 512 numbers, float16, in a file of 10 GB that is mapped. The bare product goes over
the same blocks: it widens them to float32, as ranking does or as numpy does, multiplies, and drops the result. Ranking
also keeps the 2,048 best of each picture and computes them anew in float64; in several tables it looks for texts that
repeat. Each way runs in processes of its own, in turns; times are medians, without the first touch of the file. With
one thread the ratios of processor time hold on a busy machine too. Memory is what the process took while it ranked, the
answer included and mapped pages left out; then the most that was resident in all, with the mapped pages and the texts.

python benchmarks/ranking.py [--terms 10000000] [--pictures 64] [-k 2048] [--threads 1] [--repetitions 3]
The file is deleted in the end, also after Ctrl-C. Where the memory is smaller than the file, the disk is measured.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from unprompt.prediction import Vector
from unprompt.threads import core_count
from unprompt.vocabulary import ranking
from unprompt.vocabulary.tables import TermTable
from unprompt.vocabulary.vector_file import Half

SIZE = 512
WRITTEN = 65_536
PAGE_BYTES = 4096
SEED = 0
BARE, PLAIN, RANK, SEVERAL = "bare product", "bare product, numpy's cast", "rank, one table", "rank, four tables"


def unit_vectors(count: int, rng: np.random.Generator) -> Vector:
    """Random directions (count, 512)."""
    raw = rng.standard_normal((count, SIZE), np.float32)
    return np.asarray(raw / np.linalg.norm(raw, axis=1, keepdims=True), np.float32)


def write_vectors(path: Path, count: int) -> None:
    """A file of random unit vectors (count, 512) float16: some of them again, numbers and signs changed about."""
    rng = np.random.default_rng(SEED)
    bits = unit_vectors(min(WRITTEN, count), rng).astype("<f2").view("<u2")
    with path.open("wb") as file:
        for at in range(0, count, WRITTEN):
            signs = rng.integers(2, size=SIZE, dtype=np.uint16) << 15
            moved = np.take(bits[: count - at], rng.permutation(SIZE), axis=1) ^ signs
            file.write(np.ascontiguousarray(moved).data)


def multiply(vectors: Half, images: Vector, widen: Callable[[Half, Vector], None]) -> None:
    """The product alone, in the blocks of ranking."""
    block = ranking._BLOCK
    wide, products = np.empty((block, SIZE), np.float32), np.empty((len(images), block), np.float32)
    for at in range(0, len(vectors), block):
        part = vectors[at : at + block]
        widen(part, wide[: len(part)])
        np.matmul(images, wide[: len(part)].T, out=products if len(part) == block else None)


def measure(way: str, file: Path, pictures: int, k: int) -> dict[str, Any]:
    """Seconds and memory of one way, in this process."""
    vectors = np.asarray(np.memmap(file, "<f2", "r").reshape(-1, SIZE))
    images = unit_vectors(pictures, np.random.default_rng(SEED + 1))
    parts = [len(vectors) * part // 4 for part in range(5)] if way == SEVERAL else [0, len(vectors)]
    tables = []
    if way in (RANK, SEVERAL):
        for first, last in pairwise(parts):
            tables.append(TermTable(tuple(map(str, range(first, last))), "terms", vectors[first:last]))
    found: list[list[ranking.Ranked]] = []
    vectors.reshape(-1)[:: PAGE_BYTES // 2].max()  # else the first to come would wait for the disk, and the others not
    before, memory = anonymous_mb(), _Memory()
    start, processor = time.perf_counter(), time.process_time()
    with memory:
        if way == BARE:
            multiply(vectors, images, ranking._widen)
        elif way == PLAIN:
            multiply(vectors, images, lambda half, wide: np.copyto(wide, half))
        else:
            found = ranking.rank(tables, images, k)
    return {
        "seconds": time.perf_counter() - start,
        "processor_s": time.process_time() - processor,
        "memory_mb": memory.most - before,
        "resident_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
        "digests": [_digest(ranked, parts) for ranked in found],
    }


def _digest(ranked: Sequence[ranking.Ranked], starts: Sequence[int]) -> str:
    """The same for the same terms, however they are divided into tables."""
    places = [(starts[found.table] + found.term, found.similarity.hex()) for found in ranked]
    return hashlib.sha256(repr(places).encode()).hexdigest()


class _Memory:
    """The most memory, without mapped pages, that this process has meanwhile."""

    def __enter__(self) -> None:
        self.most = anonymous_mb()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.01):
            self.most = max(self.most, anonymous_mb())


def anonymous_mb() -> float:
    """The memory of this process that is no file's; 0 where there is no /proc."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")) * 1024 / 1e6


def measured(way: str, file: Path, pictures: int, k: int, threads: int) -> dict[str, Any]:
    """`measure` in a process of its own."""
    command = [sys.executable, __file__, "--measure", way, str(file), str(pictures), str(k)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": str(threads)}
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    result: dict[str, Any] = json.loads(run.stdout)
    return result


def compared(options: argparse.Namespace, file: Path) -> Table:
    """All ways in turns, and what they take beside the bare product."""
    pictures, k, threads = options.pictures, options.k, options.threads
    runs: dict[str, list[dict[str, Any]]] = {way: [] for way in (BARE, PLAIN, RANK, SEVERAL)}
    for _ in range(options.repetitions):
        for way, results in runs.items():
            results.append(measured(way, file, pictures, k, threads))
    assert len({tuple(run["digests"]) for way in (RANK, SEVERAL) for run in runs[way]}) == 1, "the answers differ"
    assert measured(RANK, file, 1, k, threads)["digests"][0] == runs[RANK][0]["digests"][0], (
        "a picture alone ranks otherwise"
    )
    title = f"{options.terms:,} terms, {pictures} pictures, k = {k:,}, {threads} threads"
    table = Table("way", title=title, title_justify="left")
    for heading in ("seconds", "of the bare product", "processor", "of the bare product", "memory", "resident"):
        table.add_column(heading, justify="right")

    def middle(way: str, what: str) -> float:
        return float(median(run[what] for run in runs[way]))

    for way in runs:
        table.add_row(
            way,
            f"{middle(way, 'seconds'):.1f}",
            f"{middle(way, 'seconds') / middle(BARE, 'seconds'):.2f}",
            f"{middle(way, 'processor_s'):.1f} s",
            f"{middle(way, 'processor_s') / middle(BARE, 'processor_s'):.2f}",
            f"{max(run['memory_mb'] for run in runs[way]):.0f} MB",
            f"{max(run['resident_mb'] for run in runs[way]):,.0f} MB",
        )
    return table


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--terms", type=int, default=10_000_000)
    parser.add_argument("--pictures", type=int, default=64)
    parser.add_argument("-k", type=int, default=2048)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--threads", type=int, default=core_count(), help="of the product")
    parser.add_argument("--folder", type=Path, help="where the file of vectors lies meanwhile")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # else nobody would delete the file
    console = Console(width=None if sys.stdout.isatty() else 130)
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="unprompt-ranking-") as place:
        file = Path(place, "vectors.f16")
        write_vectors(file, options.terms)
        console.print(compared(options, file))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        way, file, pictures, k = sys.argv[2:]
        print(json.dumps(measure(way, Path(file), int(pictures), int(k))))
    else:
        main()
