"""One preset over labelled pictures, watched: what `unprompt evaluate` does once, or twice to compare."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import typer

from unprompt.cli.progress import Tally, shown
from unprompt.cli.terminal import say, say_failure
from unprompt.errors import EXIT_INTERRUPTED

if TYPE_CHECKING:
    from unprompt.evaluation.report import Report
    from unprompt.evaluation.scoring import Outcome
    from unprompt.unprompter import Unprompter

Hear: TypeAlias = "Callable[[Outcome], None]"


@dataclass(frozen=True)
class Scoring:
    """What to score, and how. `by` is the field whose values are scored apart."""

    dataset: str
    by: str | None
    limit: int | None
    text: bool
    batch_size: int
    threads: int
    offline: bool
    quiet: bool
    allow_missing: bool

    def load(self, preset: str) -> Unprompter:
        """The unprompter of a preset. Raises as `unprompt.unprompter.load` does."""
        from unprompt.unprompter import load

        return load(preset, threads=self.threads, offline=self.offline, allow_missing=self.allow_missing)

    def run(self, unprompter: Unprompter, *heard: Hear, kept: str | None = None) -> Report:
        """The report; `heard` hear of each picture, and failures are said at the end.

        After Ctrl-C it says how far it came, and that what was computed is in the file `kept`. Raises typer.Exit then,
        and what `unprompt.evaluation.report.evaluate` raises.
        """
        from unprompt.evaluation.report import evaluate

        tally = Tally()
        try:
            with self._watched(tally) as advance:

                def hear(outcome: Outcome, total: int) -> None:
                    for each in heard:
                        each(outcome)
                    advance(outcome, total)

                report = evaluate(
                    unprompter,
                    self.dataset,
                    by=self.by,
                    limit=self.limit,
                    text=self.text,
                    batch_size=self.batch_size,
                    heard=hear,
                )
        except KeyboardInterrupt:
            say(f"unprompt: interrupted: {tally.line()}{f'; their scores are in {kept}' if kept else ''}")
            raise typer.Exit(EXIT_INTERRUPTED) from None
        if tally.failed:
            rest = "the scores are of the others" if tally.failed < tally.done else "there is nothing to score"
            say(f"unprompt: {tally.failed:,} of {tally.done:,} pictures failed; {rest}")
        return report

    @contextlib.contextmanager
    def _watched(self, tally: Tally) -> Iterator[Callable[[Outcome, int], None]]:
        from unprompt.prediction import Failure

        with shown(tally, bar=True) if not self.quiet else contextlib.nullcontext(lambda: None) as show_progress:

            def advance(outcome: Outcome, total: int) -> None:
                tally.total = total
                tally.add(outcome.answer)
                show_progress()
                if isinstance(outcome.answer, Failure):
                    say_failure(outcome.answer)

            yield advance
