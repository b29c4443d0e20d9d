"""`unprompt evaluate --compare A B`: two presets, two results files, or one of each."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from unprompt.cli.documents import check_documents
from unprompt.cli.score_tables import comparison_table, intervals_line
from unprompt.cli.scoring import Scoring
from unprompt.cli.terminal import print_lines, say, show
from unprompt.errors import EXIT_SOME_FAILED, DataError

if TYPE_CHECKING:
    from unprompt.evaluation.comparison import Comparison
    from unprompt.evaluation.scoring import Score


@dataclass
class _Side:
    """One of the two: its name as it was given, what computed it, its scores, and how many pictures had none."""

    name: str
    scores: list[Score]
    models: list[Any]
    failed: int


def compare_runs(scoring: Scoring, a: str, b: str, *, json: str | None, overwrite: bool) -> None:
    """Show which is better on the pictures that both have; also write it to the file `json`.

    Raises DataError, UnknownNameError; typer.Exit if pictures failed in a run that was made for this.
    """
    from unprompt.evaluation.comparison import compare
    from unprompt.output.documents import write_document
    from unprompt.output.jsonl import to_json

    _check(scoring, a, b)
    check_documents([json], scoring.dataset, inputs=[a, b], overwrite=overwrite)
    first = _side(scoring, a)
    second = first if _same(a, b) else _side(scoring, b)
    comparison = compare(first.scores, second.scores, by=scoring.by)
    sides = {letter: {"name": side.name, "models": side.models} for letter, side in (("a", first), ("b", second))}
    if json is not None:
        write_document(json, to_json(sides | comparison, indent=2) + "\n")
    _show(comparison, a, b)
    if second is first:
        say("A and B are the same, so every difference is 0")
    if any(side.failed for side in (first, second) if not _is_file(side.name)):
        raise typer.Exit(EXIT_SOME_FAILED)


def _check(scoring: Scoring, a: str, b: str) -> None:
    files = [name for name in (a, b) if _is_file(name)]
    if len(files) < 2 and not scoring.dataset:
        raise DataError("expected a data set on which to compare presets, found none; name one, or two results files")
    if len(files) == 2 and scoring.dataset:
        raise DataError("two results files are compared as they are; omit the data set, or name a preset")
    if len(files) == 2 and scoring.limit is not None:
        raise DataError("--limit is for a data set, and two results files need none; omit it")


def _side(scoring: Scoring, name: str) -> _Side:
    if _is_file(name):
        from unprompt.evaluation.results import read_results

        results = read_results(Path(name))
        return _Side(name, results.scores, results.models, results.failed)
    from unprompt.evaluation.scoring import Outcome, Scored

    scores: list[Score] = []

    def hear(outcome: Outcome) -> None:
        if isinstance(outcome, Scored):
            scores.append(outcome.score)

    report = scoring.run(scoring.load(name), hear)
    return _Side(name, scores, [report["model"]], len(report["failures"]))


def _is_file(name: str) -> bool:
    from unprompt.evaluation.results import RESULTS_SUFFIX

    return name.endswith(RESULTS_SUFFIX)


def _same(a: str, b: str) -> bool:
    return a == b or (os.path.exists(a) and os.path.exists(b) and os.path.samefile(a, b))


def _show(comparison: Comparison, a: str, b: str) -> None:
    from unprompt.display import printable

    for what in ("vector", "text"):
        if comparison[what] is not None:
            show(comparison_table(comparison, what))
    print_lines(f"A: {printable(a)}", f"B: {printable(b)}", intervals_line(comparison))
    if comparison["only_a"] or comparison["only_b"]:
        say(
            f"{comparison['n']:,} pictures are compared; {comparison['only_a']:,} that only A has and "
            f"{comparison['only_b']:,} that only B has are not"
        )
