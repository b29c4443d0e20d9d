"""Writing and checking a submission of the hidden test's size, beside what Python's own csv module takes.

The rivals do less: the writer gives the digits of doubles, twice as many; the reader keeps every row by its key, as is
needed to find what is missing or doubled, and looks whether the values are finite. Each measurement is a process of its
own, whose memory is what the system says of it at its end; they take turns, and the table gives medians.

python benchmarks/kaggle.py [--images 16000] [--repetitions 3]
"""

from __future__ import annotations

import argparse
import csv
import math
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import numpy as np
from rich.console import Console
from rich.table import Table

from unprompt.kaggle.rows import HEADER
from unprompt.kaggle.submission import check_submission, write_submission
from unprompt.prediction import EMBEDDING_SIZE, Vector

IMAGES = 16_000
ORDERED, SHUFFLED, WRITTEN = "ordered.csv", "shuffled.csv", "written.csv"


def rows(images: int) -> Iterator[tuple[str, Vector]]:
    """Images with random unit vectors; a fresh one each time, as a model gives them."""
    generator = np.random.default_rng(0)
    for number in range(images):
        vector = generator.standard_normal(EMBEDDING_SIZE).astype(np.float32)
        yield f"{number:09x}", vector / np.linalg.norm(vector)


def write(folder: Path, images: int) -> None:
    """Our writer."""
    write_submission(folder / WRITTEN, rows(images))


def write_by_csv(folder: Path, images: int) -> None:
    """The csv module's."""
    with (folder / WRITTEN).open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER.split(","))
        for image, vector in rows(images):
            writer.writerows((f"{image}_{place}", value) for place, value in enumerate(vector.tolist()))


def check(folder: Path, images: int, name: str = ORDERED) -> None:
    """Our check."""
    found = check_submission(folder / name)
    assert (found.images, found.findings) == (images, ())


def check_shuffled(folder: Path, images: int) -> None:
    """Our check of rows that come in any order."""
    check(folder, images, SHUFFLED)


def check_by_csv(folder: Path, images: int) -> None:
    """What one would write by hand."""
    values: dict[str, float] = {}
    with (folder / ORDERED).open(newline="") as file:
        reader = csv.reader(file)
        assert next(reader) == HEADER.split(",")
        for key, text in reader:
            assert key not in values
            values[key] = float(text)
            assert math.isfinite(values[key])
    found = {key.rpartition("_")[0] for key in values}
    assert all(f"{image}_{place}" in values for image in found for place in range(EMBEDDING_SIZE))
    assert len(found) == images


def prepare(folder: Path, images: int) -> None:
    """The files that are checked."""
    write_submission(folder / ORDERED, rows(images))
    header, *lines = (folder / ORDERED).read_bytes().splitlines(keepends=True)
    random.Random(0).shuffle(lines)
    (folder / SHUFFLED).write_bytes(b"".join([header, *lines]))


STEPS: dict[str, Callable[[Path, int], None]] = {
    step.__name__: step for step in (write, write_by_csv, check, check_shuffled, check_by_csv, prepare)
}
RIVAL = {"write": "write_by_csv", "check": "check_by_csv", "check_shuffled": "check_by_csv"}


def run(step: str, folder: Path, images: int) -> tuple[float, float]:
    """Seconds that a step takes in a fresh process, without its start, and the process's peak memory in MB."""
    command = [sys.executable, __file__, "--step", step, "--folder", str(folder), "--images", str(images)]
    seconds, memory = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    return float(seconds), float(memory)


def peak_mb() -> float:
    """The most memory that this process has had; 0 where the system is no Linux."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024 / 1e6


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        start = time.perf_counter()
        STEPS[options.step](options.folder, options.images)
        print(time.perf_counter() - start, peak_mb())
        return

    measured: dict[str, list[tuple[float, float]]] = {step: [] for step in STEPS if step != "prepare"}
    with tempfile.TemporaryDirectory() as place:
        run("prepare", Path(place), options.images)
        for _ in range(options.repetitions):
            for step, results in measured.items():
                results.append(run(step, Path(place), options.images))
        size_mb = (Path(place) / ORDERED).stat().st_size / 1e6
    rows_of = options.images * EMBEDDING_SIZE
    table = Table(title=f"{options.images:,} images, {rows_of:,} rows, {size_mb:.0f} MB", title_justify="left")
    for heading in ("step", "seconds", "rows/s", "peak MB", "time / csv's", "memory / csv's"):
        table.add_column(heading, justify="left" if heading == "step" else "right")
    medians = {step: [median(values) for values in zip(*results, strict=True)] for step, results in measured.items()}
    for step, (seconds, memory) in medians.items():
        rival = medians[RIVAL[step]] if step in RIVAL else None
        ratios = (f"{seconds / rival[0]:.2f}", f"{memory / rival[1]:.2f}") if rival and rival[1] else ("", "")
        table.add_row(step.replace("_", " "), f"{seconds:.1f}", f"{rows_of / seconds:,.0f}", f"{memory:.0f}", *ratios)
    Console().print(table)


if __name__ == "__main__":
    main()
