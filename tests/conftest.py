"""What all tests share."""

import os

# Before numpy, onnxruntime or torch is imported: they read it once. Two threads on busy cores are slower than one.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# No test reaches for the network, whatever the libraries under test would like to look up.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parent.parent

# The same examples on every run, and no stopwatch: CI shares its cores.
hypothesis.settings.register_profile("unprompt", derandomize=True, deadline=None)
hypothesis.settings.load_profile("unprompt")


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def examples(root: Path) -> Path:
    """The folder of pictures that the project ships."""
    return root / "examples"


@pytest.fixture(scope="session")
def shared(root: Path) -> Path:
    """The folder of data that is not part of the project: $UNPROMPT_SHARED, or `shared` beside the repository."""
    folder = Path(os.environ.get("UNPROMPT_SHARED", root.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no data folder {folder}: set UNPROMPT_SHARED to where it is")
    return folder
