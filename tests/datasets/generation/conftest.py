"""The tiny pipeline, which costs a second to make."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny Stable Diffusion."""
    pytest.importorskip("diffusers")
    import tiny_pipeline

    return tiny_pipeline.save(tmp_path_factory.mktemp("models") / "tiny")
