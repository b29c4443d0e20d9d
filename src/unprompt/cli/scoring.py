"""One preset over labelled pictures, watched: what `unprompt evaluate` does once, or twice to compare."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from unprompt.cli.data_tables import say_faults
from unprompt.cli.options import AllowMissing, BatchSize, NoText, Offline, Quiet, Root, SkipBad, Threads
from unprompt.cli.progress import Tally, interruptible, shown
from unprompt.cli.terminal import say, say_failure

if TYPE_CHECKING:
    from unprompt.evaluation.report import Report
    from unprompt.evaluation.scoring import Outcome
    from unprompt.unprompter import Unprompter

Hear: TypeAlias = "Callable[[Outcome], None]"


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """What to score, and how."""

    dataset: Annotated[
        str,
        typer.Argument(
            metavar="DATASET",
            help="Pictures with their prompts: a folder with a .txt or .caption beside each, a .jsonl, .json, .csv or "
            ".parquet file, WebDataset tars, a folder of these, or hub:OWNER/NAME. Omitted only to compare two results "
            "files.",
        ),
    ] = ""
    root: Root = None
    skip_bad: SkipBad = False
    by: Annotated[
        str | None, typer.Option("--by", metavar="FIELD", help="Also score each value of this field separately.")
    ] = None
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="Score only the first N records.")
    ] = None
    allow_missing: AllowMissing = False
    batch_size: BatchSize = 8
    threads: Threads = 0
    no_text: NoText = False
    offline: Offline = False
    quiet: Quiet = False

    def load(self, preset: str) -> Unprompter:
        """The unprompter of a preset. Raises as `unprompt.unprompter.load` does."""
        from unprompt.unprompter import load

        return load(preset, threads=self.threads, offline=self.offline, allow_missing=self.allow_missing)

    def run(self, unprompter: Unprompter, *callbacks: Hear, kept: str | None = None) -> Report:
        """The report; each callback takes each outcome. Failures are said as they come, and counted at the end.

        After Ctrl-C it says how far it came, and that what was computed is in the file `kept`. Raises typer.Exit then,
        and what `unprompt.evaluation.report.evaluate` raises.
        """
        from unprompt.evaluation.report import evaluate

        tally = Tally()
        with interruptible(tally, f"their scores are in {kept}" if kept else ""), self._watched(tally) as advance:

            def hear(outcome: Outcome, total: int) -> None:
                for callback in callbacks:
                    callback(outcome)
                advance(outcome, total)

            report = evaluate(
                unprompter,
                self.dataset,
                by=self.by,
                limit=self.limit,
                text=not self.no_text,
                batch_size=self.batch_size,
                root=self.root,
                skip_bad=self.skip_bad,
                heard=hear,
            )
        say_faults(Counter(report.get("faults", {})))
        if tally.failed:
            rest = "the scores are of the others" if tally.failed < tally.done else "there is nothing to score"
            say(f"{tally.failed:,} of {tally.done:,} pictures failed; {rest}")
        return report

    @contextlib.contextmanager
    def _watched(self, tally: Tally) -> Iterator[Callable[[Outcome, int], None]]:
        from unprompt.prediction import Failure

        with shown(tally, quiet=self.quiet) as show:

            def advance(outcome: Outcome, total: int) -> None:
                tally.total = total
                tally.add(outcome.answer)
                show()
                if isinstance(outcome.answer, Failure):
                    say_failure(outcome.answer)

            yield advance
