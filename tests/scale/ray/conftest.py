"""What the tests on a Ray cluster share."""

from pathlib import Path
from typing import Any

import kills
import pytest
import tiny_models
from ray_clusters import cluster, ray  # noqa: F401 - fixtures

from unprompt.images.ref import ImageRef
from unprompt.images.sources import image_refs
from unprompt.scale.ray.answerer import Asked


@pytest.fixture(scope="session")
def preset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A preset whose only member is a tiny regressor."""
    folder = tmp_path_factory.mktemp("preset")
    return tiny_models.preset(folder / "tiny.toml", tiny_models.regressor(folder / "linear.tiny"))


@pytest.fixture(scope="session")
def asked(preset: Path) -> Asked:
    """What is asked of each picture."""
    return Asked(preset_text=preset.read_text(), preset_file=str(preset), text=False, embedding=True)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 20 pictures: copies, a broken one, some that hold their prompts."""
    return kills.make_pictures(tmp_path_factory.mktemp("pictures"), 20)


@pytest.fixture
def refs(pictures: Path) -> list[ImageRef]:
    """The pictures of the folder."""
    return list(image_refs(pictures))


@pytest.fixture(scope="session")
def records(asked: Asked, pictures: Path) -> list[dict[str, Any]]:
    """The records of the pictures, as one process makes them."""
    from unprompt.output.records import to_record

    answers = asked.unprompter().predict(pictures, text=False)
    return [to_record(answer, embedding=True) for answer in answers]
