"""What weights have to be like: named, shaped and finite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from safetensors.torch import save_file  # noqa: E402
from torch import Tensor  # noqa: E402

from unprompt.models.networks.start_weights import differences, not_finite, read_shapes  # noqa: E402

EXPECTED = {"weight": torch.ones(3, 2), "bias": torch.ones(3), "index": torch.arange(4)}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda state: None, ""),
        (lambda state: state.update(weight=torch.ones(3, 2, dtype=torch.float16)), ""),
        (lambda state: state.update(weight=torch.full((3, 2), 3e38)), ""),  # whose sum is infinite
        (lambda state: state.update(weight=torch.full((3, 2), 6e4, dtype=torch.float16)), ""),
        (lambda state: state.update(weight=torch.ones(3, 2).to(torch.float8_e4m3fn)), ""),
        (lambda state: state.pop("bias"), "missing: bias"),
        (lambda state: state.update(more=torch.ones(1)), "unknown: more"),
        (lambda state: state.update(bias=torch.ones(4)), "of another shape: bias (4,) in place of (3,)"),
        (
            lambda state: state.update(
                weight=torch.ones(3, 2, dtype=torch.int8), bias=torch.ones(3, dtype=torch.cfloat)
            ),
            "no floating-point numbers: weight (int8), bias (complex64)",
        ),
        (lambda state: state["bias"].fill_(torch.nan), "not finite: bias"),
        (lambda state: state.update(bias=torch.tensor([1, torch.inf, -torch.inf])), "not finite: bias"),
        (
            lambda state: state.update(weight=torch.tensor(torch.nan, dtype=torch.float8_e5m2).expand(3, 2)),
            "not finite: weight",
        ),
    ],
)
def test_differences_are_named(change: Callable[[dict[str, Tensor]], None], told: str) -> None:
    state = {name: value.clone() for name, value in EXPECTED.items()}
    change(state)
    assert differences(EXPECTED, state) == told


def test_a_few_of_many_are_named() -> None:
    state = {f"layer.{number}": torch.tensor([torch.nan]) for number in range(9)}
    assert differences(state, state) == "not finite: layer.0, layer.1, layer.2, layer.3 and 5 more"
    assert not_finite(state) == list(state)


def test_a_header_tells_shapes_and_kinds_of_numbers(tmp_path: Path) -> None:
    state = {**EXPECTED, "weight": torch.ones(3, 2, dtype=torch.int8)}
    save_file(state, tmp_path / "weights.safetensors")
    shapes = read_shapes(tmp_path / "weights.safetensors")
    assert {name: (value.shape, value.dtype) for name, value in shapes.items()} == {
        name: (value.shape, value.dtype) for name, value in state.items()
    }
    assert all(value.is_meta for value in shapes.values())
    assert differences(EXPECTED, shapes) == "no floating-point numbers: weight (int8)"
