"""What a regressor sees in its own training pictures, as it would in pictures that it does not know.

Its answers for pictures that it learnt from are nearer to the truth than any later one. So the pictures are divided
into parts of whole groups, and a probe that learns from the other parts answers for each.
Source: cross-fitting, as in Wolpert, "Stacked generalization" (1992).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from unprompt.models.networks.start_weights import read_weights
from unprompt.models.regressors.picture_encoder import LEAST_PROBABILITY
from unprompt.prediction import Vector
from unprompt.progress import Report, Step
from unprompt.training.loop import BEST, train
from unprompt.training.pairs import Pairs
from unprompt.training.probe import PROBE, ProbeTask
from unprompt.training.processes import Processes
from unprompt.training.recipe_file import recipe_of_run
from unprompt.training.regressor import RegressorTask, build_network
from unprompt.training.targets import kept

ROWS = 1024
ALONE = Processes(0, 1, torch.device("cpu"))


@dataclass(frozen=True)
class Views:
    """Pictures with their texts, and what is seen in each: vectors (n, 384), concepts (n, concepts)."""

    pairs: Pairs
    vectors: Vector
    concepts: npt.NDArray[np.float16]


def held_out_views(run: Path, folds: int, cache: Path, report: Report, step: Step) -> tuple[Views, Views]:
    """The views of a run's training pictures and of its validation pictures; those made once are in `cache`.

    Raises DataError if `run` is not a regressor's with a probe.
    """
    recipe = recipe_of_run(run)
    task = RegressorTask(recipe, run, report, step)
    probe = ProbeTask(task, run, ALONE.device, step)
    task.model.load_state_dict(read_weights(run / PROBE / BEST))
    validation = Views(task.validation, *_seen(task, probe.held_out[0]))
    count = len(task.train.pictures)
    sizes = (validation.vectors.shape[1], validation.concepts.shape[1])
    vectors, concepts = np.empty((count, sizes[0]), np.float32), np.empty((count, sizes[1]), np.float16)
    parts, weights = _parts(task.train.groups, folds), task.draw.weights
    for part in range(folds):
        held = parts == part

        def view(held: npt.NDArray[np.bool_] = held, part: int = part) -> npt.NDArray[np.float32]:
            report(f"view {part + 1} of {folds}")
            fresh = build_network(recipe, task.model.backbone, len(task.concepts.names))
            task.model.head.load_state_dict(fresh.head.state_dict(), strict=False)
            task.model.fit_scale(probe.features.flatten(0, 1))
            if task.model.concept_head is not None and fresh.concept_head is not None:
                task.model.concept_head.load_state_dict(fresh.concept_head.state_dict())
            task.draw.weights = np.where(held, 0, weights)
            folder = cache / f"part-{part}"
            train(probe, recipe, recipe.probe, folder, report, processes=ALONE, step=step)
            task.model.load_state_dict(read_weights(folder / BEST))
            return np.concatenate(_seen(task, probe.features[0][torch.from_numpy(held)]), axis=1)

        both = kept(cache / f"views-{part}-of-{folds}.npy", view)
        vectors[held], concepts[held] = both[:, : sizes[0]], both[:, sizes[0] :]
    return Views(task.train, vectors, concepts), validation


def _seen(task: RegressorTask, features: Tensor) -> tuple[Vector, npt.NDArray[np.float16]]:
    """Vectors and concepts of pictures from their features (n, size)."""
    model = task.model.eval()
    vectors, concepts = [], []
    with torch.inference_mode():
        for rows in features.split(ROWS):
            vectors.append(model.project(rows).numpy())
            found = model.concept_logits(rows).sigmoid() if task.concepts.names else rows[:, :0]
            concepts.append(torch.where(found < LEAST_PROBABILITY, 0, found).numpy().astype(np.float16))
    return np.concatenate(vectors), np.concatenate(concepts)


def _parts(groups: list[int], folds: int) -> npt.NDArray[np.intp]:
    """The part of each picture: groups of similar prompts are not divided."""
    distinct, places = np.unique(np.array(groups), return_inverse=True)
    return np.asarray(np.random.default_rng(0).integers(0, folds, len(distinct))[places])
