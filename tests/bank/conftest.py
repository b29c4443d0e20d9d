"""What the tests of banks share."""

import sys
from pathlib import Path

import numpy as np
import pytest

# With importmode=importlib the tests are not on the path.
sys.path.insert(0, str(Path(__file__).parent.parent))

from unprompt.bank.bank import Bank
from unprompt.bank.building import build_bank
from unprompt.interrogation.embedded_pair import EmbeddedPair

THINGS = ("fox", "ship", "tower", "old man", "bowl of ramen", "astronaut", "garden", "robot")
PLACES = ("in deep snow", "at night", "by the sea", "on the moon", "in a forest")
STYLES = ("oil painting", "photo, 35mm", "watercolour", "trending on artstation")


def prompts(count: int) -> list[str]:
    """Different prompts, always the same."""
    rng = np.random.default_rng(1)
    made = [f"{style} of a {thing} {place}" for style in STYLES for thing in THINGS for place in PLACES]
    return [f"{made[number % len(made)]}, number {number}" for number in rng.permutation(count)]


@pytest.fixture(scope="session")
def towers() -> EmbeddedPair:
    return EmbeddedPair(1)


@pytest.fixture(scope="session")
def bank(tmp_path_factory: pytest.TempPathFactory, towers: EmbeddedPair) -> Bank:
    """A bank of 300 prompts; not to be changed."""
    return build_bank(prompts(300), tmp_path_factory.mktemp("banks") / "small", towers, threads=1)
