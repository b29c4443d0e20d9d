"""The plan of a run: which picture to draw from which prompt and seed, in which shard, the same on every machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

MAX_SEED = 2**32
"""Seeds stay below this, so that other tools accept them."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """One picture to draw. `number` is its index in the whole plan."""

    number: int
    prompt: str
    seed: int


@dataclass(frozen=True)
class Plan:
    """All pictures of a run: `seeds` pictures per prompt, in order of the prompts, `shard_size` pictures per shard.

    The prompts must be distinct.
    """

    prompts: Sequence[str]
    seeds: int
    shard_size: int

    def __len__(self) -> int:
        return len(self.prompts) * self.seeds

    @property
    def shards(self) -> int:
        """The number of shards; the last one may be smaller."""
        return -(-len(self) // self.shard_size)

    def shard_range(self, shard: int) -> range:
        """The numbers of a shard's pictures."""
        return range(shard * self.shard_size, min((shard + 1) * self.shard_size, len(self)))

    def shard(self, shard: int) -> list[Drawing]:
        """The drawings of a shard."""
        return [self._drawing(number) for number in self.shard_range(shard)]

    def _drawing(self, number: int) -> Drawing:
        prompt, turn = divmod(number, self.seeds)
        text = self.prompts[prompt]
        return Drawing(number, text, seed_of(text, turn))

    def digest(self) -> str:
        """A hash of the prompts in order, 16 hexadecimal digits."""
        return hashlib.sha256(json.dumps(list(self.prompts)).encode()).hexdigest()[:16]


def seed_of(prompt: str, turn: int) -> int:
    """The seed of picture number `turn` of a prompt; it depends on nothing else."""
    digest = hashlib.sha256(f"{turn}\0{prompt}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % MAX_SEED
