"""Splits into training and validation parts that share no group of similar prompts.

Near-duplicate prompts on both sides inflate a validation score by 9 to 17 % (the competition's write-ups), so whole
groups go to one side. Two prompts are in one group if a chain of others links them, each near enough to the next.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unprompt.datasets.comparison import DistinctPrompts
from unprompt.datasets.near_pairs import Indices, NearPairs
from unprompt.datasets.outputs import OutputPlace
from unprompt.datasets.vectors import VectorStore
from unprompt.errors import DataError
from unprompt.progress import Advance, Step, no_advance


@dataclass(frozen=True)
class Split:
    """The numbers of records, distinct prompts and groups in a split and its parts, and the largest group's records."""

    records: int
    distinct: int
    groups: int
    largest_group: int
    train_records: int
    validation_records: int
    validation_groups: int


def split_prompts(
    prompts: DistinctPrompts,
    store: VectorStore,
    train: OutputPlace,
    validation: OutputPlace,
    *,
    threshold: float,
    share: float,
    seed: int,
    step: Step,
) -> Split:
    """Write the two parts with each record's `group` number. Raises DataError if there are too few groups."""
    search = prompts.search(store, threshold, step)
    with step("grouping", search.pairs_up_to(len(search)), "pairs") as advance:
        groups = find_groups(search, advance)[prompts.places]
    sizes = np.bincount(groups)
    chosen = choose_validation(sizes, share, seed)
    with train.open() as train_output, validation.open() as validation_output, step("writing", len(groups)) as advance:
        for number, entry in prompts.again():
            group = int(groups[number])
            (validation_output if chosen[group] else train_output).write(entry, entry.prompt, group=group)
            advance(1)
    held_out = int(sizes[chosen].sum())
    return Split(
        records=len(groups),
        distinct=len(prompts),
        groups=len(sizes),
        largest_group=int(sizes.max()),
        train_records=len(groups) - held_out,
        validation_records=held_out,
        validation_groups=int(np.count_nonzero(chosen)),
    )


def find_groups(search: NearPairs, advance: Advance = no_advance) -> Indices:
    """The group of each vector (n,): the connected components of the pairs that reach the threshold.

    Groups are numbered from 0 in order of their first vectors. `advance` is called with the number of pairs decided
    since the last call. A search can be used only once.
    """
    parents = np.arange(len(search))

    def apart(first: Indices, second: Indices) -> npt.NDArray[np.bool_]:
        return np.asarray(_roots(parents, first) != _roots(parents, second))

    for block in search.blocks():
        for found in (search.earlier, search.within):
            for pairs in found(block, apart):
                for first, second in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True):
                    _join(parents, first, second)
        search.remember(block)
        advance(search.pairs_up_to(block.stop) - search.pairs_up_to(block.start))
    roots = _roots(parents, np.arange(len(search)))
    return np.asarray(np.unique(roots, return_inverse=True)[1], np.int64)


def choose_validation(sizes: npt.NDArray[np.int64], share: float, seed: int) -> npt.NDArray[np.bool_]:
    """Choose the groups (n,) for validation, so that their `sizes` add up to nearly `share` of all.

    Groups are drawn in an order given by the seed, skipping any that no longer fits, so a group larger than the
    validation part always stays in training. If none fits, the smallest is taken: no part is empty. Raises DataError if
    there are fewer than two groups, or if the share is not between 0 and 1.
    """
    if len(sizes) < 2:
        raise DataError(
            f"expected two groups of prompts or more to split, found {len(sizes)}; raise --group, the cosine from "
            "which on prompts are similar, or add prompts"
        )
    if not 0 < share < 1:
        raise DataError(f"expected a share above 0 and below 1 for validation, found {share:g}; no part is empty")
    chosen = np.zeros(len(sizes), np.bool_)
    room = share * int(sizes.sum())
    passed_over: list[int] = []
    for group in np.random.default_rng(seed).permutation(len(sizes)).tolist():
        if sizes[group] <= room:
            chosen[group] = True
            room -= sizes[group]
        else:
            passed_over.append(group)
    smallest = min(passed_over, key=lambda group: int(sizes[group]))
    # One more group may come nearer to the share; at least one group stays for training.
    if len(passed_over) > 1 and (not chosen.any() or sizes[smallest] - room < room):
        chosen[smallest] = True
    return chosen


def _roots(parents: Indices, indices: Indices) -> Indices:
    """The roots of the trees that these vectors belong to."""
    roots = parents[indices]
    while not np.array_equal(higher := parents[roots], roots):
        roots = higher
    parents[indices] = roots  # path compression
    return roots


def _join(parents: Indices, first: int, second: int) -> None:
    """Merge two trees under the lower of their roots."""
    a, b = _root(parents, first), _root(parents, second)
    parents[max(a, b)] = min(a, b)


def _root(parents: Indices, index: int) -> int:
    while (parent := int(parents[index])) != index:
        parents[index] = parents[parent]
        index = parent
    return index
