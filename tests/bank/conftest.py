"""What the tests of banks share."""

from pathlib import Path

import numpy as np
import pytest

from unprompt.bank.bank import Bank
from unprompt.bank.building import build_bank
from unprompt.towers.embedded import EmbeddedPair
from unprompt.towers.two_tower import TwoTower

THINGS = ("fox", "ship", "tower", "old man", "bowl of ramen", "astronaut", "garden", "robot")
PLACES = ("in deep snow", "at night", "by the sea", "on the moon", "in a forest")
STYLES = ("oil painting", "photo, 35mm", "watercolour", "trending on artstation")


def prompts(count: int) -> list[str]:
    """Different prompts, always the same."""
    rng = np.random.default_rng(1)
    made = [f"{style} of a {thing} {place}" for style in STYLES for thing in THINGS for place in PLACES]
    return [f"{made[number % len(made)]}, number {number}" for number in rng.permutation(count)]


@pytest.fixture(scope="session")
def bank(tmp_path_factory: pytest.TempPathFactory, towers: EmbeddedPair) -> Bank:
    """A bank of 300 prompts; not to be changed."""
    return build_bank(prompts(300), tmp_path_factory.mktemp("banks") / "small", towers, threads=1)


@pytest.fixture(scope="session")
def clip_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a tiny CLIP, as `clip_towers` takes it."""
    pytest.importorskip("torch")
    import tiny_open_clip
    from safetensors.torch import save_file

    path = tmp_path_factory.mktemp("clip") / "clip.safetensors"
    save_file({name: value.contiguous() for name, value in tiny_open_clip.build().state_dict().items()}, path)
    return path


@pytest.fixture(scope="session")
def clip_bank(tmp_path_factory: pytest.TempPathFactory, clip_weights: Path) -> Bank:
    """A bank of 60 prompts that are compared by a tiny CLIP; not to be changed."""
    return build_bank(prompts(60), tmp_path_factory.mktemp("banks") / "clip", clip_towers(clip_weights), threads=1)


def clip_towers(weights: Path, device: str = "cpu") -> TwoTower:
    """The tiny CLIP of a file; what it says of itself needs no such device."""
    import tiny_open_clip

    from unprompt.towers.open_clip import OpenClipTowers

    return OpenClipTowers("ViT-B-32.openai", weights=str(weights), options=tiny_open_clip.OPTIONS, device=device)
