"""Ray actors against one process with as many threads in total, on the same pictures, taking turns.

    python benchmarks/scale_ray.py PICTURES... [--preset NAME|FILE] [--actors 2] [--repetitions 3] [--no-text]

Rates and processor seconds are taken between the first answers and the last ones, so that the start, which is said by
itself, does not count. Processor seconds are those of all processes of the run, Ray's own among them.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

from unprompt.images.sources import image_refs
from unprompt.presets import load_preset
from unprompt.scale.ray.answerer import Asked
from unprompt.scale.ray.cluster import joined
from unprompt.scale.ray.driver import Actors, answer
from unprompt.scale.ray.pool import Needs

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def processor_s() -> float:
    """Processor seconds of this process and of all that live below it. Linux alone has /proc."""
    parents: dict[int, list[int]] = defaultdict(list)
    used: dict[int, float] = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = place.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        number = int(place.parent.name)
        parents[int(words[1])].append(number)
        used[number] = sum(map(int, words[11:15])) * _TICK_S
    waiting, total_s = [os.getpid()], 0.0
    while waiting:
        number = waiting.pop()
        total_s += used.get(number, 0.0)
        waiting += parents[number]
    return total_s


class Pace:
    """When the first and the last answers came, what they took, and how many came after the first."""

    def __init__(self) -> None:
        self._began_s = time.perf_counter()
        self._first = self._last = (0.0, 0.0)
        self._after_first = 0

    def add(self, answers: int) -> None:
        """Some answers."""
        now = time.perf_counter(), processor_s()
        if self._first[0]:
            self._after_first += answers
        else:
            self._first = now
        self._last = now

    @property
    def rate(self) -> float:
        """Pictures per second after the first answers."""
        return self._after_first / max(self._last[0] - self._first[0], 1e-9)

    @property
    def used_ms(self) -> float:
        """Processor milliseconds of a picture after the first answers."""
        return 1000 * (self._last[1] - self._first[1]) / max(self._after_first, 1)

    @property
    def start_s(self) -> float:
        """Seconds before the first answers."""
        return self._first[0] - self._began_s


def of_one_process(asked: Asked, paths: list[str], threads: int, every: int) -> Pace:
    """One process with all threads; answers are counted by as many as the actors are given at a time."""
    pace = Pace()
    unprompter = replace(asked, threads=threads).unprompter()
    for number, _ in enumerate(unprompter.predict(paths, text=asked.text), 1):
        if number % every == 0:
            pace.add(every)
    return pace


def of_actors(asked: Asked, paths: list[str], actors: int, chunk_pictures: int) -> Pace:
    """Actors with one thread each, on a cluster of this machine that is started for it."""
    pace = Pace()
    with tempfile.TemporaryDirectory() as folder, joined("ray", Needs(), actors) as cluster:
        asked_of = Actors(actors, Needs(), chunk_pictures)
        for rows in _rows(answer(cluster, lambda: image_refs(paths), asked, Path(folder), "jsonl", asked_of)):
            pace.add(rows)
    return pace


def _rows(steps: Iterator[object]) -> Iterator[int]:
    yield from (len(step) for step in steps if isinstance(step, list))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--preset", default="embedded")
    parser.add_argument("--actors", type=int, default=2)
    parser.add_argument("--chunk-pictures", type=int, default=8)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--no-text", action="store_true")
    options = parser.parse_args()
    preset = load_preset(options.preset)
    asked = Asked(preset_text=preset.text, preset_file=f"{preset.name}.toml", text=not options.no_text)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; medians of {options.repetitions} turns")
    turns = []
    for _ in range(options.repetitions):
        one = of_one_process(asked, options.paths, options.actors, options.chunk_pictures)
        turns.append((one, of_actors(asked, options.paths, options.actors, options.chunk_pictures)))
    names = (f"one process, {options.actors} threads", f"{options.actors} actors of one thread")
    for name, paces in zip(names, zip(*turns, strict=True), strict=True):
        rate, used_ms, start_s = (median(getattr(pace, of) for pace in paces) for of in ("rate", "used_ms", "start_s"))
        print(f"{name}: {rate:.2f}/s, {used_ms:.0f} ms of a processor a picture, first answers after {start_s:.1f} s")
    of_rate = median(ray.rate / one.rate for one, ray in turns)
    of_used = median(ray.used_ms / one.used_ms for one, ray in turns)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"actors / one process: rate {of_rate:.2f}, processor time {of_used:.2f}; driver at most {peak_mb} MB")


if __name__ == "__main__":
    main()
