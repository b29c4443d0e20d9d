"""Weights of a preset's members, fitted on labelled pictures and cross-validated on held-out ones."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unprompt.answer.fusing import Numbers, Votes, Weights, fit_weights
from unprompt.datasets.near_pairs import NearPairs
from unprompt.datasets.splitting import find_groups
from unprompt.errors import DataError
from unprompt.evaluation.metrics import Difference, Mean, bootstrap, bootstrap_difference
from unprompt.evaluation.scoring import Scored, prompt_group
from unprompt.prediction import EMBEDDING_SIZE, Vector
from unprompt.presets import Preset

FOLDS = 5
SIMILAR = 0.7
"""Prompts with this cosine or more are too similar to be in different folds."""

_DECIMALS = 4


@dataclass(frozen=True, slots=True)
class Fit:
    """Fitted weights, and their score on held-out pictures.

    `weights` are fitted on all `n` pictures, by member, sum 1; `spread` is the lowest and highest weight of each member
    over the folds. `fitted` is the mean cosine on held-out folds, each scored by weights fitted on the others; `start`
    is that of the preset's own weights on the same pictures; `gain` is their difference. All are scores of the fused
    vector before the codebook is applied. Intervals resample the `groups`.
    """

    weights: Mapping[str, float]
    spread: Mapping[str, tuple[float, float]]
    n: int
    folds: int
    groups: int
    grouped_by: str
    fitted: Mean
    start: Mean
    gain: Difference


class Ballots:
    """Collects the members' votes on labelled pictures, as a few numbers per picture instead of the vectors."""

    def __init__(self, preset: Preset) -> None:
        """Raises DataError if the preset has only one member."""
        if len(preset.members) < 2:
            raise DataError(
                f"expected a preset of two members or more, found {preset.name!r} with only one, "
                f"{preset.members[0].name!r}, whose weight changes nothing; add another one"
            )
        self._names = [member.name for member in preset.members]
        self._start = np.array([member.weight for member in preset.members])
        self._votes: list[Votes] = []
        self._prompts: list[str] = []
        self._groups: list[int | None] = []
        self._vectors: dict[str, Vector] = {}

    def add(self, scored: Scored) -> None:
        """Add the votes on one picture."""
        vectors = np.zeros((1, len(self._names), EMBEDDING_SIZE))
        for vote in scored.answer.votes:
            if vote.vector is not None:
                vectors[0, self._names.index(vote.member)] = vote.vector
        self._votes.append(Votes.of(vectors, scored.true[None].astype(np.float64)))
        self._prompts.append(scored.pair.prompt)
        self._groups.append(prompt_group(scored.pair.fields))
        self._vectors.setdefault(scored.pair.prompt, scored.true)

    def fit(self) -> Fit:
        """Find the weights with the highest mean cosine, cross-validated over groups of similar prompts.

        Groups are given by the field `group` if every record has it; else prompts linked by cosines of `SIMILAR` or
        more form a group. Raises DataError if there are fewer than two groups.
        """
        groups, grouped_by = group_pictures(self._prompts, self._groups, self._vectors)
        folds = assign_folds(groups, FOLDS)
        if (count := len(set(folds))) < 2:
            raise DataError(
                f"expected pictures of two groups of similar prompts or more, found {len(self._prompts):,} of "
                f"{len(set(groups))}; without others to judge them by, weights cannot be trusted"
            )
        truth, mutual = [votes.truth for votes in self._votes], [votes.mutual for votes in self._votes]
        votes = Votes(np.concatenate(truth), np.concatenate(mutual))
        by_fold = [fit_weights(votes[folds != fold], self._start) for fold in range(count)]
        outside = np.empty(len(folds))
        for fold, weights in enumerate(by_fold):
            outside[folds == fold] = votes[folds == fold].cosines(weights)
        return self._fit(votes, by_fold, outside, groups, grouped_by)

    def _fit(
        self, votes: Votes, by_fold: Sequence[Weights], outside: Numbers, groups: Sequence[Hashable], grouped_by: str
    ) -> Fit:
        before = votes.cosines(self._start)
        fitted, start = bootstrap(outside, groups), bootstrap(before, groups)
        gain = bootstrap_difference(outside, before, groups)
        assert fitted is not None
        assert start is not None
        assert gain is not None
        lowest, highest = np.min(by_fold, axis=0), np.max(by_fold, axis=0)
        return Fit(
            weights=dict(zip(self._names, _rounded(fit_weights(votes, self._start)), strict=True)),
            spread={
                name: (float(low), float(high)) for name, low, high in zip(self._names, lowest, highest, strict=True)
            },
            n=len(outside),
            folds=len(by_fold),
            groups=len(set(groups)),
            grouped_by=grouped_by,
            fitted=fitted,
            start=start,
            gain=gain,
        )


def group_pictures(
    prompts: Sequence[str], groups: Sequence[int | None], vectors: Mapping[str, Vector]
) -> tuple[list[Hashable], str]:
    """Each picture's group of similar prompts, and what pictures were grouped by.

    `groups` are those of the field `group`, None where a record lacks it; if any does, prompts are linked by cosines of
    `SIMILAR` or more between their `vectors`.
    """
    if None not in groups:
        return list(groups), "the field group"
    stacked = np.stack(list(vectors.values())).astype(np.float16)
    found = find_groups(NearPairs(stacked, np.arange(len(stacked)), SIMILAR)).tolist()
    group_of = dict(zip(vectors, found, strict=True))
    return [group_of[prompt] for prompt in prompts], f"a cosine of {SIMILAR} or more"


def assign_folds(groups: Sequence[Hashable], limit: int) -> npt.NDArray[np.intp]:
    """Each picture's fold (n,), from 0; groups stay whole and go, largest first, into the smallest fold."""
    sizes: dict[Hashable, int] = {}
    for group in groups:
        sizes[group] = sizes.get(group, 0) + 1
    filled = [0] * min(limit, len(sizes))
    fold_of: dict[Hashable, int] = {}
    for group in sorted(sizes, key=lambda group: -sizes[group]):
        fold_of[group] = filled.index(min(filled))
        filled[fold_of[group]] += sizes[group]
    return np.array([fold_of[group] for group in groups], np.intp)


def _rounded(weights: Weights) -> list[float]:
    """The weights as a preset shows them; the largest one absorbs the rounding error, so that the sum stays 1."""
    rounded = np.round(weights, _DECIMALS)
    rounded[rounded.argmax()] += 1 - rounded.sum()
    return [round(float(weight), _DECIMALS) for weight in rounded]
