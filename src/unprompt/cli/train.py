"""`unprompt train`: from a recipe to a trained run."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from unprompt.cli.terminal import say
from unprompt.errors import MissingExtraError


def train(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE.toml", help="What to train, on what, and how.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Values in place of the recipe's, such as optimisation.epochs=3."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FOLDER", help="The run's folder. Left out: runs/ and the recipe's name."
        ),
    ] = None,
) -> None:
    """Train a model by a recipe.

    Needs the extra [torch]. Started again on the folder of a run that was stopped, it goes on where that was. The best
    scores are printed at the end; `unprompt models export` makes a model of the run.
    """
    folder = output or Path("runs") / recipe.stem
    best = training().train_recipe(recipe, overrides or [], folder, say)
    for metric, value in best.items():
        print(f"{metric}\t{value:.4f}")


def training() -> ModuleType:
    """The module `unprompt.training.run`. Raises MissingExtraError where what it imports is not installed."""
    try:
        from unprompt.training import run
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "unprompt":
            raise
        raise MissingExtraError("training", "torch") from error
    return run
