"""The network that turns a vector back into a sentence (torch; for training and export only).

A small causal transformer. Learned projections of the vector, and of what is seen in the picture, are added before
every block, so that each step can compare the target with the text so far. For prediction its ONNX export runs in
`unprompt.text.decoder`.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unprompt.prediction import EMBEDDING_SIZE, STYLES

NEW = ("concepts.", "styles.", ".sight.")
"""Parts of the names of weights that a decoder without sight does not have."""


class Block(nn.Module):
    """Pre-norm attention and feed-forward over cached keys and values."""

    def __init__(self, width: int, heads: int, dropout: float, *, sees: bool) -> None:
        super().__init__()
        self.heads = heads
        self.condition = nn.Linear(EMBEDDING_SIZE, width)
        self.sight = nn.Linear(width, width, bias=False) if sees else None
        self.norm_attention = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.norm_feed = nn.LayerNorm(width)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def initialise(self, depth: int) -> None:
        """Initialise the weights whose scale matters in a stack of `depth` blocks."""
        *_, last = (module for module in self.feed if isinstance(module, nn.Linear))
        for linear in (self.output, last):  # as in GPT-2: keeps the residual stream's scale at any depth
            nn.init.normal_(linear.weight, std=0.02 / math.sqrt(2 * depth))
        # Entries of unit vectors of 384 numbers are about 0.05: without this, tokens would drown them out.
        nn.init.normal_(self.condition.weight, std=0.1)
        if self.sight is not None:
            nn.init.zeros_(self.sight.weight)  # a decoder that did not see begins as it was

    def forward(
        self, x: Tensor, vector: Tensor, past: Tensor | None, seen: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """x (batch, length, width), vector (batch, 384), seen (batch, width).

        past (2, batch, heads, before, width / heads) or None.
        """
        batch, length, width = x.shape
        condition = self.condition(vector)
        if self.sight is not None and seen is not None:
            condition = condition + self.sight(seen)
        x = x + condition.unsqueeze(1)
        shape = (batch, length, 3, self.heads, width // self.heads)
        query, key, value = self.query_key_value(self.norm_attention(x)).view(shape).permute(2, 0, 3, 1, 4).unbind(0)
        if past is not None:
            key, value = torch.cat([past[0], key], dim=2), torch.cat([past[1], value], dim=2)
        # With a past, tokens come one at a time and may attend to all of it: only whole sentences need a causal mask.
        seen = F.scaled_dot_product_attention(query, key, value, is_causal=past is None)
        x = x + self.dropout(self.output(seen.transpose(1, 2).reshape(batch, length, width)))
        x = x + self.dropout(self.feed(self.norm_feed(x)))
        return x, torch.stack([key, value])


class SentenceDecoder(nn.Module):
    """Computes logits of the next token of a sentence, given its all-MiniLM-L6-v2 vector.

    With `concepts`, their number, it also sees their probabilities in the picture, and the style to write in.
    """

    def __init__(
        self,
        *,
        vocabulary_size: int,
        max_length: int,
        width: int,
        depth: int,
        heads: int,
        dropout: float = 0.0,
        concepts: int = 0,
    ) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary_size, width)
        self.positions = nn.Embedding(max_length, width)
        self.blocks = nn.ModuleList(Block(width, heads, dropout, sees=concepts > 0) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.concepts = nn.Linear(concepts, width) if concepts else None
        self.styles = nn.Embedding(len(STYLES), width) if concepts else None
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
        for module in self.modules():
            if isinstance(module, Block):
                module.initialise(len(self.blocks))
        if self.concepts is not None:
            nn.init.normal_(self.concepts.weight, std=0.2)  # few probabilities of a picture are not near 0

    def forward(
        self,
        tokens: Tensor,
        vector: Tensor,
        past: Tensor | None = None,
        concepts: Tensor | None = None,
        style: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Logits (batch, length, vocabulary), and the cache with `length` more positions.

        tokens (batch, length) int64; vector (batch, 384); past (depth, 2, batch, heads, before, width / heads), which
        requires one token at a time; concepts (batch, number), 0 to 1; style (batch,) int64, a place in `STYLES`.
        """
        seen = None
        if self.concepts is not None and self.styles is not None and concepts is not None and style is not None:
            # The root brings improbable concepts nearer to the others.
            seen = self.concepts(concepts.sqrt()) + self.styles(style)
        before = 0 if past is None else past.shape[4]
        positions = torch.arange(tokens.shape[1], device=tokens.device) + before
        x = self.tokens(tokens) + self.positions(positions)
        present = []
        for index, block in enumerate(self.blocks):
            x, keys_values = block(x, vector, None if past is None else past[index], seen)
            present.append(keys_values)
        return F.linear(self.norm(x), self.tokens.weight), torch.stack(present)
