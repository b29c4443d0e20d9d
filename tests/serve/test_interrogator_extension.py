"""The dialect of CLIP Interrogator's extension."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import services
import vocabularies
from services import Running, png

from unprompt.interrogation.captions import open_captioner
from unprompt.interrogation.interrogator import Interrogator
from unprompt.serve.settings import Settings
from unprompt.towers.embedded import EmbeddedPair
from unprompt.vocabulary.vocabulary import load_vocabulary

PICTURE = base64.b64encode(png(1)).decode()


@pytest.fixture(scope="module")
def interrogating(preset: Path, tmp_path_factory: pytest.TempPathFactory, towers: EmbeddedPair) -> Iterator[Running]:
    """A service whose interrogator has a small vocabulary, since ours takes a minute to encode."""
    folder = vocabularies.write(tmp_path_factory.mktemp("vocabulary"))
    interrogator = Interrogator(towers, load_vocabulary([str(folder)]), open_captioner("embedded", 1))
    with services.running(Settings(preset=str(preset))) as running:
        running.service.interrogators._interrogator = interrogator
        yield running


def test_models_are_listed(interrogating: Running) -> None:
    assert interrogating.get("/interrogator/models").json() == ["embedded"]


@pytest.mark.parametrize("mode", ["best", "fast", "classic", "negative", None])
def test_prompts_in_each_mode(interrogating: Running, mode: str | None) -> None:
    asked = {"image": PICTURE, "clip_model_name": "ViT-L-14/openai"} | ({} if mode is None else {"mode": mode})
    answer = interrogating.post("/interrogator/prompt", json=asked)
    assert answer.status_code == 200
    assert isinstance(answer.json()["prompt"], str)
    assert answer.headers["X-Unprompt-Model"] == "embedded"


def test_an_analysis_has_its_five_lists(interrogating: Running) -> None:
    lists = interrogating.post("/interrogator/analyze", json={"image": PICTURE}).json()
    assert list(lists) == ["medium", "artist", "movement", "trending", "flavor"]
    assert 0 < len(lists["flavor"]) <= 5
    assert all(-1 <= cosine <= 1 for cosine in lists["medium"].values())


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"image": ""}, 404),
        ({"image": PICTURE, "clip_model_name": "ViT-H-14/laion2b_s32b_b79k"}, 404),
        ({"image": PICTURE, "mode": "poetic"}, 400),
        ({"image": base64.b64encode(b"no picture at all").decode()}, 422),
    ],
)
def test_refusals_are_no_prompts(interrogating: Running, asked: dict[str, Any], status: int) -> None:
    answer = interrogating.post("/interrogator/prompt", json=asked)
    assert answer.status_code == status
    assert set(answer.json()) == {"detail"}


def test_the_first_request_begins_to_load(preset: Path) -> None:
    """A model that cannot be loaded is said once it is known; before that, to ask again."""
    with services.running(Settings(preset=str(preset), clip="ViT-B-32.nothing")) as running:
        first = running.post("/interrogator/prompt", json={"image": PICTURE})
        assert first.status_code == 503
        assert first.headers["Retry-After"] == "10"
        services.wait_for(lambda: running.post("/interrogator/prompt", json={"image": PICTURE}).status_code != 503)
        assert "ViT-B-32" in running.post("/interrogator/prompt", json={"image": PICTURE}).json()["detail"]
