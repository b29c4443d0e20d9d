"""Causal text towers of open_clip, in which nothing is computed twice (torch).

A token of a causal tower depends on those before it alone, and the text's vector is read at its end. So what stands
behind the end is never computed, what several texts begin with is computed once, and the keys and values of a long
common beginning serve all that goes on from it. The weights and modules are the model's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unprompt.models.networks.device import ShrinkingBatches, room_for
from unprompt.towers.token_tree import Block, plan_blocks

CPU_PASS = 1024
GPU_PASS = 32_768
"""Tokens that go through the layers together. On the CPU, ViT-B-32 takes 3 % longer with 512, 12 % with 2,048 and 22 %
with 4,096, which fall out of its cache; a GPU needs many to be busy."""


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """Rows of tokens, start and end included, most of which begin with `prefix`."""

    prefix: Sequence[int]
    rows: Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True, eq=False)
class _Placed:
    """A block, of which family its rows are, and behind how many tokens of which stem it stands (stem 0: of none)."""

    block: Block
    family: int
    rows: Sequence[int]
    stem: int
    before: int


@dataclass(frozen=True, slots=True, eq=False)
class _Pass:
    """Blocks as tensors; they are padded to the longest."""

    tokens: Tensor  # (blocks, longest)
    positions: Tensor  # (blocks, longest)
    mask: Tensor  # (blocks, 1, longest, longest stem + longest), 0 or -inf
    stems: Tensor  # (blocks,)
    ends: Tensor  # (rows,), into the flat (blocks * longest)


_Stems = list[tuple[Tensor, Tensor]]
"""Of each layer, keys and values (stems, heads, longest stem, head width)."""


def text_tower(model: nn.Module) -> Any:
    """The part of an open_clip model that holds the text tower: CLIP keeps it among its own attributes."""
    return getattr(model, "text", model)


def is_causal(model: nn.Module) -> bool:
    """Whether the model's text tower is one that `CausalText` computes."""
    from open_clip.model import CLIP
    from open_clip.transformer import ResidualAttentionBlock, TextTransformer, Transformer

    tower = text_tower(model)
    if type(tower) not in (CLIP, TextTransformer) or type(tower.transformer) is not Transformer:
        return False
    blocks = tower.transformer.resblocks
    if not all(type(block) is ResidualAttentionBlock and _is_plain(block.attn) for block in blocks):
        return False
    mask = tower.attn_mask
    return (
        getattr(tower, "cls_emb", None) is None
        and _pool_of(tower) in ("argmax", "eos")
        and mask is not None
        and bool(torch.equal(mask.cpu().float(), torch.full(mask.shape, -torch.inf).triu(1)))
    )


