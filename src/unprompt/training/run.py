"""From a recipe to a trained run, and from a run to a model folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from safetensors.torch import load_file

from unprompt.errors import DataError
from unprompt.models.folder import ModelFolder
from unprompt.training.decoder import DecoderTask
from unprompt.training.export import (
    export_clip_tokenizer,
    export_decoder,
    export_regressor,
    export_sentence_encoder,
)
from unprompt.training.loop import BEST, claim, train
from unprompt.training.recipe import Recipe, read_recipe, recipe_of_run
from unprompt.training.regressor import ProbeTask, RegressorTask

PUBLISHED = {"all-MiniLM-L6-v2": export_sentence_encoder, "clip-tokenizer": export_clip_tokenizer}


def train_recipe(
    recipe_path: Path, overrides: list[str], folder: Path, report: Callable[[str], None]
) -> dict[str, float]:
    """Trains in `folder`, going on where a killed run stopped; returns the best evaluation.

    Paths in a recipe are relative to the folder that the command is called in. Raises DataError, UnknownNameError.
    """
    recipe = read_recipe(recipe_path, overrides)
    claim(folder, recipe)
    if recipe.task == "decoder":
        return train(DecoderTask(recipe, folder), recipe, recipe.optimisation, folder, report)
    return _train_regressor(recipe, folder, report)


def _train_regressor(recipe: Recipe, folder: Path, report: Callable[[str], None]) -> dict[str, float]:
    """Linear probing before fine-tuning: a random head would tear the backbone's features in its first steps."""
    task = RegressorTask(recipe, folder)
    if recipe.probe.epochs:
        best = train(ProbeTask(task, folder), recipe, recipe.probe, folder / "probe", report)
        task.model.load_state_dict(load_file(folder / "probe" / BEST))
        if not recipe.optimisation.epochs:
            return best
    return train(task, recipe, recipe.optimisation, folder, report)


def export_model(source: str, folder: Path) -> ModelFolder:
    """Writes the model folder of a run, or of something published (`all-MiniLM-L6-v2`, `clip-tokenizer`).

    Raises DataError where `source` is no run with weights, MissingExtraError where a package is needed.
    """
    if source in PUBLISHED:
        return PUBLISHED[source](folder)
    run = Path(source)
    recipe = recipe_of_run(run)
    weights = next((path for path in (run / BEST, run / "probe" / BEST) if path.exists()), None)
    if weights is None:
        raise DataError(f"{run} holds no {BEST}; let its training come to the first evaluation")
    folder.mkdir(parents=True, exist_ok=True)
    export = export_decoder if recipe.task == "decoder" else export_regressor
    return export(recipe, weights, folder)
