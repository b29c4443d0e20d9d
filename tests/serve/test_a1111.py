"""AUTOMATIC1111's dialect, as its clients send it."""

import base64
import io
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image
from services import INFOTEXT, Running, png

WRITTEN = png(2, parameters=INFOTEXT, Software="test")


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    "asked",
    [
        {"image": "data:image/png;base64," + encoded(png(1))},  # yar3333/aipainter: no model
        {"image": encoded(png(1)), "model": "clip"},  # mith-mmk/PromptCreator
        {"image": encoded(png(1)), "model": "clip", "unknown": 1},
    ],
)
def test_interrogate_answers_with_a_caption(service: Running, asked: dict[str, Any]) -> None:
    answer = service.post("/sdapi/v1/interrogate", json=asked)
    assert answer.json() == {"caption": service.post("/v1/predict", content=png(1)).json()["prompt"]}


def test_a_client_of_the_web_ui_works_unchanged(service: Running) -> None:
    webuiapi = pytest.importorskip("webuiapi", reason="the client webuiapi is not installed")
    address = urlsplit(service.url)
    client = webuiapi.WebUIApi(host=address.hostname, port=address.port)
    with Image.open(io.BytesIO(WRITTEN)) as picture:
        assert client.interrogate(picture).info
        assert client.png_info(picture).info == INFOTEXT
    assert "CLIP_stop_at_last_layers" in client.get_options()
    with pytest.raises(RuntimeError, match="expected PNG, JPEG"):
        client.interrogate(encoded(b"no picture"))


def test_png_info_of_a_written_file(service: Running) -> None:
    answer = service.post("/sdapi/v1/png-info", json={"image": encoded(WRITTEN)}).json()
    assert answer["info"] == INFOTEXT
    assert answer["items"] == {"Software": "test"}
    assert answer["parameters"]["Prompt"] == "a cat on the moon"
    assert answer["parameters"]["Negative prompt"] == "a dog"
    assert answer["parameters"]["Sampler"] == "Euler a"


def test_png_info_of_another_tool_is_written_as_infotext(service: Running) -> None:
    comment = '{"prompt": "a cat", "steps": 28, "scale": 5, "seed": 1, "uc": "a dog", "sampler": "k_euler"}'
    data = png(3, Software="NovelAI", Description="a cat", Comment=comment)
    answer = service.post("/sdapi/v1/png-info", json={"image": encoded(data)}).json()
    assert answer["info"].startswith("a cat\nNegative prompt: a dog\n")
    assert answer["parameters"]["Prompt"] == "a cat"


def test_png_info_of_nothing(service: Running) -> None:
    answer = service.post("/sdapi/v1/png-info", json={"image": encoded(png(1))}).json()
    assert answer == {"info": "", "items": {}, "parameters": {}}


def test_options(service: Running) -> None:
    options = service.get("/sdapi/v1/options").json()
    assert options["sd_model_checkpoint"] == "tiny"
    assert service.post("/sdapi/v1/options", json={"sd_model_checkpoint": "tiny"}).json() is None
    assert service.post("/sdapi/v1/options", json={"sd_model_checkpoint": "other"}).status_code == 404


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ({}, 404, "Image not found"),
        ({"image": ""}, 404, "Image not found"),
        ({"image": encoded(png(1)), "model": "deepdanbooru"}, 404, "Model not found"),
        ({"image": encoded(b"no picture at all")}, 422, "expected PNG"),
        ({"image": "?"}, 400, "expected a picture as base64"),
        ({"image": "https://example.com/a.png"}, 403, "found an address"),
    ],
)
def test_errors_have_its_form(service: Running, asked: dict[str, Any], status: int, words: str) -> None:
    answer = service.post("/sdapi/v1/interrogate", json=asked)
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "detail", "body", "errors"}
    assert words in answer.json()["detail"]


def test_a_body_that_is_no_json_is_a_400(service: Running) -> None:
    assert service.post("/sdapi/v1/interrogate", content=b"{").status_code == 400
    assert service.post("/sdapi/v1/interrogate", files={"image": ("a.png", png(1))}).status_code == 400
