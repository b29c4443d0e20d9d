"""Ray actors against one process with as many threads in total, on the same pictures: pictures per second, and start.

    python benchmarks/scale_ray.py PICTURES... [--preset NAME|FILE] [--actors 2] [--no-text]

The rate of the cluster is taken between its first chunk and its last, so that its start, which is said by itself, does
not count; that of the one process between its first answer and its last. Each is measured alone, one after the other.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from unprompt.images.sources import image_refs
from unprompt.presets import load_preset
from unprompt.scale.ray.answerer import Asked
from unprompt.scale.ray.cluster import joined
from unprompt.scale.ray.driver import Actors, answer
from unprompt.scale.ray.pool import Needs


class Pace:
    """When the first and the last answers came, and how many after the first."""

    def __init__(self) -> None:
        self.began_s = time.perf_counter()
        self.first_s = self.last_s = 0.0
        self.after_first = 0

    def add(self, answers: int) -> None:
        """Some more answers, now."""
        now_s = time.perf_counter()
        if self.first_s:
            self.after_first += answers
        self.first_s, self.last_s = self.first_s or now_s, now_s

    @property
    def rate(self) -> float:
        """Pictures per second after the first answers."""
        return self.after_first / max(self.last_s - self.first_s, 1e-9)

    @property
    def start_s(self) -> float:
        """Seconds before the first answers."""
        return self.first_s - self.began_s


def of_one_process(asked: Asked, paths: list[str], threads: int) -> Pace:
    """One process with all threads."""
    pace = Pace()
    unprompter = replace(asked, threads=threads).unprompter()
    for _ in unprompter.predict(paths, text=asked.text):
        pace.add(1)
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
    parser.add_argument("--chunk-pictures", type=int, default=16)
    parser.add_argument("--no-text", action="store_true")
    options = parser.parse_args()
    preset = load_preset(options.preset)
    asked = Asked(preset_text=preset.text, preset_file=f"{preset.name}.toml", text=not options.no_text)
    one = of_one_process(asked, options.paths, options.actors)
    ray = of_actors(asked, options.paths, options.actors, options.chunk_pictures)
    print(f"one process, {options.actors} threads: {one.rate:.2f}/s, first answer after {one.start_s:.1f} s")
    print(f"{options.actors} actors of one thread: {ray.rate:.2f}/s, first chunk after {ray.start_s:.1f} s")
    print(f"ratio {ray.rate / one.rate:.2f}; driver {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


if __name__ == "__main__":
    main()
