"""Drawing with a real pipeline of tiny size."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unprompt.datasets.generation.plan import Drawing, Plan
from unprompt.datasets.generation.settings import Settings
from unprompt.datasets.generation.shards import Drawn
from unprompt.errors import NoRoomError

pytestmark = pytest.mark.torch

PLAN = Plan(["a red cat", "a castle", "word " * 80, "the sea"], 2, 100)
SETTINGS = Settings(
    model="tiny",
    precision="fp32",
    steps=3,
    guidance=7.5,
    size=32,
    save_size=32,
    format="png",
    prompts=PLAN.digest(),
    seeds=2,
    shard_size=100,
)


@pytest.fixture
def pipeline(tiny_model: Path) -> Any:
    from unprompt.datasets.generation.pipeline import choose_device, load_pipeline

    return load_pipeline(
        str(tiny_model), device=choose_device("cpu"), precision="fp32", offline=True, report=pytest.fail
    )


def draw(pipeline: Any, drawings: Sequence[Drawing], batch_size: int, **changes: Any) -> list[Drawn]:
    from unprompt.datasets.generation.painter import Painter

    painter = Painter(pipeline, replace(SETTINGS, **changes), batch_size=batch_size, report=pytest.fail)
    return list(painter.draw(drawings))


def pixels(drawn: Drawn) -> np.ndarray:
    assert drawn.picture is not None
    return np.asarray(drawn.picture).astype(int)


def test_a_picture_is_the_same_alone_in_a_batch_and_in_any_order(pipeline: Any) -> None:
    drawings = PLAN.shard(0)
    alone = {drawing: pixels(drawn) for drawing, drawn in zip(drawings, draw(pipeline, drawings, 1), strict=True)}
    again = draw(pipeline, drawings, 1)
    assert all((alone[drawing] == pixels(drawn)).all() for drawing, drawn in zip(drawings, again, strict=True))
    for batch_size, order in ((3, drawings), (8, drawings[::-1])):
        for drawing, drawn in zip(order, draw(pipeline, order, batch_size), strict=True):
            assert abs(pixels(drawn) - alone[drawing]).max() <= 1, drawing


def test_prompt_and_seed_make_the_picture(pipeline: Any) -> None:
    drawings = [Drawing(0, "a red cat", 1), Drawing(1, "a red cat", 2), Drawing(2, "a castle", 1)]
    first, other_seed, other_prompt = map(pixels, draw(pipeline, drawings, 1))
    assert abs(first - other_seed).mean() > 10
    assert abs(first - other_prompt).max() > 1
    assert first.std() > 10


@pytest.mark.parametrize("change", [{"steps": 5}, {"guidance": 1.0}])
def test_settings_reach_the_pipeline(pipeline: Any, change: dict[str, Any]) -> None:
    drawings = PLAN.shard(0)[:1]
    (before,), (after,) = draw(pipeline, drawings, 1), draw(pipeline, drawings, 1, **change)
    assert abs(pixels(before) - pixels(after)).max() > 1


def test_the_scheduler_is_the_one_that_records_name(pipeline: Any) -> None:
    assert type(pipeline.scheduler).__name__ == "DPMSolverMultistepScheduler"
    assert pipeline.scheduler.config.algorithm_type == SETTINGS.scheduler
    assert pipeline.scheduler.config.beta_schedule == "scaled_linear"  # what the model was trained with stays


def test_pictures_are_reduced(pipeline: Any) -> None:
    (drawn,) = draw(pipeline, PLAN.shard(0)[:1], 1, save_size=16)
    assert drawn.picture is not None
    assert drawn.picture.size == (16, 16)


def test_prompts_that_are_too_long_are_noted(pipeline: Any) -> None:
    assert [drawn.truncated for drawn in draw(pipeline, PLAN.shard(0), 8)] == [*[False] * 4, True, True, False, False]


def broken(value: float, pipeline: Any) -> Any:
    for parameter in pipeline.vae.decoder.conv_out.parameters():
        parameter.data.fill_(0.0)
    pipeline.vae.decoder.conv_out.bias.data.fill_(value)
    return pipeline


def test_black_pictures_are_not_kept(pipeline: Any) -> None:
    assert draw(broken(-9.0, pipeline), PLAN.shard(0)[:2], 2) == [Drawn(None, fault="black")] * 2


def test_pictures_that_are_not_finite_are_not_kept_and_told_once(pipeline: Any) -> None:
    from unprompt.datasets.generation.painter import Painter

    said: list[str] = []
    painter = Painter(broken(float("nan"), pipeline), SETTINGS, batch_size=1, report=said.append)
    assert list(painter.draw(PLAN.shard(0)[:2])) == [Drawn(None, fault="not-finite")] * 2
    assert len(said) == 1
    assert "fp32 may be too coarse" in said[0]


class Crowded:
    """A pipeline on a device that has room for so many pictures at once."""

    def __init__(self, pipeline: Any, room: int) -> None:
        self.pipeline, self.room, self.tokenizer = pipeline, room, pipeline.tokenizer
        self.tried: list[int] = []

    def __call__(self, prompts: list[str], **options: Any) -> Any:
        import torch

        self.tried.append(len(prompts))
        if len(prompts) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.pipeline(prompts, **options)


def test_batches_halve_while_memory_runs_out(pipeline: Any) -> None:
    from unprompt.datasets.generation.painter import Painter

    said: list[str] = []
    crowded = Crowded(pipeline, 2)
    painter = Painter(crowded, SETTINGS, batch_size=8, report=said.append)
    for _ in range(2):
        assert len(list(painter.draw(PLAN.shard(0)[:7]))) == 7
    assert crowded.tried == [7, 4, *[2, 2, 2, 1] * 2]
    assert said == ["the device has no room for 7 pictures at once: going on with fewer"]


def test_no_memory_for_a_single_picture(pipeline: Any) -> None:
    from unprompt.datasets.generation.painter import Painter

    painter = Painter(Crowded(pipeline, 0), SETTINGS, batch_size=2, report=[].append)
    with pytest.raises(NoRoomError, match=r"no room for one picture; free its memory or choose a smaller --size"):
        list(painter.draw(PLAN.shard(0)))


def test_the_digest_tells_what_was_loaded(tiny_model: Path, pipeline: Any) -> None:
    from unprompt.datasets.generation.painter import weights_digest
    from unprompt.datasets.generation.pipeline import choose_device, load_pipeline

    def load(precision: str) -> Any:
        device = choose_device("cpu")
        return load_pipeline(str(tiny_model), device=device, precision=precision, offline=True, report=pytest.fail)

    assert weights_digest(load("fp32")) == weights_digest(pipeline) != weights_digest(load("bf16"))
    before = weights_digest(pipeline)
    pipeline.vae.decoder.conv_out.bias.data[0] += 1e-6
    assert weights_digest(pipeline) != before
    other = load("fp32")
    other.scheduler.register_to_config(prediction_type="v_prediction")
    assert weights_digest(other) != before
