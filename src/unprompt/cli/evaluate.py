"""`unprompt evaluate`: how good a preset is on labelled pictures, and which of two is better."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Annotated

import typer

from unprompt.cli.documents import check_documents
from unprompt.cli.options import JsonFile, Overwrite, PresetName, option_groups
from unprompt.cli.scoring import Hear, Scoring
from unprompt.cli.terminal import print_lines, show
from unprompt.errors import EXIT_SOME_FAILED, EXIT_USAGE, DataError


@option_groups
def evaluate(
    *,
    preset: PresetName = "embedded",
    overwrite: Overwrite = False,
    json: JsonFile = None,
    html: Annotated[
        str | None,
        typer.Option(
            "--html", metavar="OUT.html", help="Also write a page with charts and the best and worst pictures."
        ),
    ] = None,
    results: Annotated[
        str | None,
        typer.Option("--results", metavar="OUT.jsonl", help="Also write each picture's scores as they come."),
    ] = None,
    fit_weights: Annotated[
        str | None,
        typer.Option(
            "--fit-weights",
            metavar="OUT.toml",
            help="Fit the weights of the preset's members to these pictures, and write a preset with them. The fused "
            "vector is fitted without the preset's codebook, which the new preset keeps.",
        ),
    ] = None,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--compare", metavar="A B", help="Compare two: each a preset, or a results file (.jsonl) of this data set."
        ),
    ] = None,
    scoring: Scoring,
) -> None:
    """Score a preset on labelled pictures, or compare two.

    Shows two mean cosines: of the true prompt's vector with the predicted one, and with that of the chosen sentence;
    which words are right; and how reliable the confidences are, if the preset is calibrated. The intervals of 95 % are
    bootstrapped, with pictures of similar prompts resampled together. Prompts that the files themselves hold are
    ignored.
    """
    from unprompt.presets import DEFAULT_PRESET

    if compare is not None:
        if html or results or fit_weights or preset != DEFAULT_PRESET:
            raise DataError(
                "--compare goes with none of --preset, --html, --results and --fit-weights; evaluate each of the two "
                "with these, then compare the results files"
            )
        from unprompt.cli.comparison import compare_runs

        compare_runs(scoring, *compare, json=json, overwrite=overwrite)
        return
    if not scoring.dataset:
        raise DataError("expected a data set to evaluate on, found none; name one, or two results files: --compare A B")
    evaluate_preset(scoring, preset, Outputs(json, html, results, fit_weights, overwrite=overwrite))


@dataclass(frozen=True)
class Outputs:
    """The files that were asked for, and whether they may replace what is there."""

    json: str | None
    html: str | None
    results: str | None
    preset: str | None
    overwrite: bool

    def check(self, dataset: str, preset: str) -> None:
        """Raises DataError if one cannot be written, before there is anything to lose."""
        from unprompt.evaluation.results import RESULTS_SUFFIX
        from unprompt.presets import SUFFIX

        if self.results is not None and not self.results.endswith(RESULTS_SUFFIX):
            raise DataError(f"expected --results FILE{RESULTS_SUFFIX}, found {self.results}; rename it")
        if self.preset is not None and not self.preset.endswith(SUFFIX):
            raise DataError(f"expected --fit-weights FILE{SUFFIX}, found {self.preset}; rename it")
        written = (self.json, self.html, self.preset, self.results)
        check_documents(written, dataset, inputs=[preset], overwrite=self.overwrite)


def evaluate_preset(scoring: Scoring, preset: str, outputs: Outputs) -> None:
    """Score a preset, show the scores and write what was asked for. Raises as `Outputs.check` and `Scoring.run` do."""
    from unprompt.cli.score_tables import (
        confidence_table,
        intervals_line,
        judgement,
        report_table,
        weights_table,
        words_table,
    )
    from unprompt.evaluation.fitted_preset import preset_text
    from unprompt.evaluation.highlights import Highlights
    from unprompt.evaluation.page import html_page
    from unprompt.evaluation.scoring import Outcome, Scored
    from unprompt.evaluation.weights import Ballots
    from unprompt.output.documents import write_document
    from unprompt.output.jsonl import to_json

    outputs.check(scoring.dataset, preset)
    unprompter = scoring.load(preset)
    highlights = Highlights() if outputs.html is not None else None
    ballots = Ballots(unprompter.preset) if outputs.preset is not None else None
    date = datetime.now(timezone.utc).date().isoformat()

    def hear(outcome: Outcome) -> None:
        if highlights is not None:
            highlights.add(outcome)
        if ballots is not None and isinstance(outcome, Scored):
            ballots.add(outcome)

    with _recording(outputs.results) as record:
        report = scoring.run(unprompter, record, hear, kept=outputs.results)
    if outputs.json is not None:
        write_document(outputs.json, to_json(report, indent=2) + "\n")
    if outputs.html is not None and highlights is not None:
        page = html_page(report, highlights, source=scoring.dataset, by=scoring.by, command=_command(), date=date)
        write_document(outputs.html, page)
    show(report_table(report, unprompter.preset.name))
    for table in (words_table(report), confidence_table(report)):
        if table is not None:
            show(table)
    print_lines(intervals_line(report))
    if outputs.preset is not None and ballots is not None:
        fit = ballots.fit()
        write_document(outputs.preset, preset_text(unprompter.preset, fit, source=scoring.dataset, date=date))
        show(weights_table(fit, unprompter.preset))
        print_lines(judgement(fit, unprompter.preset))
    if report["failures"]:
        raise typer.Exit(EXIT_SOME_FAILED if report["n"] else EXIT_USAGE)


def _command() -> str:
    """The command as it was given."""
    import shlex
    import sys

    return shlex.join(["unprompt", *sys.argv[1:]])


@contextlib.contextmanager
def _recording(path: str | None) -> Iterator[Hear]:
    """Writes each picture to a results file as it comes; an existing file is kept until something differs from it."""
    if path is None:
        yield lambda outcome: None
        return
    from unprompt.evaluation.results import result_record
    from unprompt.output.files import open_continued
    from unprompt.output.jsonl import JsonlWriter

    with open_continued(path) as file:
        writer = JsonlWriter(file)
        yield lambda outcome: writer.write(result_record(outcome))
