"""Near-duplicate prompts: how fast vectors are made, and how the search for near pairs grows, beside brute force.

The prompts are real ones and variations of them (parts added, left out or exchanged, words replaced). Each search runs
in a process of its own; its memory is the most that it had at any time, without the file of vectors, which it maps.
Brute force computes all cosines in float32, and those within 0.00001 of the threshold once more in float64.
It has one thread; the last ratio is that of processor time, which threads and a busy machine change little. Synthetic
vectors are real ones with noise of the same covariance: they cost the search what real ones do, and no hours of
encoding.

python benchmarks/dedupe.py PROMPTS [--sizes 50000 100000 200000] [--synthetic 1000000] [--cache FOLDER]
PROMPTS is a text file with a prompt a line, such as ../shared/data/prompts/train.txt.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from unprompt.datasets.deduplication import find_originals
from unprompt.datasets.near_pairs import NearPairs, exact_cosines
from unprompt.datasets.vectors import VectorStore, default_cache
from unprompt.text.fingerprints import fingerprint
from unprompt.text.sentence import SentenceEncoder

ENCODED = 2000
ROUNDED = 4000
BRUTE_BLOCK = 1024
PLAIN = "encode(prompts), threads share a batch"
SEED = 0


def with_variations(prompts: Sequence[str], count: int) -> list[str]:
    """So many different prompts, in a random order: the given ones and variations of them."""
    rng = random.Random(SEED)
    words = [word for prompt in prompts[:2000] for word in prompt.split()]
    made, seen = list(prompts), set(prompts)
    while len(made) < count:
        prompt = _varied(rng, prompts, words)
        if prompt and prompt not in seen:
            seen.add(prompt)
            made.append(prompt)
    random.Random(SEED + 1).shuffle(made)
    return made[:count]


def _varied(rng: random.Random, prompts: Sequence[str], words: Sequence[str]) -> str:
    prompt = rng.choice(prompts)
    parts = prompt.split(", ")
    kind = rng.randrange(4)
    if kind == 0:
        return ", ".join([*parts, *rng.choice(prompts).split(", ")[-2:]])
    if kind == 1:
        rng.shuffle(parts)
        return ", ".join(parts)
    if kind == 2:
        del parts[rng.randrange(len(parts))]
        return ", ".join(parts)
    own = prompt.split(" ")
    own[rng.randrange(len(own))] = rng.choice(words)
    return " ".join(own)


def synthetic(vectors: npt.NDArray[np.float16], count: int, path: Path) -> None:
    """Writes unit vectors (count, 384) float16: real ones, each with noise as long as itself times 0.45."""
    rng = np.random.default_rng(SEED)
    sample = vectors[: 1 << 15].astype(np.float32)
    shares, directions = np.linalg.eigh(sample.T.astype(np.float64) @ sample / len(sample))
    scale = (directions * np.sqrt(np.maximum(shares, 0))).astype(np.float32)
    with path.open("wb") as file:
        for at in range(0, count, 8192):
            size = min(8192, count - at)
            noise = rng.standard_normal((size, 384)).astype(np.float32) @ scale.T
            raw = vectors[rng.integers(len(vectors), size=size)] + 0.45 * noise
            file.write((raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype("<f2").tobytes())


def encoding(prompts: Sequence[str], threads: int, repetitions: int) -> Table:
    """Prompts a second, as data dedupe makes vectors and as a plain call of the encoder does."""
    rates: dict[str, list[float]] = {}
    plain, one = SentenceEncoder.embedded(threads), SentenceEncoder.embedded(1)

    def timed(name: str, way: Callable[[], object]) -> None:
        start = time.perf_counter()
        way()
        rates.setdefault(name, []).append(ENCODED / (time.perf_counter() - start))

    def take_turns(chosen: Sequence[str], store: VectorStore) -> None:
        timed("one prompt at a time, one thread", lambda: [one.encode([prompt]) for prompt in chosen])
        timed(PLAIN, lambda: plain.encode(chosen))
        timed("data dedupe, a batch a thread", lambda: store.keep(chosen))
        timed("the same prompts again, from the cache", lambda: store.keep(chosen))

    for turn in range(repetitions):
        with tempfile.TemporaryDirectory() as place, VectorStore(Path(place), threads) as store:
            take_turns(prompts[turn * ENCODED : (turn + 1) * ENCODED], store)
    table = Table("way", title=f"Vectors of {ENCODED:,} prompts, {threads} threads", title_justify="left")
    for heading in ("prompts/s", "of encode()"):
        table.add_column(heading, justify="right")
    for name, found in rates.items():
        table.add_row(name, f"{median(found):,.0f}", f"{median(found) / median(rates[PLAIN]):.2f}")
    return table


def rounding(prompts: Sequence[str], threshold: float) -> str:
    """What float16 changes among a few prompts."""
    exact = SentenceEncoder.embedded(1).encode(prompts)
    half = exact.astype(np.float16)
    rows, columns = np.triu_indices(len(prompts), 1)
    cosines = (exact @ exact.T)[rows, columns]
    near = cosines >= threshold - 0.01
    rounded = exact_cosines(half[rows[near]], half[columns[near]])
    changed = np.count_nonzero((rounded >= threshold) != (cosines[near] >= threshold))
    largest = np.abs(rounded - cosines[near]).max()
    return (
        f"float16 changes the cosines of {len(rounded):,} near pairs among {len(prompts):,} prompts by {largest:.1e} "
        f"or less; {changed} of {np.count_nonzero(cosines >= threshold):,} pairs change sides of {threshold:g}"
    )


def measure(what: str, file: Path, rows: Path, count: int, threshold: float, threads: int) -> dict[str, Any]:
    """Seconds and result of one search."""
    vectors = np.memmap(file, "<f2", "r").reshape(-1, 384)
    chosen = np.load(rows)[:count]
    start = time.perf_counter()
    result: dict[str, Any] = {}
    if what == "brute":
        digest, pairs = _brute(vectors, chosen, threshold)
    elif what == "pairs":
        found: list[npt.NDArray[np.int64]] = []
        search = NearPairs(vectors, chosen, threshold, threads)
        originals = find_originals(search, lambda some: found.append(some.first * count + some.second))
        codes = np.sort(np.concatenate([*found, np.empty(0, np.int64)]))
        digest, pairs = _digest(codes), len(codes)
        result = {"kept": int(np.count_nonzero(originals < 0)), "width": search.width}
    else:
        search = NearPairs(vectors, chosen, threshold, threads)
        digest, pairs = "", 0
        result = {"kept": int(np.count_nonzero(find_originals(search) < 0)), "width": search.width}
    seconds = time.perf_counter() - start
    return {**result, "seconds": seconds, "processor_s": time.process_time(), "pairs": pairs, "digest": digest}


def _brute(vectors: npt.NDArray[np.float16], rows: npt.NDArray[np.int64], threshold: float) -> tuple[str, int]:
    unit = vectors[rows].astype(np.float32)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    codes = []
    for at in range(0, len(unit), BRUTE_BLOCK):
        for other in range(at, len(unit), 4 * BRUTE_BLOCK):
            cosines = unit[at : at + BRUTE_BLOCK] @ unit[other : other + 4 * BRUTE_BLOCK].T
            first, second = np.nonzero(cosines >= threshold - 1e-5)
            first, second = first + at, second + other
            first, second = first[first < second], second[first < second]
            near = exact_cosines(vectors[rows[first]], vectors[rows[second]]) >= threshold
            codes.append(first[near] * len(rows) + second[near])
    all_codes = np.sort(np.concatenate(codes))
    return _digest(all_codes), len(all_codes)


def _digest(codes: npt.NDArray[np.int64]) -> str:
    return f"{fingerprint(codes.tobytes().hex()):016x}"


def measured(*arguments: object) -> dict[str, Any]:
    """`measure` in a process of its own, and the most memory that this had, mapped files left out."""
    command = [sys.executable, __file__, "--measure", *map(str, arguments)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # threads of a product wait for each other
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        most = 0.0
        while process.poll() is None:
            most = max(most, anonymous_mb(process.pid))
            time.sleep(0.02)
        out, _ = process.communicate()
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with exit code {process.returncode}: nothing was measured")
    return {**json.loads(out), "memory_mb": most}


def anonymous_mb(process: int) -> float:
    """The memory of a running process that is no file's."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:  # it has just ended, or this is no Linux
        return 0.0
    return sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")) * 1024 / 1e6


