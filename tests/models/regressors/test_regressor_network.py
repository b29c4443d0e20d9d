"""Heads: what they compute, and what is refused."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tiny_backbones import FAMILIES

from unprompt.errors import DataError, UnknownNameError, UnpromptError

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from unprompt.models.regressors.regressor_network import Head, HeadSpec, RegressorNetwork  # noqa: E402

FEATURES = 12


def _features(count: int = 5, size: int = FEATURES) -> torch.Tensor:
    return 3 + 2 * torch.randn(count, size, generator=torch.Generator().manual_seed(0))


def test_a_linear_head_is_one_linear_map() -> None:
    head = Head(FEATURES, HeadSpec("linear", standardise=False)).eval()
    (weight, bias) = head.parameters()
    expected = _features() @ weight.T + bias
    torch.testing.assert_close(head(_features()), expected / expected.norm(dim=1, keepdim=True))
    assert list(head.state_dict()) == ["linear.1.weight", "linear.1.bias"]


@pytest.mark.parametrize(("hidden", "width"), [(0, 16 * FEATURES), (7, 7)])
def test_the_wide_head_is_the_first_places(hidden: int, width: int) -> None:
    head = Head(FEATURES, HeadSpec("wide", hidden=hidden, standardise=False))
    reference = torch.nn.Sequential(
        torch.nn.Linear(FEATURES, width),
        torch.nn.BatchNorm1d(width),
        torch.nn.ReLU(),
        torch.nn.Linear(width, 384),
    )
    reference.load_state_dict(dict(zip(reference.state_dict(), head.state_dict().values(), strict=True)))
    expected = reference.train()(_features())
    torch.testing.assert_close(head.train()(_features()), expected / expected.norm(dim=1, keepdim=True))


def test_the_perceptron_is_added_to_a_linear_map() -> None:
    head = Head(FEATURES, HeadSpec("perceptron", hidden=7)).eval()
    head.centre.fill_(3)
    head.spread.fill_(2)
    seen = (_features() - 3) / 2
    expected = head.linear(seen) + head.perceptron(seen)
    torch.testing.assert_close(head(_features()), expected / expected.norm(dim=1, keepdim=True))


@pytest.mark.parametrize("kind", ["linear", "wide", "perceptron"])
def test_scale_is_fitted_where_the_head_standardises(kind: Any) -> None:
    network = FAMILIES["vit"].network(HeadSpec(kind, hidden=0 if kind == "linear" else 8))
    features = _features(50, 32)
    network.fit_scale(features)
    torch.testing.assert_close(network.head.centre, features.mean(dim=0))
    torch.testing.assert_close(network.head.spread, features.std(dim=0) + 1e-6)
    plain = FAMILIES["vit"].network(HeadSpec(kind, hidden=0 if kind == "linear" else 8, standardise=False))
    before = plain.project(features)
    plain.eval().fit_scale(features)
    assert not hasattr(plain.head, "centre")
    assert before.shape == (50, 384)


def test_log_probabilities_of_classes_count_half() -> None:
    network = RegressorNetwork(FAMILIES["vit"].backbone(features="classes"), HeadSpec("perceptron", hidden=8))
    features = _features(50, 1064)
    network.fit_scale(features)
    spread = features.std(dim=0) + 1e-6
    torch.testing.assert_close(network.head.spread[:64], spread[:64])
    torch.testing.assert_close(network.head.spread[64:], 2 * spread[64:])


def test_forward_is_features_and_head() -> None:
    network = FAMILIES["vit"].network(HeadSpec("wide")).eval()
    pixels = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    vectors = network(pixels)
    torch.testing.assert_close(vectors, network.project(network.features(pixels)))
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(2))
    assert {name.partition(".")[0] for name in network.state_dict()} == {"backbone", "head"}


def test_dropout_drops_in_training_alone() -> None:
    head = Head(FEATURES, HeadSpec("perceptron", hidden=7, dropout=0.5))
    torch.testing.assert_close(head.eval()(_features()), head(_features()))
    assert not torch.allclose(head.train()(_features()), head(_features()))


@pytest.mark.parametrize(
    ("config", "kind", "message"),
    [
        ({"kind": "widest"}, UnknownNameError, "unknown kind in the head 'widest'; did you mean 'wide'"),
        ({"kind": "perceptron"}, DataError, "the head: expected hidden of 1 or more in a perceptron head, found 0"),
        ({"kind": "wide", "hidden": -1}, DataError, "the head: expected hidden to be a whole number from 0"),
        (
            {"kind": "wide", "hidden": 10**9},
            DataError,
            "expected hidden to be a whole number from 0 to 131,072, found 1000000000",
        ),
        ({"kind": "linear", "hidden": 3}, DataError, "expected no hidden layer in a linear head, found hidden = 3"),
        ({"kind": "linear", "dropout": 1.0}, DataError, "expected dropout to be a number from 0 to below 1, found 1.0"),
        ({"kind": "linear", "dropout": float("nan")}, DataError, "expected dropout to be a number from 0"),
        ({"kind": "linear", "hiden": 3}, UnknownNameError, "unknown key in the head 'hiden'; did you mean 'hidden'"),
        (
            {"kind": "wide", "hidden": "3"},
            DataError,
            "expected hidden to be a whole number from 0 to 131,072, found '3'",
        ),
        (
            {"kind": "wide", "hidden": True},
            DataError,
            "expected hidden to be a whole number from 0 to 131,072, found True",
        ),
        ({"kind": "linear", "standardise": 1}, DataError, "expected standardise to be true or false, found 1"),
        ({"kind": ["linear"]}, DataError, "expected kind to be one of linear, wide, perceptron, found ['linear']"),
        ({}, DataError, "the head lacks 'kind'"),
        (None, DataError, "expected the head to be a table of keys and values, found None"),
    ],
)
def test_a_head_that_is_none(config: Any, kind: type[UnpromptError], message: str) -> None:
    with pytest.raises(kind, match=re.escape(message)):
        HeadSpec.from_config(config)


def test_a_head_survives_its_config() -> None:
    spec = HeadSpec("wide", hidden=8, dropout=0.25, standardise=False)
    assert HeadSpec.from_config(spec.to_config()) == spec
