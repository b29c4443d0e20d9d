"""`unprompt presets`: which there are, what one says, what it needs, and how sure its answers are."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated

import typer

from unprompt.cli.documents import check_documents
from unprompt.cli.options import AllowMissing, BatchSize, JsonFile, Offline, Overwrite, Quiet, Threads
from unprompt.cli.terminal import add_row, fits, new_table, print_lines, quiet_pipe, say, show

if TYPE_CHECKING:
    from unprompt.evaluation.scoring import Outcome
    from unprompt.presets import Preset

app = typer.Typer(no_args_is_help=True)


@app.callback()
def presets() -> None:
    """List and show presets, fit their weights to your pictures, and calibrate the confidence of their answers."""


def _said_by(preset: Preset) -> list[str]:
    """What a preset says of itself: its memory and its score."""
    memory = f"memory: about {preset.memory_gb:g} GB" if preset.memory_gb else ""
    return [line for line in (memory, preset.score and f"score: {preset.score}") if line]


@app.command("list")
def list_presets(quiet: Quiet = False) -> None:
    """List the presets of the package."""
    from unprompt.presets import load_preset, preset_names

    table = new_table("preset", "members", "extras", "description")
    for name in preset_names():
        preset = load_preset(name)
        members = ", ".join(f"{member.name} {member.weight:.2f}" for member in preset.members)
        add_row(table, name, members, ", ".join(preset.requires) or "-", preset.description)
    show(table)


@app.command("show")
def show_preset(
    preset: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A preset's name, or a .toml file.")],
    toml: Annotated[bool, typer.Option("--toml", help="Print the preset's TOML, a start for your own.")] = False,
    quiet: Quiet = False,
) -> None:
    """Show a preset's members, and each file that they need: its size, its licence, and whether it is here.

    Sizes of files that are here are exact, other sizes approximate. Nothing is downloaded.
    """
    from unprompt.cli.need_tables import needs_lines, needs_table, parts_of, summary, ways
    from unprompt.presets import load_preset

    checked = load_preset(preset)
    if toml:
        with quiet_pipe():
            print(checked.text, end="", flush=True)
        return
    parts = parts_of(checked)
    table = needs_table(parts)
    needs = [need for part in parts for need in part.needs]
    if fits(table):
        show(table)
    print_lines(*([] if fits(table) else needs_lines(parts)), summary(needs), *_said_by(checked))
    for line in [] if quiet else ways(needs):
        say(line)
    for part in parts:
        if part.fault:
            say(part.fault)


@app.command("calibrate")
def calibrate_preset(
    preset: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A preset's name, or a .toml file.")],
    dataset: Annotated[
        str,
        typer.Argument(
            metavar="DATASET",
            help="Pictures with their prompts, of the kind that the preset will answer, and that no member was trained "
            "on: as for `unprompt evaluate`.",
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT.toml",
            help="The preset to write; the same FILE and --overwrite calibrate it in its place.",
        ),
    ],
    overwrite: Overwrite = False,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="Use only the first N records.")
    ] = None,
    json: JsonFile = None,
    batch_size: BatchSize = 8,
    threads: Threads = 0,
    offline: Offline = False,
    quiet: Quiet = False,
) -> None:
    """Fit a preset's confidence to labelled pictures, and write the preset with it.

    A confidence is an estimate of the cosine between an answer's vector and the true prompt's, with a range that holds
    80 % of them. It is fitted by vectors alone, so no sentence is written. Shows how reliable it is on pictures that it
    was not fitted on; `unprompt evaluate` shows that for any others.
    """
    from unprompt.cli.score_tables import calibration_lines, calibration_table
    from unprompt.cli.scoring import Scoring
    from unprompt.errors import DataError
    from unprompt.evaluation.calibration import Signs, calibrated_text, calibration_record
    from unprompt.evaluation.scoring import Scored
    from unprompt.output.documents import write_document
    from unprompt.output.jsonl import to_json
    from unprompt.presets import SUFFIX

    if not output.endswith(SUFFIX):
        raise DataError(f"expected -o FILE{SUFFIX}, found {output}; rename it")
    check_documents([output, json], dataset, overwrite=overwrite)
    scoring = Scoring(
        dataset=dataset,
        limit=limit,
        batch_size=batch_size,
        threads=threads,
        no_text=True,
        offline=offline,
        quiet=quiet,
    )
    unprompter = scoring.load(preset)
    signs = Signs(unprompter)

    def hear(outcome: Outcome) -> None:
        if isinstance(outcome, Scored):
            signs.add(outcome)

    scoring.run(unprompter, hear)
    fitted = signs.fit()
    date = datetime.now(timezone.utc).date().isoformat()
    write_document(output, calibrated_text(unprompter.preset.text, fitted, source=dataset, date=date))
    if json is not None:
        write_document(json, to_json(calibration_record(fitted), indent=2) + "\n")
    show(calibration_table(fitted))
    print_lines(*calibration_lines(fitted))


@app.command("fit")
def fit_preset(
    dataset: Annotated[
        str,
        typer.Argument(
            metavar="DATASET", help="Pictures with their prompts, of your own kind: as for `unprompt evaluate`."
        ),
    ],
    preset: Annotated[
        str,
        typer.Option("--preset", metavar="NAME|FILE", help="The preset to fit, of two members or more."),
    ] = "quick",
    output: Annotated[
        str,
        typer.Option("--output", "-o", metavar="OUT.toml", help="The preset to write; default: NAME-fitted.toml."),
    ] = "",
    overwrite: Overwrite = False,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="Use only the first N records.")
    ] = None,
    json: JsonFile = None,
    allow_missing: AllowMissing = False,
    batch_size: BatchSize = 8,
    threads: Threads = 0,
    offline: Offline = False,
    quiet: Quiet = False,
) -> None:
    """Fit the weights of a preset's members to labelled pictures, and write the preset with them.

    The short way to `unprompt evaluate DATASET --no-text --preset NAME --fit-weights OUT.toml`. Weights are fitted by
    vectors alone, so no sentence is written; the score that is shown is on pictures that they were not fitted on.
    """
    from unprompt.cli.evaluate import Outputs, evaluate_preset
    from unprompt.cli.scoring import Scoring
    from unprompt.presets import SUFFIX, preset_path

    fitted = output or f"{preset_path(preset).stem}-fitted{SUFFIX}"
    scoring = Scoring(
        dataset=dataset,
        limit=limit,
        allow_missing=allow_missing,
        batch_size=batch_size,
        threads=threads,
        no_text=True,
        offline=offline,
        quiet=quiet,
    )
    evaluate_preset(scoring, preset, Outputs(json, None, None, fitted, overwrite=overwrite))
    if not quiet:
        say(f"wrote {fitted}: unprompt PICTURE --preset {fitted}")
