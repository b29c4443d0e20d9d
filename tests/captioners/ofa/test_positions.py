"""Distances of words and patches, as plainly as they can be said."""

from __future__ import annotations

import math

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from unprompt.captioners.ofa.positions import (  # noqa: E402
    absolute_bias,
    patch_distances,
    patch_places,
    relative_bias,
    word_distances,
    word_table,
)

CPU = torch.device("cpu")


def _bucket(distance: int, size: int) -> int:
    """The row for a word so far behind, after the published formula."""
    middle = size // 2
    if abs(distance) <= middle:
        return distance + size - 1
    spaced = middle + math.ceil(math.log(abs(distance) / middle) / math.log(1023 / middle) * (middle - 1))
    return int(math.copysign(spaced, distance)) + size - 1


@pytest.mark.parametrize("size", [4, 16, 31, 256])
def test_words(size: int) -> None:
    found = word_distances(300, size, CPU)
    assert found.tolist() == [[_bucket(word - other, size) for other in range(300)] for word in range(300)]


@pytest.mark.parametrize("size", [4, 7, 16, 100, 256, 1024])
def test_the_farthest_words_are_within_the_table(size: int) -> None:
    found = word_distances(1024, size, CPU)
    assert found.min() >= 0
    assert found.max() < word_table(size, 1).num_embeddings
    assert torch.equal(found.flip(0, 1), found.mT)
    assert found.diff(dim=1).max() <= 0  # the farther ahead, the lower


def test_patches_by_rows_and_columns() -> None:
    found = patch_distances(2, 3, 4, CPU)
    places = [(row, column) for row in range(2) for column in range(3)]
    for here, (row, column) in enumerate(places):
        for there, (other_row, other_column) in enumerate(places):
            assert found[here, there] == (row - other_row + 3) * 7 + column - other_column + 3


def test_places_of_patches_are_those_in_the_largest_picture() -> None:
    assert patch_places(2, 3, 4, CPU).tolist() == [1, 2, 3, 5, 6, 7]


def test_each_layer_adds_its_own_numbers_for_distances() -> None:
    torch.manual_seed(0)
    table = torch.nn.Embedding(7, 2)
    distances = torch.tensor([[0, 6, 3], [3, 3, 1]])
    bias = relative_bias(table, distances)
    assert bias.shape == (2, 2, 3)
    assert bias[1, 0, 1] == table.weight[6, 1]


def test_absolute_bias_is_a_product_for_each_head() -> None:
    torch.manual_seed(0)
    queries, keys = torch.randn(2, 8), torch.randn(3, 8)
    bias = absolute_bias(queries, keys, 2)
    assert bias.shape == (2, 2, 3)
    assert torch.allclose(bias[1, 0, 2], queries[0, 4:] @ keys[2, 4:] / math.sqrt(2 * 4))
