"""A folder of 1024-pixel JPEGs from disk to jsonl, beside the image model alone with tensors that are ready.

The JPEGs are real pictures enlarged (140 KB in the mean) or mosaics of 16 of them, which hold as much detail as fits
(320 KB). The rate of the
command is that of its additional pictures, (n - few) / (time for n - time for few): what a process costs before its
first answer is in benchmarks/cold_start.py. The measurements take turns, so that a busy machine slows all alike.

python benchmarks/folder.py SOURCES [--count 500] [--growth 200 2000 20000] [--listed 1000000] [--repetitions N]
SOURCES is a folder of pictures of at least 256 pixels, such as ../shared/data/pairs/images.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image, ImageOps
from rich.console import Console
from rich.table import Table

from unprompt.images.decode import Picture, decode
from unprompt.images.files import LocalFile
from unprompt.images.preprocess import Preprocessing, preprocess
from unprompt.images.ref import ImageRef
from unprompt.images.sources import image_refs
from unprompt.models.regressors.onnx import session
from unprompt.models.store.folder import ModelFolder
from unprompt.models.store.registry import find_model
from unprompt.output.journal import Journal
from unprompt.output.jsonl import to_json
from unprompt.output.records import to_record
from unprompt.prediction import Prediction
from unprompt.presets import load_preset
from unprompt.unprompter import load

UNPROMPT = str(Path(sys.executable).with_name("unprompt"))
FEW = 20
SIDE = 1024
BATCH = 8


def make_jpegs(kind: str, sources: Path, folder: Path, count: int, seed: int = 0) -> list[bytes]:
    """Writes JPEGs made of real pictures; the files' contents."""
    paths = [ref.source for ref in image_refs(str(sources))]
    rng = random.Random(seed)
    folder.mkdir()
    contents = []
    for number in range(count):
        file = io.BytesIO()
        _KINDS[kind](rng, paths).save(file, "JPEG", quality=90)
        contents.append(file.getvalue())
        (folder / f"{number}.jpg").write_bytes(contents[-1])
    return contents


def _enlarged(rng: random.Random, paths: Sequence[str]) -> Image.Image:
    with Image.open(rng.choice(paths)) as image:
        return ImageOps.fit(image.convert("RGB"), (SIDE, SIDE), Image.Resampling.LANCZOS)


