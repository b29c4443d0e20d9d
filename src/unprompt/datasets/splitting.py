"""Training and validation parts that share no group of similar prompts.

Near-duplicate prompts on both sides inflate a validation score by 9 to 17 % (the competition's write-ups), so whole
groups go to one side: prompts are of one group where a chain of others links them, each near enough to the next.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from unprompt.datasets.near_pairs import Indices, NearPairs
from unprompt.errors import DataError


def find_groups(search: NearPairs, advance: Callable[[int], None] = lambda done: None) -> Indices:
    """The group of each vector (n,): the connected components of the pairs that reach the threshold.

    Groups are numbered from 0 in the order of their first vectors. `advance` hears how many more vectors are done. Uses
    the search up.
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
        advance(block.stop - block.start)
    roots = _roots(parents, np.arange(len(search)))
    return np.asarray(np.unique(roots, return_inverse=True)[1], np.int64)


def choose_validation(sizes: npt.NDArray[np.int64], share: float, seed: int) -> npt.NDArray[np.bool_]:
    """Which groups (n,) are for validation, so that their `sizes` come near to `share` of all.

    Groups are drawn in an order that the seed decides, and one that no longer fits is passed over. So a group larger
    than the validation part is always trained on. Where not even one fits, the smallest is taken: no part is empty.
    Raises DataError where there are fewer than two groups.
    """
    if len(sizes) < 2:
        raise DataError(
            f"expected two groups of prompts or more to split, found {len(sizes)}; raise --group, from which on "
            "prompts are similar, or add prompts"
        )
    wanted = share * int(sizes.sum())
    chosen = np.zeros(len(sizes), np.bool_)
    room = wanted
    passed_over: list[int] = []
    for group in np.random.default_rng(seed).permutation(len(sizes)).tolist():
        if sizes[group] <= room:
            chosen[group] = True
            room -= sizes[group]
        else:
            passed_over.append(group)
    smallest = min(passed_over, key=lambda group: int(sizes[group]))
    # One more may come nearer than none; the last group stays for training.
    if len(passed_over) > 1 and (not chosen.any() or sizes[smallest] - room < room):
        chosen[smallest] = True
    return chosen


def _roots(parents: Indices, indices: Indices) -> Indices:
    """The roots of the trees in which these stand."""
    roots = parents[indices]
    while not np.array_equal(higher := parents[roots], roots):
        roots = higher
    parents[indices] = roots  # the next way is short
    return roots


def _join(parents: Indices, first: int, second: int) -> None:
    """Puts two trees together, below the lower of their roots."""
    a, b = _root(parents, first), _root(parents, second)
    parents[max(a, b)] = min(a, b)


def _root(parents: Indices, index: int) -> int:
    while (parent := int(parents[index])) != index:
        parents[index] = parents[parent]
        index = parent
    return index