def beside_brute_force(
    file: Path, rows: Path, sizes: Sequence[int], threshold: float, threads: int, title: str
) -> Table:
    """How the search and brute force grow, and whether they find the same pairs."""
    table = Table("prompts", title=title, title_justify="left")
    for heading in (
        "kept",
        "dedupe",
        "memory",
        "near pairs",
        "--pairs",
        "memory",
        "brute force",
        "processor",
        "same pairs",
    ):
        table.add_column(heading, justify="right")
    for size in sizes:
        kept, pairs, brute = (
            measured(what, file, rows, size, threshold, threads) for what in ("kept", "pairs", "brute")
        )
        assert kept["kept"] == pairs["kept"]
        table.add_row(
            f"{size:,}",
            f"{kept['kept']:,}",
            f"{kept['seconds']:.1f} s",
            f"{kept['memory_mb']:.0f} MB",
            f"{pairs['pairs']:,}",
            f"{pairs['seconds']:.1f} s",
            f"{pairs['memory_mb']:.0f} MB",
            f"{brute['seconds']:.1f} s",
            f"{pairs['processor_s'] / brute['processor_s']:.2f}",
            "yes" if pairs["digest"] == brute["digest"] else "NO",
        )
    return table


def alone(file: Path, rows: Path, sizes: Sequence[int], threshold: float, threads: int, title: str) -> Table:
    """How de-duplication grows where brute force would take hours."""
    table = Table("vectors", title=title, title_justify="left")
    for heading in ("kept", "dedupe", "memory"):
        table.add_column(heading, justify="right")
    for size in sizes:
        found = measured("kept", file, rows, size, threshold, threads)
        table.add_row(f"{size:,}", f"{found['kept']:,}", f"{found['seconds']:.1f} s", f"{found['memory_mb']:.0f} MB")
    return table


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompts", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[50_000, 100_000, 200_000])
    parser.add_argument("--synthetic", type=int, nargs="*", default=[])
    parser.add_argument("--threshold", type=float, default=0.85)
    parser.add_argument("--cache", type=Path, default=default_cache())
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 130)
    real = [line for line in options.prompts.read_text(encoding="utf-8").split("\n") if line]
    prompts = with_variations(real, max(*options.sizes, len(real)))
    console.print(encoding(real, options.threads, options.repetitions))
    console.print(rounding(prompts[:ROUNDED], options.threshold))
    with tempfile.TemporaryDirectory() as place:
        rows, file, all_rows = Path(place, "rows.npy"), Path(place, "synthetic.f16"), Path(place, "all.npy")
        with VectorStore(options.cache, options.threads) as store:
            start = time.perf_counter()
            counts: list[int] = []
            store.keep(prompts[: max(options.sizes)], counts.append)
            if made := sum(counts):
                console.print(f"{made:,} vectors made in {time.perf_counter() - start:.0f} s; the others were kept")
            np.save(rows, store.rows(np.fromiter(map(fingerprint, prompts), np.uint64, len(prompts))))
            vectors = store.vectors
            path = store.folder / "vectors.f16"
        title = f"Search at {options.threshold:g}: real prompts and variations, {options.threads} threads"
        console.print(beside_brute_force(path, rows, options.sizes, options.threshold, options.threads, title))
        if options.synthetic:
            synthetic(vectors, max(options.synthetic), file)
            np.save(all_rows, np.arange(max(options.synthetic)))
            title = f"Search at {options.threshold:g}: synthetic vectors, {options.threads} threads"
            console.print(alone(file, all_rows, options.synthetic, options.threshold, options.threads, title))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        what, file, rows, count, threshold, threads = sys.argv[2:]
        print(json.dumps(measure(what, Path(file), Path(rows), int(count), float(threshold), int(threads))))
    else:
        main()