class CausalText:
    """Unit vectors of rows of tokens, by the text tower of a model for which `is_causal` holds.

    On the CPU a pass holds rows of one family, so that the answer for one is the same to the bit whatever else is
    asked; on a GPU all families share in the passes, which are halved where the device has no room for them.
    """

    def __init__(self, model: nn.Module) -> None:
        self._tower = text_tower(model)
        self._blocks: list[Any] = list(self._tower.transformer.resblocks)
        self._device = self._tower.token_embedding.weight.device
        self._type = self._blocks[0].mlp.c_fc.weight.dtype
        self._apart = self._device.type == "cpu"
        self.passes = ShrinkingBatches(CPU_PASS if self._apart else GPU_PASS, "text", fitting=_fitting)

    def encode(self, families: Sequence[Family]) -> list[Tensor]:
        """For each family its vectors (rows, size) float32, on the CPU.

        Raises NoRoomError where the device has no room for a single block, or for what the texts begin with.
        """
        with torch.inference_mode():
            if self._apart:
                return [vectors for family in families for vectors in self._encode([family])]
            return self._encode(families)

    def _encode(self, families: Sequence[Family]) -> list[Tensor]:
        placed, prefixes = self._place(families)
        with room_for("one text"):
            stems = self._stems(prefixes)
        compute = partial(self._vectors, lengths=[len(prefix) for prefix in prefixes], stems=stems)
        found: list[list[Tensor]] = [[] for _ in families]
        for one, vectors in zip(placed, chain.from_iterable(self.passes(placed, compute)), strict=True):
            found[one.family].append(vectors)
        return [
            _in_order(found[number], [row for one in placed if one.family == number for row in one.rows])
            for number in range(len(families))
        ]

    def _place(self, families: Sequence[Family]) -> tuple[list[_Placed], list[Sequence[int]]]:
        """All blocks, and the prefixes that they stand behind; the first of these is empty."""
        placed: list[_Placed] = []
        prefixes: list[Sequence[int]] = [()]
        for number, family in enumerate(families):
            rows = [self._read(row) for row in family.rows]
            before = len(family.prefix)
            start = list(family.prefix)
            behind = [place for place, row in enumerate(rows) if len(row) > before and row[:before] == start]
            others = sorted(set(range(len(rows))) - set(behind))
            own = len(prefixes) if before and behind else 0
            if own:
                prefixes.append(start)
            for places, stem, cut in ((behind, own, before), (others, 0, 0)):
                for block in plan_blocks([rows[place][cut:] for place in places]):
                    placed.append(_Placed(block, number, [places[row] for row in block.rows], stem, cut))
        return placed, prefixes

    def _read(self, row: Sequence[int]) -> list[int]:
        """The row as far as the tower reads it: to the token at which it takes the vector (`text_global_pool`)."""
        if _pool_of(self._tower) == "argmax":
            end = max(row)
        else:
            end = _end_of(self._tower)
            if end not in row:
                return list(row[:1])
        return list(row[: row.index(end) + 1])

    def _stems(self, prefixes: Sequence[Sequence[int]]) -> _Stems:
        """Keys and values of the prefixes; of one token, which nothing sees, for the empty one."""
        if len(prefixes) == 1:
            return []
        rows = [prefix or (0,) for prefix in prefixes]
        placed = [_Placed(block, 0, [0], 0, 0) for row in rows for block in plan_blocks([row])]
        kept: _Stems = []
        self._run(self._pass(placed, [0], 0), [], kept)
        return kept

    def _vectors(self, placed: Sequence[_Placed], lengths: Sequence[int], stems: _Stems) -> Sequence[Tensor]:
        """Of each block its vectors (rows, size)."""
        longest = stems[0][0].shape[2] if stems else 0
        x = self._run(self._pass(placed, lengths, longest), stems, None)
        projection = self._tower.text_projection
        if projection is not None:
            x = projection(x) if isinstance(projection, nn.Linear) else x @ projection
        vectors = F.normalize(x.float(), dim=1).cpu()
        return torch.split(vectors, [len(one.rows) for one in placed])

    def _pass(self, placed: Sequence[_Placed], lengths: Sequence[int], longest_stem: int) -> _Pass:
        longest = max(len(one.block.tokens) for one in placed)
        shape = (len(placed), longest)
        tokens, positions = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        sees = np.zeros((*shape, longest_stem + longest), np.bool_)
        ends = []
        for number, one in enumerate(placed):
            nodes = len(one.block.tokens)
            tokens[number, :nodes] = one.block.tokens
            positions[number, :nodes] = one.block.depths + one.before
            sees[number, :nodes, : lengths[one.stem]] = True
            sees[number, :nodes, longest_stem : longest_stem + nodes] = one.block.sees
            ends.append(one.block.ends + number * longest)
        own = np.arange(longest)
        sees[:, own, longest_stem + own] = True  # padding sees itself: a softmax over nothing is NaN
        mask = torch.zeros(sees.shape, dtype=self._type).masked_fill_(~torch.from_numpy(sees), -torch.inf)
        return _Pass(
            torch.from_numpy(tokens).to(self._device),
            torch.from_numpy(positions).to(self._device),
            mask[:, None].to(self._device),
            torch.tensor([one.stem for one in placed], device=self._device),
            torch.from_numpy(np.concatenate(ends)).to(self._device),
        )

    def _run(self, batch: _Pass, stems: _Stems, kept: _Stems | None) -> Tensor:
        """The last layer's output (rows, width), normed, where rows end; `kept` receives keys and values."""
        tower = self._tower
        x = tower.token_embedding(batch.tokens).to(self._type)
        x = x + tower.positional_embedding.to(self._type)[batch.positions]  # (blocks, longest, width)
        for layer, block in enumerate(self._blocks):
            queries, keys, values = _split(block.attn, block.ln_1(x))
            if kept is not None:
                kept.append((keys, values))
            if stems:
                keys = torch.cat([stems[layer][0][batch.stems], keys], dim=2)
                values = torch.cat([stems[layer][1][batch.stems], values], dim=2)
            seen = F.scaled_dot_product_attention(queries, keys, values, attn_mask=batch.mask)
            seen = seen.transpose(1, 2).flatten(2)  # (blocks, longest, width)
            if layer == len(self._blocks) - 1:  # nothing looks at the others any more
                x, seen = x.flatten(0, 1)[batch.ends], seen.flatten(0, 1)[batch.ends]
            x = x + block.ls_1(block.attn.out_proj(seen))
            x = x + block.ls_2(block.mlp(block.ln_2(x)))
        normed: Tensor = tower.ln_final(x)
        return normed


def _fitting(placed: Sequence[_Placed], tokens: int) -> int:
    """How many blocks go into a pass of so many tokens, to whose longest they are padded: one at least."""
    longest = 0
    for count, one in enumerate(placed):
        longest = max(longest, len(one.block.tokens))
        if count and longest * (count + 1) > tokens:
            return count
    return len(placed)


def _split(attention: nn.MultiheadAttention, x: Tensor) -> list[Tensor]:
    """Queries, keys and values (blocks, heads, longest, head width) of x (blocks, longest, width)."""
    flat = F.linear(x, attention.in_proj_weight, attention.in_proj_bias)
    return [part.unflatten(2, (attention.num_heads, -1)).transpose(1, 2) for part in flat.chunk(3, dim=2)]


def _is_plain(attention: nn.MultiheadAttention) -> bool:
    return attention.in_proj_weight is not None and attention.bias_k is None and not attention.add_zero_attn


def _pool_of(tower: Any) -> str:
    return str(getattr(tower, "text_pool_type", None) or tower.pool_type)


def _end_of(tower: Any) -> int:
    return int(tower.text_eos_id if hasattr(tower, "text_eos_id") else tower.eos_id)


def _in_order(parts: Sequence[Tensor], rows: Sequence[int]) -> Tensor:
    """Vectors as their rows were asked for."""
    if not parts:
        return torch.empty(0, 0)
    vectors = torch.cat(list(parts))
    ordered = torch.empty_like(vectors)
    ordered[list(rows)] = vectors
    return ordered