def _mosaic(rng: random.Random, paths: Sequence[str]) -> Image.Image:
    mosaic = Image.new("RGB", (SIDE, SIDE))
    for place in range(16):
        with Image.open(rng.choice(paths)) as image:
            tile = image.convert("RGB").resize((SIDE // 4, SIDE // 4))
        mosaic.paste(tile, (place % 4 * SIDE // 4, place // 4 * SIDE // 4))
    return mosaic


_KINDS = {"enlarged": _enlarged, "mosaics": _mosaic}


def make_many(contents: Sequence[bytes], folder: Path, count: int) -> None:
    """Writes `count` files that all differ: the same pictures, each with a comment of its own."""
    folder.mkdir()
    for number in range(count):
        data = contents[number % len(contents)]
        comment = f"{number:08}".encode()
        head = data[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
        (folder / f"{number}.jpg").write_bytes(head + data[2:])


def run(folder: Path, limit: int, *options: str) -> tuple[float, float]:
    """Seconds and peak memory (MB) of the command on the first `limit` pictures."""
    with tempfile.TemporaryDirectory() as place:
        names = Path(place, "names.txt")
        names.write_text("".join(f"{folder / str(number)}.jpg\n" for number in range(limit)))
        command = [UNPROMPT, f"@{names}", "-o", str(Path(place, "out.jsonl")), "--quiet", *options]
        start = time.perf_counter()
        process = subprocess.Popen(command)
        memory = 0.0
        while process.poll() is None:
            memory = max(memory, peak_mb(process.pid))
            time.sleep(0.01)
        elapsed = time.perf_counter() - start
        if process.returncode:
            sys.exit(f"{' '.join(command)} ended with exit code {process.returncode}: nothing was measured")
        return elapsed, memory


def peak_mb(process: int) -> float:
    """The most memory that a running process has had; what the system tells of one that ended counts its parent's."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:  # it has just ended, or this is no Linux
        return 0.0
    return sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024 / 1e6


def rate(folder: Path, count: int, few: int, *options: str) -> float:
    """Pictures a second, once it runs."""
    return (count - few) / (run(folder, count, *options)[0] - run(folder, few, *options)[0])


def bare_rates(count: int, threads: int) -> tuple[float, float]:
    """Pictures a second of the image model alone: in batches by all threads together, and one picture a thread."""
    path = _regressor().file("model.onnx")
    side = _preprocessing().input_size
    tensors = np.random.default_rng(0).standard_normal((BATCH, 3, side, side)).astype(np.float32)
    together, alone = session(path, threads), session(path, 1)
    for warm in (together, alone):
        warm.run(["vectors"], {"pixels": tensors[:1]})
    start = time.perf_counter()
    for _ in range(count // BATCH):
        together.run(["vectors"], {"pixels": tensors})
    batched = count // BATCH * BATCH / (time.perf_counter() - start)
    with ThreadPoolExecutor(threads) as workers:
        start = time.perf_counter()
        list(workers.map(lambda _: alone.run(["vectors"], {"pixels": tensors[:1]}), range(count)))
        return batched, count / (time.perf_counter() - start)


def profile(folder: Path, count: int) -> Iterator[tuple[str, float]]:
    """Milliseconds of processor time that each step takes for a picture, on one thread."""
    refs = [ImageRef(str(path), LocalFile(str(path))) for path in sorted(folder.iterdir())[:count]]
    rules = _preprocessing()
    model = session(_regressor().file("model.onnx"), 1)

    def timed(name: str, step: Callable[[], object]) -> tuple[str, float]:
        start = time.process_time()
        step()
        return name, (time.process_time() - start) / count * 1000

    def put(journal: Journal) -> None:
        for number, answer in enumerate(answers):
            journal.put({f"{number:064x}": answer})

    yield timed("read", lambda: [ref.read() for ref in refs])
    name, everything = timed("", lambda: [decode(ref, shorter_side=rules.input_size) for ref in refs])
    _, reading = timed(name, lambda: [ref.read() for ref in refs])
    yield "hash, decode to RGB, metadata", everything - reading
    pictures = [found for ref in refs if isinstance(found := decode(ref, shorter_side=rules.input_size), Picture)]
    yield timed("resize and normalise", lambda: [preprocess(picture.pixels, rules) for picture in pictures])
    tensors = [preprocess(picture.pixels, rules)[None] for picture in pictures]
    yield timed("image model", lambda: [model.run(["vectors"], {"pixels": tensor}) for tensor in tensors])
    answers = [found for found in load().predict(refs, text=False) if isinstance(found, Prediction)]
    with tempfile.TemporaryDirectory() as place, Journal.open(Path(place, "journal"), "settings") as journal:
        yield timed("journal", lambda: put(journal))
    yield timed("record as JSON", lambda: [to_json(to_record(answer)) for answer in answers])


def first_answer(folder: Path, listed: int) -> tuple[float, float]:
    """Seconds to the first answer for a list of so many pictures, and the memory (MB) that the process then has."""
    with tempfile.TemporaryDirectory() as place:
        names = Path(place, "names.txt")
        files = sorted(folder.iterdir())
        with names.open("w") as file:
            for number in range(listed):
                file.write(f"{files[number % len(files)]}\n")
        start = time.perf_counter()
        command = [UNPROMPT, f"@{names}", "--no-text", "--format", "jsonl"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            process.stdout.readline()
            elapsed = time.perf_counter() - start
            memory = peak_mb(process.pid)
            process.kill()
        return elapsed, memory


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", type=Path)
    parser.add_argument("--pictures", choices=sorted(_KINDS), default="enlarged")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--sentences", type=int, default=60, help="pictures to measure sentences with")
    parser.add_argument("--growth", type=int, nargs="*", default=[])
    parser.add_argument("--listed", type=int, default=0)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 110)
    with tempfile.TemporaryDirectory() as place:
        jpegs = Path(place, "jpegs")
        contents = make_jpegs(options.pictures, options.sources, jpegs, options.count)
        size_kb = np.mean([len(data) for data in contents]) / 1000
        console.print(
            f"{options.count} JPEGs of {SIDE} x {SIDE}, {size_kb:.0f} KB in the mean; {options.threads} threads"
        )
        console.print(_throughput(jpegs, options.count, options.sentences, options.repetitions, options.threads))
        console.print(_profile(jpegs, min(200, options.count)))
        if options.growth:
            console.print(_growth(contents, Path(place), options.growth, options.threads))
        if options.listed:
            console.print(_listed(jpegs, options.listed, options.repetitions))


def _throughput(jpegs: Path, count: int, sentences: int, repetitions: int, threads: int) -> Table:
    names = (
        "image model alone, batches of 8",
        "image model alone, a picture a thread",
        "folder, --no-text",
        "folder, with sentences",
    )
    rates: dict[str, list[float]] = {name: [] for name in names}
    to_batches, to_alone = [], []
    for _ in range(repetitions):
        batched, alone = bare_rates(count, threads)
        vectors = rate(jpegs, count, FEW, "--no-text", "--threads", str(threads))
        worded = rate(jpegs, sentences, FEW // 2, "--threads", str(threads))
        for name, found in zip(names, (batched, alone, vectors, worded), strict=True):
            rates[name].append(found)
        to_batches.append(vectors / batched)
        to_alone.append(vectors / alone)
    table = Table("what", title=f"Throughput: medians of {repetitions} turns", title_justify="left")
    for heading in ("pictures/s", "least to most", "of batches", "of a picture a thread"):
        table.add_column(heading, justify="right")
    for name in names:
        middle = median(rates[name])
        ratios = (f"{median(to_batches):.2f}", f"{median(to_alone):.2f}") if name == names[2] else ("", "")
        table.add_row(name, f"{middle:.1f}", f"{min(rates[name]):.1f} to {max(rates[name]):.1f}", *ratios)
    return table


def _profile(jpegs: Path, count: int) -> Table:
    table = Table("step", title="Where the time goes, one thread", title_justify="left")
    table.add_column("ms a picture", justify="right")
    table.add_column("share", justify="right")
    steps = list(profile(jpegs, count))
    for name, spent in steps:
        table.add_row(name, f"{spent:.2f}", f"{spent / sum(spent for _, spent in steps):.0%}")
    return table


def _growth(contents: Sequence[bytes], place: Path, sizes: Sequence[int], threads: int) -> Table:
    table = Table("pictures", title="Growth: --no-text, whole processes", title_justify="left")
    for heading in ("seconds", "pictures/s", "peak memory"):
        table.add_column(heading, justify="right")
    many = place / "many"
    make_many(contents, many, max(sizes))
    for size in sizes:
        seconds, memory = run(many, size, "--no-text", "--threads", str(threads))
        table.add_row(f"{size:,}", f"{seconds:.1f}", f"{size / seconds:.1f}", f"{memory:.0f} MB")
    return table


def _listed(jpegs: Path, listed: int, repetitions: int) -> Table:
    table = Table("listed", title=f"Before the first answer: medians of {repetitions} turns", title_justify="left")
    for heading in ("seconds", "memory"):
        table.add_column(heading, justify="right")
    found = [(first_answer(jpegs, 1), first_answer(jpegs, listed)) for _ in range(repetitions)]
    for number, turns in ((1, [one for one, _ in found]), (listed, [many for _, many in found])):
        seconds, memory = (median(values) for values in zip(*turns, strict=True))
        table.add_row(f"{number:,}", f"{seconds:.2f}", f"{memory:.0f} MB")
    return table


def _regressor() -> ModelFolder:
    (member,) = load_preset("embedded").members
    return find_model(member.model)


def _preprocessing() -> Preprocessing:
    return Preprocessing.from_config(_regressor().config["preprocessing"])


if __name__ == "__main__":
    main()
