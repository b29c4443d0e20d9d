"""What is to be drawn: each prompt, several times, in shards, the same on every machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

MAX_SEED = 2**32
"""Seeds stay below: what every other tool takes too."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """One picture to be made. `number` counts through the whole plan."""

    number: int
    prompt: str
    seed: int


@dataclass(frozen=True)
class Plan:
    """All pictures of a run: `seeds` of each prompt, in the order of the prompts, `shard_size` in a shard.

    The prompts are different from each other.
    """

    prompts: Sequence[str]
    seeds: int
    shard_size: int

    def __len__(self) -> int:
        return len(self.prompts) * self.seeds

    @property
    def shards(self) -> int:
        """How many shards that makes; the last one may be smaller."""
        return -(-len(self) // self.shard_size)

    def shard_range(self, shard: int) -> range:
        """The numbers of a shard's pictures."""
        return range(shard * self.shard_size, min((shard + 1) * self.shard_size, len(self)))

    def shard(self, shard: int) -> list[Drawing]:
        """A shard's pictures."""
        return [self._drawing(number) for number in self.shard_range(shard)]

    def _drawing(self, number: int) -> Drawing:
        prompt, turn = divmod(number, self.seeds)
        text = self.prompts[prompt]
        return Drawing(number, text, seed_of(text, turn))

    def digest(self) -> str:
        """A hash of the prompts in their order, 16 hexadecimal digits."""
        return hashlib.sha256(json.dumps(list(self.prompts)).encode()).hexdigest()[:16]


def seed_of(prompt: str, turn: int) -> int:
    """The seed of a prompt's picture number `turn`: it depends on these two alone, not on what else is drawn."""
    digest = hashlib.sha256(f"{turn}\0{prompt}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % MAX_SEED
