"""What is counted, and what is logged."""

import logging
from pathlib import Path

import pytest
import services
from prometheus_client.parser import text_string_to_metric_families
from services import INFOTEXT, Running, png

from unprompt.serve.settings import Settings


def counted(running: Running, name: str, **labels: str) -> float:
    text = running.get("/metrics").text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())


def test_requests_and_pictures_are_counted(preset: Path) -> None:
    with services.running(Settings(preset=str(preset))) as running:
        files = [("file", ("a.png", png(1))), ("file", ("b.png", png(2, parameters=INFOTEXT))), ("file", ("c", b"no"))]
        running.post("/v1/predict", files=files)
        running.get("/secret/path")
        assert counted(running, "unprompt_requests_total", route="predict", status="200") == 1
        assert counted(running, "unprompt_requests_total", route="other", status="404") == 1
        assert counted(running, "unprompt_pictures_total", outcome="prediction") == 1
        assert counted(running, "unprompt_pictures_total", outcome="metadata") == 1
        assert counted(running, "unprompt_pictures_total", outcome="not-a-picture") == 1
        assert counted(running, "unprompt_batch_pictures_sum") == 3
        assert counted(running, "unprompt_queue_pictures") == 0
        assert counted(running, "unprompt_active_requests") == 1
        assert counted(running, "unprompt_request_seconds_count", route="predict") == 1


@pytest.mark.parametrize("told", [False, True])
def test_the_log_holds_no_prompts_unless_asked(preset: Path, caplog: pytest.LogCaptureFixture, told: bool) -> None:
    with (
        caplog.at_level(logging.INFO, logger="unprompt"),
        services.running(Settings(preset=str(preset), log_prompts=told)) as running,
    ):
        files = {"file": ("private-name.png", png(2, parameters=INFOTEXT))}
        running.post("/v1/predict?top=3", files=files)
        running.get("/private-path?private=query")
        running.assert_nothing_is_left()
    text = caplog.text
    assert "200 predict " in text
    assert "404 other " in text
    for private in ("private-path", "private=query", "top=3"):
        assert private not in text
    assert ("a cat on the moon" in text) == told
    assert ("private-name" in text) == told
