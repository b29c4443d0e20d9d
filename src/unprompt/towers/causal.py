"""Causal text towers of open_clip, computed without redundancy (torch).

A token of a causal tower depends only on those before it, and the text's vector is read at its end token. So tokens
after the end are never computed, common prefixes of texts are computed once, and the keys and values of a long common
prefix serve all of its continuations. Weights and modules are those of the model.
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
"""Tokens per pass through the layers; a GPU needs many to be busy.

On the CPU, ViT-B-32 takes 3 % longer with 512, 12 % with 2,048 and 22 % with 4,096, which exceed its cache.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """Rows of tokens, including start and end, most of which begin with `prefix`."""

    prefix: Sequence[int]
    rows: Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True, eq=False)
class _Placed:
    """A block of rows of one family, and the prefix, number `stem` (0: none), whose `before` tokens precede it."""

    block: Block
    family: int
    rows: Sequence[int]
    stem: int
    before: int


@dataclass(frozen=True, slots=True, eq=False)
class _Pass:
    """Blocks as tensors, padded to the longest block."""

    tokens: Tensor  # (blocks, longest)
    positions: Tensor  # (blocks, longest)
    mask: Tensor  # (blocks, 1, longest, longest stem + longest), 0 or -inf
    stems: Tensor  # (blocks,)
    ends: Tensor  # (rows,), into the flat (blocks * longest)


_Stems = list[tuple[Tensor, Tensor]]
"""For each layer, keys and values (stems, heads, longest stem, head width)."""


def text_tower(model: nn.Module) -> Any:
    """The part of an open_clip model that is the text tower; in a CLIP it is the model itself."""
    return getattr(model, "text", model)


def is_causal(model: nn.Module) -> bool:
    """Whether `CausalText` can compute the model's text tower."""
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
    """Computes unit vectors of rows of tokens with the text tower of a model for which `is_causal` holds.

    On the CPU each family has passes of its own, so that its vectors are the same to the bit whatever else is in the
    call; on a GPU families share passes, which are halved when memory runs out.
    """

    def __init__(self, model: nn.Module) -> None:
        self._tower = text_tower(model)
        self._blocks: list[Any] = list(self._tower.transformer.resblocks)
        self._device = self._tower.token_embedding.weight.device
        self._type = self._blocks[0].mlp.c_fc.weight.dtype
        self._apart = self._device.type == "cpu"
        self.passes = ShrinkingBatches(CPU_PASS if self._apart else GPU_PASS, "text", fitting=_fitting)

    def encode(self, families: Sequence[Family]) -> list[Tensor]:
        """The vectors (rows, size) float32 of each family, on the CPU.

        Raises NoRoomError if the device has no room for a single block, or for the prefixes.
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
        """All blocks, and the prefixes that they continue; the first prefix is empty."""
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
        """The part of the row that the tower reads, up to the token whose vector it takes (`text_global_pool`)."""
        if _pool_of(self._tower) == "argmax":
            end = max(row)
        else:
            end = _end_of(self._tower)
            if end not in row:
                return list(row[:1])
        return list(row[: row.index(end) + 1])

    def _stems(self, prefixes: Sequence[Sequence[int]]) -> _Stems:
        """Keys and values of the prefixes; the empty prefix is replaced by one token, which is masked out."""
        if len(prefixes) == 1:
            return []
        rows = [prefix or (0,) for prefix in prefixes]
        placed = [_Placed(block, 0, [0], 0, 0) for row in rows for block in plan_blocks([row])]
        kept: _Stems = []
        self._run(self._pass(placed, [0], 0), [], kept)
        return kept

    def _vectors(self, placed: Sequence[_Placed], lengths: Sequence[int], stems: _Stems) -> Sequence[Tensor]:
        """The vectors (rows, size) of each block."""
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
        """The last layer's normed output (rows, width) at the ends of rows; keys and values are appended to `kept`."""
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
            if layer == len(self._blocks) - 1:  # the others are no longer needed
                x, seen = x.flatten(0, 1)[batch.ends], seen.flatten(0, 1)[batch.ends]
            x = x + block.ls_1(block.attn.out_proj(seen))
            x = x + block.ls_2(block.mlp(block.ln_2(x)))
        normed: Tensor = tower.ln_final(x)
        return normed


def _fitting(placed: Sequence[_Placed], tokens: int) -> int:
    """How many blocks, padded to the longest, fit into a pass of `tokens` tokens; at least one."""
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
    """The vectors in the original order of their rows."""
    if not parts:
        return torch.empty(0, 0)
    vectors = torch.cat(list(parts))
    ordered = torch.empty_like(vectors)
    ordered[list(rows)] = vectors
    return ordered
