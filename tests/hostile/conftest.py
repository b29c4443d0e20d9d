"""What the tests of a hostile folder share."""

import sys
from pathlib import Path

import pytest
import tiny_models

if sys.platform != "linux":  # pipes, devices, /proc, and names that are any bytes
    collect_ignore = ["test_folder.py"]


@pytest.fixture(scope="session")
def preset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A preset whose only member is a tiny regressor."""
    folder = tmp_path_factory.mktemp("preset")
    return tiny_models.preset(folder / "tiny.toml", tiny_models.regressor(folder / "linear.tiny"))
