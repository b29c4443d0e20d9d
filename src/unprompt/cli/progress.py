"""How far the work is: a bar on a terminal, a line now and then in a log, and a summary at the end."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

import typer

from unprompt.cli.interrupts import check
from unprompt.cli.terminal import say
from unprompt.display import duration
from unprompt.errors import EXIT_FINE, EXIT_INTERRUPTED, EXIT_SOME_FAILED, EXIT_USAGE
from unprompt.progress import Advance

if TYPE_CHECKING:
    from unprompt.images.selection import Selection
    from unprompt.output.records import Record
    from unprompt.prediction import Failure, Prediction, WrittenPrompt

SIGN_S = 1.0
"""After which work shows that it goes on, whether anything is done by then or not."""

SECOND_LINE_S = 10.0
NEXT_LINES_S = 30.0

FEW = 8
"""Pictures named one by one that need neither a bar nor a summary."""

_BAR_S = 0.1
"""A million records are read in the time that rich needs for as many updates of a bar."""

_Count: TypeAlias = "tuple[int, int | None]"
"""What is done, and out of how many; None: nobody knows."""


class Tally:
    """What became of the pictures so far. `total` is None until somebody has counted them."""

    def __init__(self, total: int | None = None) -> None:
        self.total = total
        self.answered = self.written = self.ambiguous = self.wordless = self.failed = self.skipped = 0
        self.left_out = 0
        self._pictures_named = False
        self._start = time.monotonic()

    @property
    def done(self) -> int:
        """Pictures that need no more work."""
        return self.answered + self.wordless + self.failed + self.skipped + self.left_out

    def add(self, answer: Prediction | Failure) -> None:
        """Counts one answer."""
        from unprompt.prediction import Failure

        if isinstance(answer, Failure):
            self.failed += 1
            self._pictures_named |= answer.kind != "no-pictures"
        else:
            self.answered += 1
            self.written += answer.origin == "metadata"
            self.ambiguous += answer.written is not None and answer.written.certainty == "ambiguous"

    def add_record(self, record: Record) -> None:
        """Counts one answer that was computed elsewhere."""
        if "error" in record:
            self.failed += 1
            self._pictures_named |= record["error"]["kind"] != "no-pictures"
        else:
            self.answered += 1
            self.written += record["origin"] == "metadata"
            self.ambiguous += record.get("certainty") == "ambiguous"

    def add_before(self, done: int, failed: int) -> None:
        """Counts what an earlier run did."""
        self.skipped += done - failed
        self.failed += failed
        self._pictures_named |= done > 0

    def add_written(self, written: WrittenPrompt | None) -> None:
        """Counts what one file says."""
        if written is None or not written.prompt:
            self.wordless += 1
        else:
            self.answered += 1
            self.ambiguous += written.certainty == "ambiguous"

    @property
    def found_nothing(self) -> bool:
        """Whether there was no picture at all, neither good nor bad."""
        return self.done == self.failed > 0 and not self._pictures_named

    @property
    def exit_code(self) -> int:
        """What the command ends with."""
        if self.found_nothing:
            return EXIT_USAGE
        return EXIT_SOME_FAILED if self.failed else EXIT_FINE

    def line(self) -> str:
        """How far it is, how fast, and how long it will take."""
        return ", ".join([_pace(self.done, self.total, "pictures", self._rate), *self._failures()])

    def summary(self, *, answered: str = "answered", skipped: str = "skipped", failed: str = "failed") -> str:
        """What became of all pictures, in one line, in the words of the command."""
        parts = [f"{self.answered:,} {answered}"]
        own = [(self.written, "from the file itself"), (self.ambiguous, "ambiguous")]
        if any(number for number, _ in own):
            parts[0] += f" ({', '.join(f'{number:,} {what}' for number, what in own if number)})"
        if self.wordless:
            parts.append(f"{self.wordless:,} without")
        if self.skipped:
            parts.append(f"{self.skipped:,} {skipped}")
        if self.left_out:
            parts.append(f"{self.left_out:,} left out")
        parts += self._failures(failed)
        took = f"{duration(self._elapsed_s)}, {self._rate:.1f}/s"
        return f"{self.done:,} pictures in {took}: {', '.join(parts)}"

    @property
    def _elapsed_s(self) -> float:
        return time.monotonic() - self._start

    @property
    def _rate(self) -> float:
        """Pictures per second, without skipped ones."""
        return (self.answered + self.wordless + self.failed + self.left_out) / max(self._elapsed_s, 1e-6)

    def _failures(self, failed: str = "failed") -> list[str]:
        return [f"{self.failed:,} {failed}"] if self.failed else []


class Steps:
    """Shows one step of the work after the other on standard error; nothing if `quiet`."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._shown = False
        self._start_s = time.monotonic()

    @contextlib.contextmanager
    def __call__(self, name: str, total: int | None, what: str = "prompts") -> Iterator[Advance]:
        """Begins a step; the callback takes how many more of its things are done. Both raise what `check` raises."""
        check()
        if self._quiet:
            yield lambda _done: check()
            return
        start_s, so_far = time.monotonic(), 0

        def line() -> str:
            self._shown = True
            rate = so_far / max(time.monotonic() - start_s, 1e-6)
            return f"{name}: {_pace(so_far, total, what, rate)}"

        # Many short steps are long work: until one of them is shown, the time runs from the first.
        waited_s = 0.0 if self._shown else start_s - self._start_s
        with _bar_or_lines(line, lambda: (so_far, total), waited_s) as show:

            def advance(done: int) -> None:
                nonlocal so_far
                so_far += done
                show()

            yield advance


