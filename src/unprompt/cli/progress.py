"""How far a run is: a bar where people look, lines in a log elsewhere, and a summary at the end."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from unprompt.cli.terminal import say
from unprompt.display import duration

if TYPE_CHECKING:
    from unprompt.prediction import Failure, Prediction

FIRST_LINE_S = 10.0
NEXT_LINES_S = 30.0


class Tally:
    """What became of the pictures so far. `total` is None until somebody has counted."""

    def __init__(self) -> None:
        self.total: int | None = None
        self.answered = self.written = self.failed = self.skipped = 0
        self._pictures_named = False
        self._start = time.monotonic()

    @property
    def done(self) -> int:
        """Pictures that need no more work."""
        return self.answered + self.failed + self.skipped

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    @property
    def rate(self) -> float:
        """Pictures a second, skipped ones left out."""
        return (self.answered + self.failed) / max(self.elapsed_s, 1e-6)

    def add(self, answer: Prediction | Failure) -> None:
        """Counts one answer."""
        from unprompt.prediction import Failure

        if isinstance(answer, Failure):
            self.failed += 1
            self._pictures_named |= answer.kind != "no-pictures"
        else:
            self.answered += 1
            self.written += answer.origin == "metadata"

    @property
    def found_nothing(self) -> bool:
        """Whether there was no picture at all, neither good nor bad."""
        return self.done == self.failed > 0 and not self._pictures_named

    def line(self) -> str:
        """How far it is, how fast, and how long it will take."""
        of = f" of {self.total:,}" if self.total is not None else ""
        parts = [f"{self.done:,}{of} pictures", f"{self.rate:.1f}/s"]
        if self.total is not None and self.rate > 0:
            parts.append(f"{duration((self.total - self.done) / self.rate)} left")
        return ", ".join([*parts, *self._failures()])

    def summary(self) -> str:
        """What became of all pictures, in one line."""
        parts = [f"{self.answered:,} answered"]
        if self.written:
            parts[0] += f" ({self.written:,} by what the file says)"
        if self.skipped:
            parts.append(f"{self.skipped:,} skipped")
        parts += self._failures()
        return f"{self.done:,} pictures in {duration(self.elapsed_s)}, {self.rate:.1f}/s: {', '.join(parts)}"

    def _failures(self) -> list[str]:
        return [f"{self.failed:,} failed"] if self.failed else []


@contextlib.contextmanager
def counted(paths: Sequence[str], tally: Tally) -> Iterator[None]:
    """Counts the pictures in the background, which takes seconds for a million of them."""
    from unprompt.images.sources import count

    stop = threading.Event()

    def run() -> None:
        # What cannot be counted is not known, which costs no more than the time that is left.
        with contextlib.suppress(Exception):
            tally.total = count(paths, stop)

    threading.Thread(target=run, daemon=True, name="unprompt-count").start()
    try:
        yield
    finally:
        stop.set()


@contextlib.contextmanager
def shown(tally: Tally, *, bar: bool) -> Iterator[Callable[[], None]]:
    """A function to call after each picture: it moves the bar on or, without a terminal, says a line now and then."""
    if not sys.stderr.isatty():
        yield _lines(tally)
    elif bar:
        with _bar(tally) as advance:
            yield advance
    else:
        yield lambda: None


def _lines(tally: Tally) -> Callable[[], None]:
    due_s = FIRST_LINE_S

    def advance() -> None:
        nonlocal due_s
        if tally.elapsed_s >= due_s:
            due_s = tally.elapsed_s + NEXT_LINES_S
            say(f"unprompt: {tally.line()}")

    return advance


@contextlib.contextmanager
def _bar(tally: Tally) -> Iterator[Callable[[], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), BarColumn(), TextColumn("{task.description}", markup=False))
    # Redirected, standard output would end up in standard error.
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as progress:
        task = progress.add_task("looking for pictures", total=None)
        yield lambda: progress.update(task, completed=tally.done, total=tally.total, description=tally.line())
