"""A folder of which a third has to be refused or read with care: what becomes of each file, and what it takes.

The folder is built by tests/hostile/folder.py, whose head says what lies in it, and answered by the real command with
the embedded models, sentences and all. Then each file is read alone, decoded and searched for a prompt, in a process
that does nothing else. The promise: exit code 3, every good picture answered, every bad one named, less than 600 MB, no
file longer than 10 s.

python benchmarks/hostile_folder.py [--small] [--slowest N]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

from hostile import command
from hostile.folder import FULL, SMALL, build, changing, is_hostile, may_be_unseen

from unprompt.display import printable

MEMORY_PROMISED_MB = 600
TIME_PROMISED_S = 10.0

# VmHWM is set back before each file, so that it says what that one took.
_ONE_BY_ONE = """
import json, sys, time
from unprompt.images.decode import decode
from unprompt.images.sources import image_refs

def memory_mb(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name)) * 1024 / 1e6

for ref in image_refs(sys.argv[1]):
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    before, start = memory_mb("VmRSS"), time.perf_counter()
    decode(ref, shorter_side=224)
    print(json.dumps([ref.source, time.perf_counter() - start, memory_mb("VmHWM") - before]), flush=True)
"""


class Cost(NamedTuple):
    """What reading one file took."""

    source: str
    seconds: float
    peak_mb: float


def main() -> int:
    """Build, measure and print the tables; 1 where a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a folder that is built and answered in seconds")
    parser.add_argument("--slowest", type=int, default=5, metavar="N", help="how many files to name (default: 5)")
    options = parser.parse_args()
    if not command.CAN_BE_UNPRIVILEGED:
        sys.exit("root may list closed folders, and there is no setpriv to stop it: run this as another user")

    console = Console(width=None if sys.stdout.isatty() else 120)
    with tempfile.TemporaryDirectory() as kept:
        folder = Path(kept) / "hostile"
        folder.mkdir()
        size = SMALL if options.small else FULL
        outcomes = build(folder, size)
        try:
            with changing(folder):
                run = command.run(folder, *size.options)
            costs = one_by_one(folder)
        finally:
            (folder / "closed").chmod(0o700)
        surprises = {path: kind for path, kind in run.surprises(outcomes).items() if not may_be_unseen(path)}
        slowest = max(costs, key=lambda cost: cost.seconds)
        hostile = sum(map(is_hostile, outcomes))
        rows = (
            ("files, of them hostile", f"{len(outcomes)}, {hostile}", hostile * 3 >= len(outcomes)),
            ("exit code", str(run.code), run.code == 3),
            ("answered", str(len(run.out.splitlines())), True),
            (
                "failed",
                ", ".join(f"{number} {kind}" for kind, number in Counter(run.kinds.values()).most_common()),
                True,
            ),
            ("became of it what should not", str(len(surprises)), not surprises),
            ("raw control characters", str(len(run.raw())), not run.raw()),
            ("peak memory", f"{run.peak_mb:.0f} MB", run.peak_mb < MEMORY_PROMISED_MB),
            ("time in all", f"{run.elapsed_s:.0f} s", True),
            ("slowest file, alone", f"{slowest.seconds:.1f} s", slowest.seconds < TIME_PROMISED_S),
        )
        table = Table("what", "found", "kept", title="The command over the whole folder", title_justify="left")
        for what, found, kept_promise in rows:
            table.add_row(what, found, "yes" if kept_promise else "NO")
        console.print(table)
        console.print(of_costs(costs, folder, options.slowest))
        for path, kind in surprises.items():
            expected = " or ".join(sorted(outcomes.get(path, ())))
            console.print(f"{printable(path)}: expected {expected}, found {kind}", markup=False)
    return 0 if all(kept_promise for _what, _found, kept_promise in rows) else 1


def one_by_one(folder: Path) -> list[Cost]:
    """What each file takes alone; the first ones pay for loading the libraries."""
    process = subprocess.run(
        [*command.UNPRIVILEGED, sys.executable, "-c", _ONE_BY_ONE, str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # libtiff speaks there
        check=True,
    )
    return [Cost(*json.loads(line)) for line in process.stdout.splitlines()]


def of_costs(costs: list[Cost], folder: Path, count: int) -> Table:
    """The slowest files, and those that take the most memory."""
    table = Table("file", title="Each file alone: the slowest, the largest", title_justify="left")
    table.add_column("seconds", justify="right")
    table.add_column("peak memory", justify="right")
    slowest = sorted(costs, key=lambda cost: -cost.seconds)[:count]
    largest = sorted(costs, key=lambda cost: -cost.peak_mb)[:count]
    for cost in dict.fromkeys([*slowest, *largest]):
        name = escape(printable(cost.source.removeprefix(f"{folder}/")))
        table.add_row(name, f"{cost.seconds:.2f}", f"{cost.peak_mb:.0f} MB")
    return table


if __name__ == "__main__":
    sys.exit(main())
