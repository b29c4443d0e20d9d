"""Lets the tests of this folder import `dataset_layouts`: with importmode=importlib the tests are not on the path."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the library `datasets` keeps what it made: not in the home of who runs the tests."""
    config = pytest.importorskip("datasets.config")
    monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path / "hub cache")
    return tmp_path / "hub cache"
