"""The native dialect, asked over real connections."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import services
from services import INFOTEXT, Running, png

from unprompt.output.records import to_record
from unprompt.unprompter import load


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("kind", ["image/png", "application/octet-stream", "application/x-www-form-urlencoded", None])
def test_a_raw_body_is_a_picture(service: Running, kind: str | None, method: str) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    answer = service.client.request(method, "/v1/predict", content=png(1), headers=headers)
    assert answer.status_code == 200
    assert answer.json()["source"] == "picture"


def test_the_record_is_that_of_the_command_line(service: Running, preset: Path) -> None:
    (expected,) = load(preset, threads=1).predict(png(1), top=3)
    record = service.post("/v1/predict?top=3&embedding=true", content=png(1)).json()
    assert record == to_record(expected, embedding=True) | {"source": "picture"}
    assert len(record["candidates"]) <= 3


def test_a_written_prompt_is_the_answer(service: Running) -> None:
    record = service.post("/v1/predict", content=png(1, parameters=INFOTEXT)).json()
    assert record["origin"] == "metadata"
    assert record["prompt"] == "a cat on the moon"
    record = service.post("/v1/predict?ignore_metadata=true", content=png(1, parameters=INFOTEXT)).json()
    assert record["origin"] == "prediction"


def test_a_written_prompt_is_the_answer_though_the_pixels_are_cut_off(service: Running) -> None:
    written = png(1, parameters=INFOTEXT)
    for data in (written[: written.index(b"IDAT") + 20], written):
        assert service.post("/v1/predict", content=data).json()["prompt"] == "a cat on the moon"
        assert service.post("/v1/metadata", content=data).json()["prompt"] == "a cat on the moon"


def test_several_parts_give_results_in_order(service: Running) -> None:
    files = [("file", (name, data)) for name, data in (("a.png", png(1)), ("b.png", b"no picture"), ("c.png", png(2)))]
    results = service.post("/v1/predict", files=files).json()["results"]
    assert [record["source"] for record in results] == ["a.png", "b.png", "c.png"]
    assert results[1]["error"]["kind"] == "not-a-picture"
    assert results[1]["position"] == 1
    assert results[0]["prompt"]


def test_a_form_may_hold_options(service: Running) -> None:
    record = service.post("/v1/predict", files={"file": ("a.png", png(1))}, data={"text": "false"}).json()
    assert record["prompt"] == ""


@pytest.mark.parametrize("place", ["query", "form", "json"])
def test_words_come_in_the_style_that_is_asked_for(service: Running, place: str) -> None:
    asked: dict[str, dict[str, Any]] = {
        "query": {"files": {"file": png(1)}, "params": {"style": "tags"}},
        "form": {"files": {"file": png(1)}, "data": {"style": "tags"}},
        "json": {"json": {"images": encoded(png(1)), "style": "tags"}},
    }
    record = service.client.post("/v1/predict", **asked[place]).json()
    assert record["model"]["style"] == "tags"
    assert "style" not in service.post("/v1/predict", files={"file": png(1)}).json()["model"]
    refused = service.client.post("/v1/predict", content=png(1), params={"style": "haiku"})
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "style"
    assert service.get("/v1/models").json()["styles"] == ["prompt", "sentence", "tags"]


@pytest.mark.parametrize("form", ["{}", "data:image/png;base64,{}", "data:;charset=utf-8;base64,{}", " {}\n"])
def test_json_holds_base64_or_data_uris(service: Running, form: str) -> None:
    asked = {"images": [form.format(encoded(png(1))), encoded(png(2))], "top": 1}
    results = service.post("/v1/predict", json=asked).json()["results"]
    assert [record["source"] for record in results] == ["picture 0", "picture 1"]
    assert all(len(record["candidates"]) == 1 for record in results)


def test_unpadded_and_urlsafe_base64_is_read(service: Running) -> None:
    text = base64.urlsafe_b64encode(png(3)).decode().rstrip("=")
    assert service.post("/v1/predict", json={"images": text}).status_code == 200


def test_a_stream_has_a_line_for_each(service: Running) -> None:
    files = [("file", (f"{n}.png", png(n) if n != 2 else b"nothing")) for n in range(5)]
    answer = service.post("/v1/predict", files=files, headers={"Accept": "application/x-ndjson"})
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    lines = services.lines_of(answer.text)
    assert sorted(line["position"] for line in lines) == [0, 1, 2, 3, 4]
    assert all(line["source"] == f"{line['position']}.png" for line in lines)
    assert [line["position"] for line in lines if "error" in line] == [2]
    service.assert_nothing_is_left()


def test_a_picture_that_cannot_be_read_is_a_422(service: Running) -> None:
    answer = service.post("/v1/predict", content=png(1)[:60], headers={"Content-Type": "image/png"})
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["kind"] == error["type"] == "truncated"
    assert error["message"].startswith("expected ")


def test_metadata_needs_no_model(service: Running) -> None:
    files = [("file", ("a.png", png(1, parameters=INFOTEXT))), ("file", ("b.png", png(1))), ("file", ("c.txt", b"no"))]
    first, second, third = service.post("/v1/metadata", files=files).json()["results"]
    assert (first["tool"], first["prompt"]) == ("AUTOMATIC1111", "a cat on the moon")
    assert (second["tool"], second["prompt"]) == (None, None)
    assert third["error"]["kind"] == "not-a-picture"


def test_prompts_are_scored(service: Running, preset: Path) -> None:
    prompts = ["a cat", "a dog", "the sea"]
    expected = [round(score.similarity, 6) for score in load(preset, threads=1).score(png(4), prompts)]
    for sent in (
        {"files": {"file": ("a.png", png(4))}, "data": {"prompt": prompts}},
        {"json": {"image": encoded(png(4)), "prompts": prompts}},
    ):
        scores = service.post("/v1/score", **sent).json()["scores"]
        assert [score["text"] for score in scores] == prompts
        assert [score["similarity"] for score in scores] == pytest.approx(expected, abs=2e-6)


def test_the_live_score_of_the_page_is_the_cosine(service: Running) -> None:
    record = service.post("/v1/predict?embedding=true", content=png(4)).json()
    text = service.post("/v1/embeddings", json={"input": record["prompt"]}).json()["data"][0]["embedding"]
    assert np.dot(record["embedding"], text) == pytest.approx(record["self_similarity"], abs=1e-5)


@pytest.mark.parametrize("query", ["text", "embedding", "image"])
def test_similar_prompts_are_found(searching: Running, query: str) -> None:
    picture = encoded(png(4))
    vectors = searching.post("/v1/embeddings", json={"input": "a cat on the moon"}).json()["data"][0]["embedding"]
    value = {"text": "a cat on the moon", "embedding": vectors, "image": picture}[query]
    results = searching.post("/v1/similar", json={query: value, "n": 3}).json()["results"]
    assert len(results) == 3
    assert results == sorted(results, key=lambda found: -found["similarity"])
    if query != "image":
        assert results[0]["text"] == "a cat on the moon"
        assert results[0]["similarity"] == pytest.approx(1, abs=1e-3)


def test_similar_takes_a_form_and_a_raw_body(searching: Running) -> None:
    by_form = searching.post("/v1/similar", files={"file": ("a.png", png(4))}, data={"n": "2"}).json()
    assert by_form == searching.post("/v1/similar?n=2", content=png(4)).json()


def test_similar_searches_the_bank_of_the_package_unless_another_is_named(service: Running) -> None:
    results = service.post("/v1/similar", json={"text": "a photo of a cat", "n": 3}).json()["results"]
    assert len(results) == 3
    assert all("cat" in result["text"] for result in results)
    assert service.get("/v1/models").json()["bank"]["name"] == "prompt_bank.unprompt"


def test_lone_surrogates_come_through(service: Running) -> None:
    body = json.dumps({"image": encoded(png(1)), "prompts": ["a \ud800 cat"]})
    answer = service.post("/v1/score", content=body, headers={"Content-Type": "application/json"})
    assert answer.json()["scores"][0]["text"] == "a \ud800 cat"
