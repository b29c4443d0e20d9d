"""Runs a recipe from start to end, and writes the model folders of a run."""

from __future__ import annotations

import contextlib
import shutil
from functools import partial
from pathlib import Path

from unprompt.durable import open_locked
from unprompt.errors import DataError
from unprompt.models.networks.start_weights import read_weights
from unprompt.models.store.folder import CARD, ModelFolder, replacing
from unprompt.progress import SILENT, Report, Step, no_report
from unprompt.training.card import write_data_note
from unprompt.training.decoder import DecoderTask
from unprompt.training.export import export_decoder, export_regressor, regressor_folder
from unprompt.training.loop import BEST, LAST, claim, train
from unprompt.training.probe import PROBE, ProbeTask
from unprompt.training.processes import Processes, joined
from unprompt.training.published_export import export_clip_tokenizer, export_sentence_encoder
from unprompt.training.recipe import Recipe
from unprompt.training.recipe_file import read_recipe, recipe_of_run
from unprompt.training.regressor import RegressorTask
from unprompt.training.text_head import TextHeadTask
from unprompt.training.weights import put_head

PUBLISHED = {"all-MiniLM-L6-v2": export_sentence_encoder, "clip-tokenizer": export_clip_tokenizer}
LOCK = ".lock"
"""Locked while a command trains in the folder: two would overwrite each other's checkpoints."""


def train_recipe(
    recipe_path: Path,
    overrides: list[str],
    folder: Path,
    report: Report = no_report,
    step: Step = SILENT,
) -> dict[str, float]:
    """Train in `folder`, resuming a killed run; returns the best evaluation.

    A regressor's run ends with the model folders `best` and `last` inside it. Under torchrun or accelerate, several
    processes train together. Paths in a recipe are relative to the current folder. Raises DataError, UnknownNameError,
    ModelError and MissingExtraError, before the first step if possible, and OutputBusyError if another command trains
    in the folder.
    """
    recipe = read_recipe(recipe_path, overrides)
    with joined() as processes, contextlib.ExitStack() as stack:
        _check_batches(recipe, processes)
        with processes.first_alone():
            claim(folder, recipe)
            if processes.is_first:
                stack.enter_context(open_locked(folder / LOCK))
        if not processes.is_first:
            report, step = no_report, SILENT
        return _trained(recipe, folder, processes, report, step)


def _check_batches(recipe: Recipe, processes: Processes) -> None:
    """Raise DataError for batches that processes cannot share evenly, or with a single picture under a batch norm."""
    for name, options in (("probe", recipe.probe), ("optimisation", recipe.optimisation)):
        size, left_over = divmod(options.batch_size, processes.count)
        if options.epochs and left_over:
            raise DataError(
                f"{name}: expected a batch_size that {processes.count} processes can share evenly, "
                f"found {options.batch_size}"
            )
        if options.epochs and recipe.head.kind == "wide" and size // options.accumulate < 2:
            raise DataError(
                f"{name}: a wide head needs two pictures or more at a time; {processes.count} x {options.accumulate} "
                f"parts of batch_size = {options.batch_size} are smaller"
            )


def _trained(recipe: Recipe, folder: Path, processes: Processes, report: Report, step: Step) -> dict[str, float]:
    if recipe.task == "regressor":
        return _train_regressor(recipe, folder, processes, report, step)
    with processes.first_alone():
        if recipe.task == "decoder":
            task: DecoderTask | TextHeadTask = DecoderTask(recipe, folder, report, step)
        else:
            task = TextHeadTask(recipe, folder, processes.device, step)
    best = train(task, recipe, recipe.optimisation, folder, report, processes=processes, step=step)
    if recipe.task == "text-head" and processes.is_first:
        write_models(recipe, folder)
    return best


def _train_regressor(
    recipe: Recipe, folder: Path, processes: Processes, report: Report, step: Step
) -> dict[str, float]:
    """Train the head first, since a random head would destroy the backbone's features in its first steps.

    Source: Kumar et al., "Fine-tuning can distort pretrained features and underperform out-of-distribution" (2022).
    """
    with processes.first_alone():
        task = RegressorTask(recipe, folder, report, step)
    if recipe.optimisation.epochs:
        task.steps(recipe.optimisation.batch_size)  # raises for too few pictures now rather than after the probe
    if recipe.head.start:
        put_head(task.model, Path(recipe.head.start))
    if processes.is_first:
        note = task.data_note()
        write_data_note(folder, note)
        report("always the mean vector  " + "  ".join(f"{key} {value:.4f}" for key, value in note["floor"].items()))
    best: dict[str, float] = {}
    if recipe.probe.epochs:
        with processes.first_alone():
            probe = ProbeTask(task, folder, processes.device, step)
        best = train(probe, recipe, recipe.probe, folder / PROBE, report, processes=processes, step=step)
        task.model.load_state_dict(read_weights(folder / PROBE / BEST))
    if recipe.optimisation.epochs or not best:
        best = train(task, recipe, recipe.optimisation, folder, report, processes=processes, step=step)
    if processes.is_first:
        write_models(recipe, folder)
    return best


def write_models(recipe: Recipe, run: Path) -> None:
    """Write the model folders `best` and `last` of a regressor's run."""
    stage = best_weights(run).parent
    for name in (BEST, LAST):
        regressor_folder(recipe, run, stage / name, run / Path(name).stem)


def export_model(source: str, folder: Path, *, integers: bool = False) -> ModelFolder:
    """Write the ONNX model folder of a run, or of something published (`all-MiniLM-L6-v2`, `clip-tokenizer`).

    With `integers` a run's model computes in 8-bit integers.
    A new folder gets the card of the run's best weights; an existing one must hold a model, which is replaced while its
    card stays. Raises DataError if `source` is not a run with weights, MissingExtraError if a package is missing,
    ModelError if the folder holds anything else.
    """
    if source in PUBLISHED:
        export = PUBLISHED[source]
    else:
        recipe, weights = recipe_of_run(Path(source)), best_weights(Path(source))
        made_by = export_decoder if recipe.task == "decoder" else export_regressor
        export = partial(made_by, recipe, weights, integers=integers)
    with replacing(folder) as new:
        export(new)
        cards = (folder / CARD, Path(source) / Path(BEST).stem / CARD)
        if card := next(filter(Path.is_file, cards), None):
            shutil.copyfile(card, new / CARD)
    return ModelFolder.open(folder)


def best_weights(run: Path) -> Path:
    """The best weights of a run's last stage. Raises DataError if it has none yet."""
    for path in (run / BEST, run / PROBE / BEST):
        if path.exists():
            return path
    raise DataError(f"{run} holds no {BEST}; let it train until its first evaluation")


def gpu_count() -> int:
    """Number of GPUs available for training."""
    import torch

    return torch.cuda.device_count()
