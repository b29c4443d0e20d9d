"""One run by many workers: what dividing it costs, how memory grows, and what a hundred workers would do.

- `shards PICTURES`: two workers with a thread each beside one process with two threads, on the same pictures, taking
  turns; throughput of the additional pictures, processor time of a picture, and the start. Then 1, 2 and 4 workers.
- `listing`: time and memory to list, to number and to merge 10,000 and 1,000,000 pictures that do not exist.
- `simulation`: workers, shards and deaths, with the service times of pictures measured here and now.
- `same`: 2,000 small pictures, copies, broken ones and tars among them, by one process and by workers of which some are
  killed: equal to the byte?

python benchmarks/scale.py MODE [PICTURES] [--count N] [--repetitions N]
PICTURES is a folder of pictures; without one, noise is made.
"""

from __future__ import annotations

import argparse
import heapq
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
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from unprompt.errors import DataError
from unprompt.images.sources import image_refs
from unprompt.output.jsonl import to_json
from unprompt.scale.listing import Listing, list_all, share_of
from unprompt.scale.merging import Missing, merged, parts_of
from unprompt.scale.runs import Run

COMMAND = (sys.executable, "-m", "unprompt")
FEW = 4
"""Pictures of the short run, whose time is that of the start."""

LISTED = (10_000, 1_000_000)


@dataclass
class Options:
    """What was asked for."""

    pictures: Path | None
    count: int
    repetitions: int
    preset: str
    listed: Sequence[int]
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


def measure_listing(options: Options) -> None:
    """Each size in a process of its own, for its peak memory."""
    table = Table(
        "pictures", title="Listing, one share of 100, merging 100 parts: processor seconds", title_justify="left"
    )
    for heading in ("list, s", "peak MB", "share, s", "peak MB", "merge, s", "peak MB"):
        table.add_column(heading, justify="right")
    for count in options.listed:
        cells = []
        for step in ("list", "share", "merge"):
            with tempfile.TemporaryDirectory() as place:
                prepare(Path(place), count, step)
                command = [sys.executable, __file__, "step", place, "--step", step, "--count", str(count)]
                said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                cells += said.split()
        table.add_row(f"{count:,}", *cells)
    options.console.print(table)


def prepare(place: Path, count: int, step: str) -> None:
    """A list of names, or the parts of 100 shards with records of usual length."""
    if step != "merge":
        with (place / "names.txt").open("w") as file:
            file.writelines(f"/no/such/folder/{number:08}.png\n" for number in range(count))
        return
    (place / "parts").mkdir()
    for shard in range(100):
        with (place / "parts" / f"shard-{shard:05}.jsonl").open("w") as file:
            for position in range(shard, count, 100):
                record = {"position": position, "source": f"/no/such/folder/{position:08}.png", "prompt": "x" * 900}
                file.write(to_json(record) + "\n")


def take_step(place: Path, step: str, count: int) -> None:
    """One step, its processor seconds and its peak memory."""
    start = time.process_time()
    refs = image_refs(f"@{place / 'names.txt'}")
    if step == "list":
        assert list_all(refs).pictures == count
    elif step == "share":
        listing = Listing(count, "")
        with suppress(DataError):  # the hash is another, which is seen at the end
            for _ in share_of(refs, 7, 100, listing):
                pass
    else:
        done = Run(100, 1.0, count, "", {}, {})
        missing = Missing()
        assert sum(1 for _ in merged(parts_of(place, done), done, missing)) == count
        assert missing.count == 0
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(f"{time.process_time() - start:.1f} {peak_mb:.0f}")


def service_times(options: Options) -> tuple[list[float], float]:
    """Seconds of single pictures on one thread, and those of a start."""
    from unprompt.unprompter import load

    with some_pictures(options, options.count) as paths:
        unprompter = load(options.preset, threads=1)
        list(unprompter.predict(paths[0], text=False))
        times = []
        for path in paths:
            start = time.thread_time() + time.process_time()
            list(unprompter.predict(path, text=False))
            times.append((time.thread_time() + time.process_time() - start) / 2)
    start_s = time.perf_counter()
    subprocess.run([*COMMAND, "--help"], check=True, capture_output=True)
    return times, time.perf_counter() - start_s


