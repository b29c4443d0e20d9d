"""What a fresh process takes to answer, beside what `import torch` alone takes: time, processor time, memory.

The commands take turns, so that a busy machine slows all of them alike; the table gives medians, and in brackets their
ratio to those of `import torch`. The first `unprompt interrogate` encodes the lists of terms, the
second reads their vectors.

python benchmarks/cold_start.py [--repetitions N] [--picture FILE]
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

PICTURE = Path(__file__).resolve().parent.parent / "examples" / "astronaut.jpg"
UNPROMPT = str(Path(sys.executable).with_name("unprompt"))
YARDSTICK = "import torch"
# As users have it: with the compiled modules that the first run leaves.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
BYTES_PER_RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # see getrusage(2)


@dataclass
class Series:
    """One command's measurements."""

    name: str
    command: list[str]
    emptied: Path | None = None
    """A folder that is removed before each run."""
    seconds: list[float] = field(default_factory=list)
    processor_s: list[float] = field(default_factory=list)
    peak_mb: list[float] = field(default_factory=list)

    def run(self) -> None:
        """Measure one process, from its start to its end."""
        if self.emptied is not None:
            shutil.rmtree(self.emptied, ignore_errors=True)
        start = time.perf_counter()
        process = subprocess.Popen(self.command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        elapsed = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"{' '.join(self.command)} ended with exit code {process.returncode}: nothing was measured")
        self.seconds.append(elapsed)
        self.processor_s.append(usage.ru_utime + usage.ru_stime)
        self.peak_mb.append(usage.ru_maxrss * BYTES_PER_RSS_UNIT / 1e6)

    def forget(self) -> None:
        """Drop what was measured."""
        for measured in (self.seconds, self.processor_s, self.peak_mb):
            measured.clear()


def beside(measured: list[float], yardstick: list[float] | None, form: str) -> str:
    """The median, and its ratio to that of the yardstick."""
    middle = median(measured)
    return form.format(middle) + (f" ({middle / median(yardstick):.2f})" if yardstick else "")


def main() -> None:
    """Read the options, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--picture", type=Path, default=PICTURE)
    options = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="unprompt-cold-start-") as folder:
        measure(options, Path(folder) / "terms")


def measure(options: argparse.Namespace, terms: Path) -> None:
    """Measure and print the table; `terms` is a folder for vectors of lists."""
    interrogate = [UNPROMPT, "interrogate", str(options.picture), "--mode", "fast", "--cache", str(terms)]
    series = [
        Series(f"unprompt {options.picture.name}", [UNPROMPT, str(options.picture)]),
        Series("interrogate, first run", interrogate, emptied=terms),
        Series("interrogate, second run", interrogate),
        Series("unprompt --help", [UNPROMPT, "--help"]),
        Series("python -c pass", [sys.executable, "-c", "pass"]),
    ]
    if importlib.util.find_spec("torch"):
        series.insert(0, Series(f'python -c "{YARDSTICK}"', [sys.executable, "-c", YARDSTICK]))

    for entry in series:
        entry.run()  # once unmeasured: the first reading of the files from disk is the machine's, not the command's
        entry.forget()
    for _ in range(options.repetitions):
        for entry in series:
            entry.run()

    yardstick = next((entry for entry in series if YARDSTICK in entry.name), None)
    title = f"Cold start: medians of {options.repetitions} runs, taking turns; in brackets, beside {YARDSTICK}"
    table = Table("command", title=title, title_justify="left")
    for heading in ("seconds", "least to most", "processor seconds", "peak memory"):
        table.add_column(heading, justify="right")
    for entry in series:
        table.add_row(
            entry.name,
            beside(entry.seconds, None if yardstick is None else yardstick.seconds, "{:.2f}"),
            f"{min(entry.seconds):.2f} to {max(entry.seconds):.2f}",
            beside(entry.processor_s, None if yardstick is None else yardstick.processor_s, "{:.2f}"),
            beside(entry.peak_mb, None if yardstick is None else yardstick.peak_mb, "{:.0f} MB"),
        )
    console = Console(width=None if sys.stdout.isatty() else 100)
    console.print(table)
    if yardstick is None:
        console.print(
            "torch is not installed here, so there is nothing to compare with: pip install 'unprompt[torch]'",
            markup=False,
        )


if __name__ == "__main__":
    main()
