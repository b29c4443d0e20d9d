"""`unprompt evaluate`: how good a preset is on labelled pictures."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unprompt.cli.options import BatchSize, NoText, Offline, PresetName, Quiet, Threads
from unprompt.cli.progress import Tally, shown
from unprompt.cli.terminal import say, show
from unprompt.errors import EXIT_SOME_FAILED, DataError

if TYPE_CHECKING:
    from rich.table import Table

    from unprompt.prediction import Failure, Prediction


def evaluate(
    dataset: Annotated[
        str,
        typer.Argument(
            metavar="DATASET",
            help="Pictures with their prompts: a .jsonl, .csv or .parquet file, WebDataset tars, a folder of these, or "
            "hub:OWNER/NAME.",
        ),
    ],
    preset: PresetName = "embedded",
    by: Annotated[
        str | None, typer.Option("--by", metavar="FIELD", help="Score each value of this field apart.")
    ] = None,
    json: Annotated[
        Path | None, typer.Option("--json", metavar="OUT", help="Also write the scores there, as JSON.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", metavar="N", min=1, help="The first N records alone.")] = None,
    batch_size: BatchSize = 8,
    threads: Threads = 0,
    no_text: NoText = False,
    offline: Offline = False,
    quiet: Quiet = False,
) -> None:
    """Score a preset on pictures whose prompts are known.

    The mean cosine between the true prompt's vector and the predicted one, and between the true prompt's and the chosen
    sentence's own, with bootstrap intervals of 95 %. What the files say about their prompt is never looked at.
    """
    from unprompt.evaluation.report import evaluate as score
    from unprompt.images.sources import printable
    from unprompt.unprompter import load

    unprompter = load(preset, threads=threads, offline=offline)
    tally = Tally()
    with shown(tally, bar=True) if not quiet else contextlib.nullcontext(lambda: None) as show_progress:

        def advance(answer: Prediction | Failure, total: int) -> None:
            tally.total = total
            tally.add(answer)
            show_progress()

        report = score(
            unprompter, dataset, by=by, limit=limit, text=not no_text, batch_size=batch_size, advance=advance
        )
    if json is not None:
        _write(report, json)
    show(_table(report, preset))
    for failure in report["failures"]:
        say(f"unprompt: {printable(failure['source'])}: {printable(failure['error']['message'])}")
    if failed := len(report["failures"]):
        say(f"unprompt: {failed} of {failed + report['n']} pictures failed; the scores are of the others")
        raise typer.Exit(EXIT_SOME_FAILED)


def _write(report: dict[str, Any], path: Path) -> None:
    from unprompt.output.writers import to_json

    try:
        path.write_text(to_json(report, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror}") from error


def _table(report: dict[str, Any], preset: str) -> Table:
    from rich.markup import escape
    from rich.table import Table

    from unprompt.images.sources import printable

    table = Table("", title=f"Mean cosine with the true prompt, preset {escape(preset)}", title_justify="left")
    for heading in ("n", "vector", "95 %", "text", "95 %"):
        table.add_column(heading, justify="right")
    for name, group in report["groups"].items():
        table.add_row(escape(printable(name)), str(group["n"]), *_cells(group["vector"]), *_cells(group["text"]))
    table.add_section()
    table.add_row("all", str(report["n"]), *_cells(report["vector"]), *_cells(report["text"]))
    for name, mean in report["members"].items():
        table.add_row(f"  {escape(name)} alone", "", *_cells(mean), "", "")
    return table


def _cells(mean: dict[str, float] | None) -> tuple[str, str]:
    if mean is None:
        return "-", "-"
    return f"{mean['mean']:.4f}", f"{mean['low']:.4f} to {mean['high']:.4f}"
