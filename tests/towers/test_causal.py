"""Causal text towers without repetition, against the model's own `encode_text`."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest

from unprompt.errors import NoRoomError

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from tiny_open_clip import TEXT, build, open_clip, shaken  # noqa: E402

from unprompt.models.networks.open_clip_backbone import quiet  # noqa: E402
from unprompt.towers.causal import CPU_PASS, CausalText, Family, is_causal  # noqa: E402

START, END = 49406, 49407
KINDS: dict[str, dict[str, Any]] = {
    "gelu": {},
    "quick gelu": {"quick_gelu": True},
    "custom text": {"custom": True},
    "end by its number": {"custom": True, "pool_type": "eos", "eos_id": END},
    "no projection": {"custom": True, "proj_type": "none"},
    "projection with bias": {"custom": True, "proj_bias": True},
    "layer scale": {"ls_init_value": 0.5},
    "tokens too": {"custom": True, "output_tokens": True},
}


def _rows(count: int, seed: int = 0, least: int = 1, most: int = 12) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(least, most + 1, (count,), generator=generator).tolist()
    return [
        [START, *torch.randint(0, 6 if number % 2 else END - 1, (length,), generator=generator).tolist(), END]
        for number, length in enumerate(lengths)
    ]


def _own(model: torch.nn.Module, rows: list[list[int]]) -> torch.Tensor:
    tokens = torch.zeros(len(rows), 77, dtype=torch.long)
    for number, row in enumerate(rows):
        tokens[number, : len(row)] = torch.tensor(row)
    with torch.inference_mode():
        found = model.encode_text(tokens)
        return torch.nn.functional.normalize((found[0] if isinstance(found, tuple) else found).float(), dim=1)


@pytest.mark.parametrize("kind", KINDS)
def test_vectors_are_the_models_own(kind: str) -> None:
    model = build(**KINDS[kind])
    assert is_causal(model)
    rows = [*_rows(40), *_rows(3, 1, 75, 75), [START, END]]
    (found,) = CausalText(model).encode([Family((), rows)])
    expected = _own(model, rows)
    assert (expected @ expected.T).min() < 0.9  # the model tells them apart
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["gelu", "quick gelu", "end by its number"])
def test_vectors_behind_a_prefix_are_the_models_own(kind: str) -> None:
    model = build(**KINDS[kind])
    prefix = _rows(1, 2, 20, 20)[0][:-1]
    behind = [[*prefix, *row[1:]] for row in _rows(300)]
    rows = [*behind, *_rows(5, 3), prefix, [*prefix, END], behind[0]]
    (found,) = CausalText(model).encode([Family(prefix, rows)])
    torch.testing.assert_close(found, _own(model, rows), atol=1e-5, rtol=0)


def test_what_stands_behind_the_end_is_not_looked_at() -> None:
    model = build()
    rows = [[START, 5, END, 7, 8], [START, 5, END]]
    (found,) = CausalText(model).encode([Family((START, 5, END, 7), rows)])
    torch.testing.assert_close(found, _own(model, rows), atol=1e-5, rtol=0)
    assert torch.equal(found[0], found[1])


def test_one_family_changes_no_bit_of_another() -> None:
    tower = CausalText(build())
    families = [
        Family(prefix, [[*prefix, *row[1:]] for row in _rows(50 + seed, seed)])
        for seed, prefix in enumerate([[START, 1, 2, 3], [START, 9], [START, 1, 2, 3, 4, 5]])
    ]
    alone = [tower.encode([family])[0] for family in families]
    for together, one in zip(tower.encode([*families, Family((), [])]), alone, strict=False):
        assert torch.equal(together, one)


def test_families_in_the_same_passes_answer_as_alone() -> None:
    model = build()
    tower = CausalText(model)
    families = [
        Family(prefix, [[*prefix, *row[1:]] for row in _rows(20 + seed, seed)] + _rows(2, 7))
        for seed, prefix in enumerate([[START, 1, 2, 3], [START, 9], [START, 1, 2, 3, 4, 5], []])
    ]
    tower._apart = False  # as on a GPU
    for family, found in zip(families, tower.encode([*families, Family((), [])]), strict=False):
        torch.testing.assert_close(found, _own(model, list(family.rows)), atol=1e-5, rtol=0)


def test_no_rows_and_no_families() -> None:
    tower = CausalText(build())
    assert tower.encode([]) == []
    assert [len(vectors) for vectors in tower.encode([Family((), []), Family((START, 4), [])])] == [0, 0]


def test_half_precision_keeps_the_norms_in_single() -> None:
    with quiet():
        half = open_clip.create_model("ViT-B-32", load_weights=False, precision="fp16", text_cfg=TEXT, embed_dim=40)
    single = build()
    state = single.state_dict()
    half.load_state_dict({name: value for name, value in state.items() if not name.startswith("visual.")}, strict=False)
    half.eval()
    assert half.ln_final.weight.dtype == torch.float32
    prefix = [START, 3, 4]
    rows = [[*prefix, *row[1:]] for row in _rows(30)]
    (found,) = CausalText(half).encode([Family(prefix, rows)])
    assert found.dtype == torch.float32
    assert (found * _own(single, rows)).sum(dim=1).min() > 0.999


def _room_for(model: torch.nn.Module, tokens: int, seen: list[int]) -> None:
    """A device that has room for so many tokens in the first layer."""

    def look(module: torch.nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
        size = arguments[0].shape[0] * arguments[0].shape[1]
        seen.append(size)
        if size > tokens:
            raise torch.OutOfMemoryError("CUDA out of memory")

    model.transformer.resblocks[0].ln_1.register_forward_pre_hook(look)


def test_passes_without_room_are_halved_and_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    model = build()
    rows = _rows(400)
    tower, expected = CausalText(model), _own(model, rows)
    seen: list[int] = []
    _room_for(model, 300, seen)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            (found,) = tower.encode([Family((), rows)])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert seen[0] > 900
    assert tower.passes.size <= 300
    assert len(caplog.records) == 1
    assert re.fullmatch(
        r"the device has no room for \d+ texts at once: going on with fewer", caplog.records[0].getMessage()
    )


def test_no_room_for_a_single_block_is_said() -> None:
    model = build()
    _room_for(model, 10, [])
    with pytest.raises(NoRoomError, match="no room for one text; free its memory"):
        CausalText(model).encode([Family((), _rows(100))])


def test_no_room_for_what_texts_begin_with_is_said() -> None:
    model = build()
    prefix = [START, 3, 4]
    _room_for(model, 2, [])
    with pytest.raises(NoRoomError, match="no room for one text; free its memory"):
        CausalText(model).encode([Family(prefix, [[*prefix, *row[1:]] for row in _rows(4)])])


def test_after_a_lack_of_room_for_a_single_block_whole_passes_are_tried_again() -> None:
    model = build()
    tower = CausalText(model)
    _room_for(model, 10, [])
    with pytest.raises(NoRoomError):
        tower.encode([Family((), _rows(100))])
    assert tower.passes.size == CPU_PASS


@pytest.mark.parametrize(
    "changes",
    [
        {"custom": True, "no_causal_mask": True},
        {"custom": True, "embed_cls": True},
        {"custom": True, "pool_type": "last"},
        {"custom": True, "qk_norm": True},
        {"custom": True, "block_type": "custom"},
        {"architecture": "coca_ViT-B-32"},
    ],
)
def test_other_towers_are_known(changes: dict[str, Any]) -> None:
    assert not is_causal(build(**changes))


def test_a_mask_of_another_shape_is_not_causal() -> None:
    model = shaken(build())
    model.attn_mask[3, 5] = 0
    assert not is_causal(model)
