"""What the tests of the service share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import services
import tiny_models
from services import Gated, Running

from unprompt.bank.building import build_bank
from unprompt.serve.settings import Settings
from unprompt.towers.embedded import EmbeddedPair

PROMPTS = ("a cat on the moon", "a red dog", "a blue painting of the sea", "an old castle", "a bowl of fruit")


@pytest.fixture(scope="session")
def preset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A preset whose only member is a tiny regressor."""
    folder = tmp_path_factory.mktemp("preset")
    return tiny_models.preset(folder / "tiny.toml", tiny_models.regressor(folder / "linear.tiny"))


@pytest.fixture(scope="module")
def service(preset: Path) -> Iterator[Running]:
    """A service of the tiny preset, with the bank of the package."""
    with services.running(Settings(preset=str(preset), file_limit_mb=0.2, body_limit_mb=1.0, pictures=6)) as running:
        yield running


@pytest.fixture
def gated(preset: Path) -> Iterator[tuple[Running, Gated]]:
    """A service with room for four pictures, whose models wait at a gate that is open at first."""
    unprompter = Gated(preset)
    settings = Settings(preset=str(preset), queue=4, batch_size=2, request_timeout_s=30)
    with services.running(settings, unprompter) as running:
        unprompter.batches.clear()
        try:
            yield running, unprompter
        finally:
            unprompter.gate.set()


@pytest.fixture(scope="session")
def bank(tmp_path_factory: pytest.TempPathFactory, towers: EmbeddedPair) -> Path:
    """A bank of a few prompts."""
    folder = tmp_path_factory.mktemp("banks") / "few.bank"
    build_bank(PROMPTS, folder, towers)
    return folder


@pytest.fixture(scope="module")
def searching(preset: Path, bank: Path) -> Iterator[Running]:
    """A service with a bank."""
    with services.running(Settings(preset=str(preset), bank=str(bank))) as running:
        yield running
