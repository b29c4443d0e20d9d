"""Losses against their definitions in numpy."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional as F  # noqa: E402

from unprompt.training.losses import regression_loss  # noqa: E402
from unprompt.training.recipe import Loss  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.fixture
def vectors() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    one, other = (F.normalize(torch.randn(5, 384, generator=generator), dim=1) for _ in range(2))
    return F.normalize(one + 0.7 * other, dim=1), one


def test_cosine_is_pytorchs_cosine_embedding_loss(vectors: tuple[torch.Tensor, torch.Tensor]) -> None:
    expected = F.cosine_embedding_loss(*vectors, torch.ones(5))
    assert regression_loss(*vectors, Loss()).item() == pytest.approx(expected.item(), abs=1e-6)


def test_angular_is_the_mean_angle(vectors: tuple[torch.Tensor, torch.Tensor]) -> None:
    cosines = (vectors[0] * vectors[1]).sum(dim=1).numpy()
    assert regression_loss(*vectors, Loss("angular")).item() == pytest.approx(np.arccos(cosines).mean(), abs=1e-5)


def test_the_angular_loss_has_a_slope_at_its_end() -> None:
    same = torch.eye(2, 384, requires_grad=True)
    regression_loss(same, torch.eye(2, 384), Loss("angular")).backward()
    assert torch.isfinite(same.grad).all()


def test_squared_distances_are_twice_the_cosine_loss_for_unit_vectors(
    vectors: tuple[torch.Tensor, torch.Tensor],
) -> None:
    cosine = regression_loss(*vectors, Loss()).item()
    assert regression_loss(*vectors, Loss("cosine-mse", mse=0.5)).item() == pytest.approx(2 * cosine, abs=1e-5)


def test_the_contrast_asks_for_the_own_prompt() -> None:
    vectors = torch.eye(3, 384)
    options = Loss(contrastive=2.0, temperature=0.5)
    expected = 2 * -np.log(np.exp(2) / (np.exp(2) + 2))
    assert regression_loss(vectors, vectors, options).item() == pytest.approx(expected, abs=1e-5)
    assert regression_loss(vectors, vectors.roll(1, 0), options).item() > 1 + expected


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_the_contrast_is_the_same_in_half_precision(precision: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    predicted, target = (F.normalize(torch.randn(32, 384, generator=generator), dim=1) for _ in range(2))
    expected = regression_loss(predicted, target, Loss(contrastive=1.0))
    with torch.autocast("cpu", precision):
        assert regression_loss(predicted, target, Loss(contrastive=1.0)).item() == pytest.approx(
            expected.item(), abs=1e-5
        )


def test_equal_prompts_are_not_held_against_each_other() -> None:
    vectors = torch.eye(3, 384)
    target = vectors[[0, 0, 1]]
    options = Loss(contrastive=1.0, temperature=0.5)
    expected = (-2 * np.log(2 * np.exp(2) / (2 * np.exp(2) + 1)) - np.log(np.exp(2) / (np.exp(2) + 2))) / 3
    assert regression_loss(target, target, options).item() == pytest.approx(expected, abs=1e-5)
