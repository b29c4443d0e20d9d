"""What `unprompt metadata` costs in processor time, beside sd-parsers and exiftool on the same files.

The commands take turns, so that a busy machine slows all of them alike; the tables give medians of processor seconds
(user and system, of processes that end), and their ratios. The folder is read as it is, and ten times over by links.
The second table is the start: one picture, beside `unprompt --help`.

    python benchmarks/metadata.py PICTURES [--sd-parsers PYTHON] [--exiftool COMMAND] [--repetitions N]

sd-parsers asks for other releases of what we use: give the interpreter of an environment that has it.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

UNPROMPT = [sys.executable, "-m", "unprompt"]
COPIES = 10
SD_PARSERS = """
import sys
from pathlib import Path
from sd_parsers import ParserManager

manager = ParserManager()
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        manager.parse(path)
    except Exception:
        pass
"""
# Compiled files are written, as pip does for an installed package.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@dataclass
class Series:
    """One command's measurements."""

    name: str
    command: list[str]
    seconds: list[float] = field(default_factory=list)

    def run(self) -> None:
        """Measure one process. Exit code 3 is fine: some file was no picture."""
        process = subprocess.Popen(self.command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in (0, 3):
            sys.exit(f"{shlex.join(self.command)} ended with exit code {process.returncode}: nothing was measured")
        self.seconds.append(usage.ru_utime + usage.ru_stime)


def main() -> None:
    """Measure and print the tables."""
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        many = Path(folder)
        pictures = sorted(path.resolve() for path in options.pictures.iterdir() if path.is_file())
        for copy in range(COPIES):
            for path in pictures:
                (many / f"{copy}_{path.name}").symlink_to(path)
        console = Console(width=None if sys.stdout.isatty() else 100)
        for place, count in ((options.pictures, len(pictures)), (many, COPIES * len(pictures))):
            title = f"{count:,} files, medians of {options.repetitions} runs, taking turns"
            console.print(_table(title, _measured(_readers(place, options), options.repetitions)))
    start = [
        Series("unprompt --help", [*UNPROMPT, "--help"]),
        Series("unprompt metadata ONE", [*UNPROMPT, "metadata", str(options.one or pictures[0])]),
    ]
    console.print(_table("The start", _measured(start, 3 * options.repetitions)))


def _readers(folder: Path, options: argparse.Namespace) -> list[Series]:
    """The commands to compare; ratios are to the first."""
    ours = [*UNPROMPT, "metadata", str(folder), "--format", "jsonl", "-o", os.devnull, "-q"]
    series = [Series("unprompt metadata", ours)]
    if options.sd_parsers:
        series.insert(0, Series("sd-parsers", [options.sd_parsers, "-c", SD_PARSERS, str(folder)]))
    if options.exiftool:
        series.append(Series("exiftool", [*shlex.split(options.exiftool), "-j", "-q", "-q", str(folder)]))
    return series


def _measured(series: list[Series], repetitions: int) -> list[Series]:
    for entry in series:
        entry.run()  # once unmeasured: the first reading of the files from disk is the machine's
        entry.seconds.clear()
    for _ in range(repetitions):
        for entry in series:
            entry.run()
    return series


def _table(title: str, series: Iterable[Series]) -> Table:
    series = list(series)
    first = median(series[0].seconds)
    table = Table("command", title=title, title_justify="left")
    for heading in ("processor seconds", "least to most", f"of {series[0].name}"):
        table.add_column(heading, justify="right")
    for entry in series:
        middle = median(entry.seconds)
        spread = f"{min(entry.seconds):.2f} to {max(entry.seconds):.2f}"
        table.add_row(entry.name, f"{middle:.2f}", spread, f"{middle / first:.2f}")
    return table


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, help="a folder of pictures with metadata, such as ComfyUI_examples")
    parser.add_argument("--sd-parsers", metavar="PYTHON", help="an interpreter that has sd-parsers")
    parser.add_argument("--exiftool", metavar="COMMAND", help="how exiftool is started")
    parser.add_argument("--one", type=Path, help="the picture for the start; the first of the folder by default")
    parser.add_argument("--repetitions", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
