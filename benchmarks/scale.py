"""One run by many workers: what dividing it costs, how memory grows, and what a hundred workers would do.

- `shards PICTURES`: two workers with a thread each beside one process with two threads, on the same pictures, taking
  turns; throughput of the additional pictures, processor time of a picture, and the start. Then 1, 2 and 4 workers.
- `simulation`: workers, shards and deaths, with the service times of pictures measured here and now.
- `same`: small pictures, copies, broken ones and tars among them, by one process, by three workers of which some are
  killed, and, where Ray is installed, by two actors of a cluster of this machine: equal to the byte?

python benchmarks/scale.py MODE [PICTURES] [--count N] [--repetitions N]
PICTURES is a folder of pictures; without one, noise is made.
"""

from __future__ import annotations

import argparse
import heapq
import importlib.util
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median, pstdev

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from unprompt.images.sources import image_refs
from unprompt.scale.listing import list_all

COMMAND = (sys.executable, "-m", "unprompt")
FEW = 4
"""Pictures of the short run, whose time is that of the start."""

MILLION = 1_000_000


@dataclass
class Options:
    """What was asked for."""

    pictures: Path | None
    count: int
    repetitions: int
    preset: str
    console: Console


@contextmanager
def some_pictures(options: Options, count: int) -> Iterator[list[Path]]:
    """So many pictures: those of the folder, again and again under other names, or noise."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if options.pictures is None:
            sources = [make_noise(folder / "noise", number) for number in range(min(count, 50))]
        else:
            sources = [Path(ref.source) for ref in image_refs(str(options.pictures))]
        paths = []
        for number in range(count):
            source = sources[number % len(sources)]
            path = folder / f"{number:06}{source.suffix}"
            # A comment of its own at the end, which no decoder reads: copies would be answered from memory.
            path.write_bytes(source.read_bytes() + b"%d" % number)
            paths.append(path)
        yield paths


def make_noise(folder: Path, number: int, side: int = 512) -> Path:
    """A JPEG of coarse noise."""
    folder.mkdir(exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (side // 16, side // 16, 3), dtype=np.uint8)
    path = folder / f"{number}.jpg"
    Image.fromarray(pixels).resize((side, side)).save(path, quality=90)
    return path


def run(commands: Sequence[Sequence[str]]) -> tuple[float, float]:
    """Seconds on the clock, and of processors, of commands that run at once."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    processes = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for command in commands]
    for process in processes:
        if process.wait() not in (0, 3):
            sys.exit(f"{' '.join(process.args)} ended with exit code {process.returncode}")  # type: ignore[arg-type]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, used_s


