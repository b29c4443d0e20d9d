"""Model soup: the mean of several runs' weights, which often scores above the best of them at no extra cost.

Source: Wortsman et al., "Model soups" (2022): the uniform and the greedy recipe.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from unprompt.errors import DataError
from unprompt.models.store.folder import ModelFolder, check_replaceable
from unprompt.progress import Report
from unprompt.training.export import concepts_of, save_trained, trained_network
from unprompt.training.loading import Loader
from unprompt.training.pairs import Pairs
from unprompt.training.recipe import Recipe
from unprompt.training.recipe_file import recipe_of_run
from unprompt.training.run import best_weights
from unprompt.training.scores import scores

Weights = Mapping[str, Tensor]


def cook(runs: Sequence[Path], folder: Path, *, greedy: bool, report: Report) -> ModelFolder:
    """Write the torch model folder with the mean of the runs' best weights.

    `greedy`: starting from the best run, each run is added only if the mean then scores no less on the validation data,
    whose score is thereby biased. Raises DataError if the runs have different networks, ModelError if the folder holds
    anything but a model.
    """
    check_replaceable(folder)
    recipes = [recipe_of_run(run) for run in runs]
    _check_alike(runs, recipes)
    best = [best_weights(run) for run in runs]
    networks = [trained_network(recipe, path)[0] for recipe, path in zip(recipes, best, strict=True)]
    pot, preprocessing = trained_network(recipes[0], best[0])
    recipe = recipes[0]
    pairs = Pairs.read(recipe.data.validation, recipe.data, runs[0] / "cache", all_captions=False)
    loader = Loader(recipe.data.workers)

    def taste(weights: Weights) -> dict[str, float]:
        pot.load_state_dict(weights)
        with torch.inference_mode():
            return scores(pot.eval(), pairs, preprocessing, recipe.sight.views, loader)

    weights = [network.state_dict() for network in networks]
    if greedy:
        chosen, score = _greedy(weights, runs, taste, report)
    else:
        chosen, score = list(range(len(runs))), taste(mean_weights(weights))
    pot.load_state_dict(mean_weights([weights[place] for place in chosen]))
    report("  ".join(["soup", f"of {len(chosen)}", *(f"{key} {value:.4f}" for key, value in score.items())]))
    card = _card(recipe, [runs[place] for place in chosen], len(runs) if greedy else 0, score)
    return save_trained(pot, preprocessing, recipe, folder, score, card, concepts_of(pot, best[0]))


def mean_weights(several: Sequence[Weights]) -> dict[str, Tensor]:
    """The mean of each number; counters, such as batch norm's, are taken from the first."""
    return {
        name: torch.stack([weights[name] for weights in several]).mean(dim=0) if value.is_floating_point() else value
        for name, value in several[0].items()
    }


def _greedy(
    weights: Sequence[Weights],
    runs: Sequence[Path],
    taste: Callable[[Weights], dict[str, float]],
    report: Report,
) -> tuple[list[int], dict[str, float]]:
    """The indices of the chosen runs, and the score of their mean."""
    alone = [taste(each) for each in weights]
    order = sorted(range(len(weights)), key=lambda place: -alone[place]["balanced"])
    chosen, score = order[:1], alone[order[0]]
    for place in order[1:]:
        tried = taste(mean_weights([weights[each] for each in [*chosen, place]]))
        kept = tried["balanced"] >= score["balanced"]
        report(f"{runs[place]}: {'added' if kept else 'left out'}, balanced {tried['balanced']:.4f}")
        if kept:
            chosen, score = [*chosen, place], tried
    return chosen, score


def _check_alike(runs: Sequence[Path], recipes: Sequence[Recipe]) -> None:
    if len(runs) < 2:
        raise DataError("expected the folders of two runs or more to take the mean of")
    for run, recipe in zip(runs, recipes, strict=True):
        if (recipe.task, recipe.network, recipe.head, recipe.sight) != (
            "regressor",
            recipes[0].network,
            recipes[0].head,
            recipes[0].sight,
        ):
            raise DataError(f"{run} is of another network, head or sight than {runs[0]}: their weights have no mean")


def _card(recipe: Recipe, runs: Sequence[Path], chosen_from: int, score: Mapping[str, float]) -> str:
    """The card of a soup of these runs; `chosen_from` is the number of candidates, 0 if all were taken."""
    how = f", chosen from {chosen_from} greedily on the validation data" if chosen_from else ""
    lines = [f"- `{run}`" for run in runs]
    numbers = [f"| {key} | {value:.4f} |" for key, value in score.items()]
    head = [f"# {recipe.name}", "", f"The mean of the weights of these runs{how}:", ""]
    return "\n".join([*head, *lines, "", "| | score |", "|---|---|", *numbers, ""])
