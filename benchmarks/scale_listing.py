"""How time and memory grow with the number of pictures: for workers, for the driver of a cluster, and for `merge`.

python benchmarks/scale_listing.py [--listed 10000 1000000]

The pictures do not exist, for nobody opens them here. Each step runs in a process of its own, whose processor seconds
and peak memory are told:

- list: `unprompt @LIST --shards` goes through all names before it begins.
- share: it goes through them again, and takes every hundredth.
- driver: `unprompt @LIST --cluster ray` divides them into chunks and writes the records that come back; without Ray
  itself, whose driver alone takes some 200 MB.
- merge: `unprompt merge` of a hundred shards, and of parts in no order, as a cluster leaves them.
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.table import Table

from unprompt.errors import DataError
from unprompt.images.ref import ImageRef
from unprompt.images.sources import image_refs
from unprompt.output.jsonl import to_json
from unprompt.scale.listing import Listing, list_all, share_of
from unprompt.scale.merging import Missing, merged, parts_of
from unprompt.scale.ray.chunks import PICTURES, chunks_of
from unprompt.scale.ray.parts import PART_PICTURES, Parts
from unprompt.scale.ray.rows import Row
from unprompt.scale.runs import Run

SHARDS = 100


def refs(place: Path) -> Iterator[ImageRef]:
    """The pictures of the list."""
    return image_refs(f"@{place / 'names.txt'}")


def record(name: str) -> dict[str, object]:
    """A record of usual length."""
    return {"source": name, "prompt": "x" * 900, "origin": "prediction"}


def write_list(place: Path, count: int) -> None:
    """A list of names."""
    with (place / "names.txt").open("w") as file:
        file.writelines(f"/no/such/folder/{number:08}.png\n" for number in range(count))


def write_shards(place: Path, count: int) -> None:
    """The parts of shards."""
    (place / "parts").mkdir()
    for shard in range(SHARDS):
        _write(place / "parts" / f"shard-{shard:05}.jsonl", range(shard, count, SHARDS))


def write_parts(place: Path, count: int) -> None:
    """Parts as a cluster leaves them: its chunks come in any order."""
    (place / "parts").mkdir()
    chunks = list(range(0, count, PICTURES))
    random.Random(0).shuffle(chunks)
    positions = [at for first in chunks for at in range(first, min(first + PICTURES, count))]
    for part, start in enumerate(range(0, count, PART_PICTURES)):
        _write(place / "parts" / f"part-{part:05}.jsonl", positions[start : start + PART_PICTURES])


def _write(path: Path, positions: range | list[int]) -> None:
    with path.open("w") as file:
        for position in positions:
            file.write(to_json({"position": position, **record(f"/no/such/folder/{position:08}.png")}) + "\n")


def take_list(place: Path, count: int) -> None:
    """Go through all names."""
    assert list_all(refs(place)).pictures == count


def take_share(place: Path, count: int) -> None:
    """Go through all names, and take one of a hundred."""
    with suppress(DataError):  # the hash is another, which is seen at the end
        for _ in share_of(refs(place), 7, SHARDS, Listing(count, "")):
            pass


def drive(place: Path, count: int) -> None:
    """List the pictures, divide them into chunks, write a record for each."""
    assert list_all(refs(place)).pictures == count
    with Parts(place, "jsonl") as parts:
        for chunk in chunks_of(refs(place), parts.done):
            parts.add(chunk, [Row(record(ref.source)) for ref in chunk.refs])
        parts.finish()


def merge_shards(place: Path, count: int) -> None:
    """Put shards into order."""
    _merge(place, Run(SHARDS, 1.0, count, "", {}, {}))


def merge_parts(place: Path, count: int) -> None:
    """Put parts that are in no order into order."""
    _merge(place, Run(None, 1.0, count, "", {}, {}))


def _merge(place: Path, run: Run) -> None:
    missing = Missing()
    assert sum(1 for _ in merged(parts_of(place, run), run, missing)) == run.pictures
    assert missing.count == 0


Step = Callable[[Path, int], None]
STEPS: dict[str, tuple[Step, Step]] = {
    "list": (write_list, take_list),
    "share": (write_list, take_share),
    "driver": (write_list, drive),
    "merge of shards": (write_shards, merge_shards),
    "merge of parts": (write_parts, merge_parts),
}
"""What lies there before a step, and the step."""


def measured(step: str, count: int) -> tuple[float, float]:
    """Processor seconds and peak megabytes of a step in a process of its own."""
    with tempfile.TemporaryDirectory() as place:
        STEPS[step][0](Path(place), count)
        command = [sys.executable, __file__, "--step", step, "--place", place, "--listed", str(count)]
        used_s, peak_mb = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(used_s), float(peak_mb)


def take(step: str, place: Path, count: int) -> None:
    """Take a step here, and print what it took."""
    start_s = time.process_time()
    STEPS[step][1](place, count)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(f"{time.process_time() - start_s:.1f} {peak_mb:.0f}")


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listed", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--step", choices=list(STEPS), help=argparse.SUPPRESS)
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        take(given.step, given.place, given.listed[0])
        return
    table = Table("step")
    for count in given.listed:
        table.add_column(f"{count:,}: processor s", justify="right")
        table.add_column("peak MB", justify="right")
    for step in STEPS:
        cells = [f"{value:g}" for count in given.listed for value in measured(step, count)]
        table.add_row(step, *cells)
    Console(width=None if sys.stdout.isatty() else 110).print(table)


if __name__ == "__main__":
    main()