def answering(paths: Sequence[Path], place: Path, preset: str, threads: int, workers: int) -> list[list[str]]:
    """The commands of one process, or of so many workers, with their output in a new folder."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    names = place / "names.txt"
    names.write_text("".join(f"{path}\n" for path in paths))
    base = [*COMMAND, f"@{names}", "--preset", preset, "--no-text", "--quiet", "--threads", str(threads)]
    if not workers:
        return [[*base, "-o", str(place / "one.jsonl"), "--resume"]]
    return [
        [*base, "-o", str(place / "out"), "--shards", str(workers), "--shard", str(number)] for number in range(workers)
    ]


def measure(options: Options, paths: Sequence[Path], place: Path, threads: int, workers: int) -> dict[str, float]:
    """Throughput and processor time of the additional pictures, and the seconds of a start."""
    few_s, few_used_s = run(answering(paths[: FEW * max(workers, 1)], place, options.preset, threads, workers))
    all_s, all_used_s = run(answering(paths, place, options.preset, threads, workers))
    more = len(paths) - FEW * max(workers, 1)
    return {"rate": more / (all_s - few_s), "used_ms": (all_used_s - few_used_s) / more * 1000, "start_s": few_s}


def measure_shards(options: Options) -> None:
    """Two workers beside one process; then how throughput grows."""
    kinds = {
        "one process, 2 threads": (2, 0),
        "2 workers, 1 thread each": (1, 2),
        "1 worker, 1 thread": (1, 1),
        "4 workers, 1 thread each": (1, 4),
    }
    found: dict[str, list[dict[str, float]]] = {name: [] for name in kinds}
    with some_pictures(options, options.count) as paths, tempfile.TemporaryDirectory() as folder:
        for _ in range(options.repetitions):
            for name, (threads, workers) in kinds.items():
                found[name].append(measure(options, paths, Path(folder, "run"), threads, workers))
    first = next(iter(kinds))
    title = f"{options.count} pictures, preset {options.preset}, --no-text: medians of {options.repetitions} turns"
    table = Table("what", title=title, title_justify="left")
    for heading in ("pictures/s", "of one process", "processor ms a picture", "of one process", "start, s"):
        table.add_column(heading, justify="right")
    for name, turns in found.items():
        ratios = [
            (turn["rate"] / one["rate"], turn["used_ms"] / one["used_ms"])
            for turn, one in zip(turns, found[first], strict=True)
        ]
        middle = {key: median(turn[key] for turn in turns) for key in turns[0]}
        table.add_row(
            name,
            f"{middle['rate']:.1f}",
            f"{median(rate for rate, _ in ratios):.2f}",
            f"{middle['used_ms']:.1f}",
            f"{median(used for _, used in ratios):.2f}",
            f"{middle['start_s']:.1f}",
        )
    options.console.print(table)


@dataclass(frozen=True, slots=True)
class Costs:
    """Processor seconds: of each picture that was measured, of a start, and of listing a million names."""

    pictures: Sequence[float]
    start_s: float
    listing_s: float


def costs(options: Options) -> Costs:
    """What single pictures on one thread, a start, and a list take here."""
    from unprompt.unprompter import load

    with some_pictures(options, options.count) as paths, tempfile.TemporaryDirectory() as folder:
        unprompter = load(options.preset, threads=1)
        list(unprompter.predict(paths[0], text=False))
        times = []
        for path in paths:
            start_s = time.process_time()
            list(unprompter.predict(path, text=False))
            times.append(time.process_time() - start_s)
        _, few_s = run(answering(paths[:FEW], Path(folder, "run"), options.preset, 1, 1))
    return Costs(times, max(few_s - FEW * mean(times), 0.0), list_s(MILLION // 10) * 10)


def list_s(count: int) -> float:
    """Processor seconds of going through a list of so many names."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.writelines(f"/no/such/folder/{number:08}.png\n" for number in range(count))
        file.flush()
        start_s = time.process_time()
        list_all(image_refs(f"@{file.name}"))
        return time.process_time() - start_s


def simulate(costs: Costs, workers: int, shards: int, *, deaths: int, seed: int = 0) -> float:
    """Seconds until all shards of a million pictures are done.

    A worker starts and lists the names once; each shard costs another list and a second for the claim. A worker that
    dies is not replaced: its shard waits for a lease of 120 s, and what was answered of it is kept.
    """
    chance = random.Random(seed)
    size = MILLION / shards
    average, spread = mean(costs.pictures), pstdev(costs.pictures)
    work = [max(size * average + chance.gauss(0, spread * size**0.5), 0.0) for _ in range(shards)]
    whole_s = sum(work) / workers
    dying = {worker: chance.uniform(0, whole_s) for worker in chance.sample(range(workers), deaths)}
    begun_s = costs.start_s + costs.listing_s
    free = [(chance.uniform(0, begun_s) + begun_s, worker) for worker in range(workers)]
    heapq.heapify(free)
    todo: list[tuple[float, float]] = [(0.0, seconds) for seconds in work]  # when it may be claimed, how long it takes
    heapq.heapify(todo)
    end_s = 0.0
    while todo:
        now_s, worker = heapq.heappop(free)
        ready_s, seconds = heapq.heappop(todo)
        begin_s = max(now_s, ready_s) + 1.0 + costs.listing_s
        died_s = dying.get(worker)
        if died_s is not None and begin_s + seconds > died_s:
            rest_s = max(seconds - max(died_s - begin_s, 0.0), 0.0)
            heapq.heappush(todo, (max(died_s, begin_s) + 120.0, rest_s))
            continue
        end_s = max(end_s, begin_s + seconds)
        heapq.heappush(free, (begin_s + seconds, worker))
    return end_s


