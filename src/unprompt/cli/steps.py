"""Work in steps, each with a number of things to do: a bar where people look, lines in a log elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

from unprompt.cli.progress import FIRST_LINE_S, NEXT_LINES_S
from unprompt.cli.terminal import say
from unprompt.display import duration
from unprompt.progress import Advance, no_advance

_BAR_S = 0.1


class Steps:
    """Shows one step after the other on standard error; nothing at all where it is to be quiet."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    @contextlib.contextmanager
    def __call__(self, name: str, total: int | None, what: str = "prompts") -> Iterator[Advance]:
        """Begins a step; what it gives is told how many more of its things are done."""
        if self._quiet:
            yield no_advance
        elif sys.stderr.isatty():
            with _bar(name, total) as advance:
                yield advance
        else:
            yield _lines(name, total, what)


def _lines(name: str, total: int | None, what: str) -> Advance:
    start_s = time.monotonic()
    due_s = start_s + FIRST_LINE_S
    so_far = 0

    def advance(done: int) -> None:
        nonlocal so_far, due_s
        so_far += done
        now_s = time.monotonic()
        if now_s >= due_s:
            due_s = now_s + NEXT_LINES_S
            rate = so_far / (now_s - start_s)
            of = f" of {total:,}" if total is not None else ""
            left = f", {duration((total - so_far) / rate)} left" if total is not None else ""
            say(f"unprompt: {name}: {so_far:,}{of} {what}, {rate:,.0f}/s{left}")

    return advance


@contextlib.contextmanager
def _bar(name: str, total: int | None) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    # Redirected, standard output would end up in standard error.
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as progress:
        task = progress.add_task(name, total=total, rate="")
        so_far, due_s = 0, 0.0

        def advance(done: int) -> None:
            nonlocal so_far, due_s
            so_far += done
            # A million records are read in the time that the bar needs for as many calls.
            if time.monotonic() >= due_s:
                due_s = time.monotonic() + _BAR_S
                speed = progress.tasks[0].speed
                progress.update(task, completed=so_far, rate=f"{speed:,.0f}/s" if speed else "")

        yield advance