def simulate(
    times: Sequence[float], workers: int, shards: int, pictures: int, *, start_s: float, deaths: int, seed: int = 0
) -> float:
    """Seconds until all shards are done. A worker that dies is not replaced; its shard waits for a lease of 120 s.

    Of a shard that is taken over, what was answered is kept; the start and a second for each claim are paid again.
    """
    chance = random.Random(seed)
    size = pictures / shards
    average = mean(times)
    spread = (sum((each - average) ** 2 for each in times) / len(times)) ** 0.5
    work = [max(size * average + chance.gauss(0, spread * size**0.5), 0.0) for _ in range(shards)]
    whole_s = sum(work) / workers
    dying = {worker: chance.uniform(0, whole_s) for worker in chance.sample(range(workers), deaths)}
    free = [(chance.uniform(0, start_s) + start_s, worker) for worker in range(workers)]
    heapq.heapify(free)
    todo: list[tuple[float, float]] = [(0.0, seconds) for seconds in work]  # when it may be claimed, how long it takes
    heapq.heapify(todo)
    end_s = 0.0
    while todo:
        now_s, worker = heapq.heappop(free)
        ready_s, seconds = heapq.heappop(todo)
        begin_s = max(now_s, ready_s) + 1.0
        died_s = dying.get(worker)
        if died_s is not None and begin_s + seconds > died_s:
            rest_s = max(seconds - max(died_s - begin_s, 0.0), 0.0)
            heapq.heappush(todo, (max(died_s, begin_s) + 120.0, rest_s))
            continue
        end_s = max(end_s, begin_s + seconds)
        heapq.heappush(free, (begin_s + seconds, worker))
    return end_s


def measure_simulation(options: Options) -> None:
    """Makespans for a million pictures."""
    times, start_s = service_times(options)
    average, million = mean(times), 1_000_000
    console = options.console
    console.print(
        f"{len(times)} pictures measured: {average * 1000:.1f} ms in the mean, {median(times) * 1000:.1f} in the "
        f"median, {max(times) * 1000:.1f} at most; a start takes {start_s:.1f} s"
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
        seconds = simulate(times, workers, shards, million, start_s=10.0, deaths=deaths)
        ideal_s = million * average / (workers - deaths / 2)
        cells = (shards, deaths, f"{seconds / 3600:.2f}", f"{million / seconds:.0f}", f"{ideal_s / seconds:.2f}")
        table.add_row(str(workers), *map(str, cells))
    console.print(table)


def measure_sameness(options: Options) -> None:
    """One process beside three workers that take shards as they come; workers are killed and begun again."""
    chance = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        pictures = make_mixed(place / "pictures", options.count)
        base = [*COMMAND, str(pictures), "--preset", options.preset, "--no-text", "--quiet", "--threads", "1"]
        run([[*base, "-o", str(place / "one.jsonl")]])
        command = [*base, "--shards", "12", "--shard", "auto", "-o", str(place / "out")]
        workers = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(3)]
        kills = 0
        while any(worker.poll() is None for worker in workers):
            time.sleep(chance.uniform(1, 10))
            if kills < options.repetitions:
                place_of = chance.randrange(3)
                workers[place_of].kill()
                workers[place_of].wait()
                kills += 1
                workers[place_of] = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        subprocess.run([*COMMAND, "merge", str(place / "out"), "-o", str(place / "all.jsonl"), "--quiet"], check=False)
        same = (place / "one.jsonl").read_bytes() == (place / "all.jsonl").read_bytes()
        lines = (place / "one.jsonl").read_text().splitlines()
        failed = sum("error" in json.loads(line) for line in lines)
        options.console.print(f"{len(lines)} pictures, {failed} failed, {kills} kills: the same to the byte: {same}")
        if not same:
            sys.exit(1)


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
    "listing": measure_listing,
    "simulation": measure_simulation,
    "same": measure_sameness,
}


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=[*MODES, "step"])
    parser.add_argument("pictures", type=Path, nargs="?")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--preset", default="embedded")
    parser.add_argument("--listed", type=int, nargs="*", default=LISTED)
    parser.add_argument("--step", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.mode == "step":
        take_step(given.pictures, given.step, given.count)
        return
    console = Console(width=None if sys.stdout.isatty() else 110)
    console.print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    MODES[given.mode](Options(given.pictures, given.count, given.repetitions, given.preset, given.listed, console))


if __name__ == "__main__":
    main()