@contextlib.contextmanager
def announced(work: str, *, quiet: bool) -> Iterator[None]:
    """Says what is done, in a line, if it takes longer than one waits without a sign."""
    if quiet:
        yield
    else:
        with _after_a_while(lambda: say(f"{work} ...")):
            yield


@contextlib.contextmanager
def _after_a_while(show: Callable[[], None], waited_s: float = 0.0) -> Iterator[None]:
    """Calls `show` from another thread once `SIGN_S` seconds have passed, unless the block has ended."""
    timer = threading.Timer(max(SIGN_S - waited_s, 0.0), show)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def are_many(paths: Sequence[str]) -> bool:
    """Whether these can stand for more pictures than one waits for without asking how far it is."""
    from unprompt.images.sources import may_be_many

    return len(paths) > FEW or any(map(may_be_many, paths))


@contextlib.contextmanager
def counted(paths: Sequence[str], tally: Tally, selection: Selection | None = None) -> Iterator[None]:
    """Counts the pictures in the background, which takes seconds for a million of them; see `image_refs`."""
    from unprompt.images.sources import count

    stop = threading.Event()

    def run() -> None:
        # What cannot be counted stays unknown, which costs no more than the time that is left.
        with contextlib.suppress(Exception):
            tally.total = count(paths, stop, selection=selection)

    threading.Thread(target=run, daemon=True, name="unprompt-count").start()
    try:
        yield
    finally:
        stop.set()


@contextlib.contextmanager
def shown(tally: Tally, *, quiet: bool = False, bar: bool = True) -> Iterator[Callable[[], None]]:
    """A callback for after each picture, which shows the tally, and raises what `check` raises.

    Without a `bar`, a terminal shows nothing.
    """
    if quiet or (sys.stderr.isatty() and not bar):
        yield check
    else:
        with _bar_or_lines(tally.line, lambda: (tally.done, tally.total)) as show:
            yield show


@contextlib.contextmanager
def interruptible(tally: Tally, kept: str) -> Iterator[None]:
    """After Ctrl-C, says how far it was and what is `kept`. Raises typer.Exit then."""
    try:
        yield
    except KeyboardInterrupt:
        say(f"interrupted: {tally.line()}{kept and f'; {kept}'}")
        raise typer.Exit(EXIT_INTERRUPTED) from None


def _pace(done: int, total: int | None, what: str, rate: float) -> str:
    """12, 30, "pictures", 3.1 -> "12 of 30 pictures, 3.1/s, 5.8 s left"."""
    of = f" of {total:,}" if total is not None else ""
    speed = f"{rate:,.0f}" if rate >= 1000 else f"{rate:.1f}"
    left = f", {duration((total - done) / rate)} left" if total is not None and rate > 0 else ""
    return f"{done:,}{of} {what}, {speed}/s{left}"


@contextlib.contextmanager
def _bar_or_lines(
    line: Callable[[], str], count: Callable[[], _Count], waited_s: float = 0.0
) -> Iterator[Callable[[], None]]:
    """A callback for after each thing that is done, which moves a bar on a terminal, or else says a line when due.

    `waited_s` is how long nothing has been shown already.
    """
    if sys.stderr.isatty():
        with _bar(line, count) as move:
            yield _when_due(move, 0.0, _BAR_S)
    else:
        with _after_a_while(lambda: say(line()), waited_s):
            yield _when_due(lambda: say(line()), SECOND_LINE_S, NEXT_LINES_S)


def _when_due(show: Callable[[], None], first_s: float, next_s: float) -> Callable[[], None]:
    """Calls `show` no earlier than in `first_s` seconds, and then no more often than every `next_s`."""
    due_s = time.monotonic() + first_s

    def advance() -> None:
        nonlocal due_s
        check()
        now_s = time.monotonic()
        if now_s >= due_s:
            due_s = now_s + next_s
            show()

    return advance


@contextlib.contextmanager
def _bar(line: Callable[[], str], count: Callable[[], _Count]) -> Iterator[Callable[[], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), BarColumn(), TextColumn("{task.description}", markup=False))
    # Redirected, standard output would end up in standard error.
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as progress:
        task = progress.add_task(line(), total=None)

        def move() -> None:
            done, total = count()
            progress.update(task, completed=done, total=total, description=line())

        yield move