def measure_simulation(options: Options) -> None:
    """How long a million pictures would take."""
    found, console = costs(options), options.console
    average = mean(found.pictures)
    console.print(
        f"{len(found.pictures)} pictures measured: {average * 1000:.1f} ms of a processor in the mean, "
        f"{median(found.pictures) * 1000:.1f} in the median, {max(found.pictures) * 1000:.1f} at most; a start takes "
        f"{found.start_s:.1f} s, and a list of a million names {found.listing_s:.1f} s"
    )
    table = Table("workers", title="A million pictures, one thread a worker, simulated", title_justify="left")
    for heading in ("shards", "deaths", "hours", "pictures/s", "of the ideal"):
        table.add_column(heading, justify="right")
    for workers, shards, deaths in (
        (1, 1, 0),
        (2, 2, 0),
        (4, 4, 0),
        (100, 100, 0),
        (100, 400, 0),
        (100, 1600, 0),
        (100, 100, 5),
        (100, 400, 5),
        (100, 1600, 5),
    ):
        seconds = simulate(found, workers, shards, deaths=deaths)
        ideal_s = MILLION * average / (workers - deaths / 2)
        cells = (shards, deaths, f"{seconds / 3600:.2f}", f"{MILLION / seconds:.0f}", f"{ideal_s / seconds:.2f}")
        table.add_row(str(workers), *map(str, cells))
    console.print(table)


def measure_sameness(options: Options) -> None:
    """One process beside three workers that take shards as they come, and beside two actors."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        pictures = make_mixed(place / "pictures", options.count)
        base = [*COMMAND, str(pictures), "--preset", options.preset, "--no-text", "--embedding", "--quiet"]
        base += ["--threads", "1"]
        one_s, _ = run([[*base, "-o", str(place / "one.jsonl")]])
        lines = (place / "one.jsonl").read_text().splitlines()
        failed = sum("error" in json.loads(line) for line in lines)
        options.console.print(f"one process: {len(lines)} pictures, {failed} failed; {one_s:.0f} s")
        killed = run_shards([*base, "--shards", "12", "--shard", "auto", "-o", str(place / "shards")], options)
        same = [say_sameness(options, f"three workers, {killed} killed", place, "shards")]
        if importlib.util.find_spec("ray") is not None:
            run([[*base, "--cluster", "ray", "--actors", "2", "-o", str(place / "ray")]])
            same.append(say_sameness(options, "two actors of a Ray cluster", place, "ray"))
        if not all(same):
            sys.exit(1)


def run_shards(command: Sequence[str], options: Options) -> int:
    """Keep three workers until all is done; kill one every few seconds, `repetitions` in all, and begin it anew."""
    chance, killed = random.Random(1), 0
    workers = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(3)]
    while any(worker.poll() is None for worker in workers):
        time.sleep(chance.uniform(1, 10))
        number = chance.randrange(3)
        if killed < options.repetitions and workers[number].poll() is None:
            workers[number].kill()
            workers[number].wait()
            workers[number] = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            killed += 1
    return killed


def say_sameness(options: Options, who: str, place: Path, name: str) -> bool:
    """Merge the parts in a folder, and say whether they are what the one process wrote."""
    merged = place / f"{name}.jsonl"
    subprocess.run([*COMMAND, "merge", str(place / name), "-o", str(merged), "--quiet"], check=False)
    same = merged.exists() and merged.read_bytes() == (place / "one.jsonl").read_bytes()
    options.console.print(f"{who}: the same to the byte: {same}")
    return same


def make_mixed(folder: Path, count: int) -> Path:
    """Small pictures, of which a twentieth is broken, a twentieth a copy, and half are in tars."""
    generator = np.random.default_rng(5)
    latest = b""
    for number in range(count):
        path = folder / f"{number // 100:03}" / f"{number:05}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if number % 20 == 7:
            path.write_bytes(latest[: len(latest) // 2])
        elif number % 20 == 9:
            path.write_bytes(latest)
        else:
            Image.fromarray(generator.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(path)
            latest = path.read_bytes()
    for part in sorted(folder.iterdir())[::2]:
        with tarfile.open(folder / f"{part.name}.tar", "w") as tar:
            for path in sorted(part.iterdir()):
                tar.add(path, path.name)
        shutil.rmtree(part)
    return folder


MODES: dict[str, Callable[[Options], None]] = {
    "shards": measure_shards,
    "simulation": measure_simulation,
    "same": measure_sameness,
}


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=[*MODES])
    parser.add_argument("pictures", type=Path, nargs="?")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--preset", default="embedded")
    given = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 110)
    console.print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    MODES[given.mode](Options(given.pictures, given.count, given.repetitions, given.preset, console))


if __name__ == "__main__":
    main()
