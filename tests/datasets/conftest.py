"""What the tests of data sets share."""

from pathlib import Path

import pytest


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the library `datasets` keeps what it made: not in the home of who runs the tests."""
    config = pytest.importorskip("datasets.config")
    monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path / "hub cache")
    return tmp_path / "hub cache"
