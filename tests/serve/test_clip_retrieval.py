"""clip-retrieval's dialect, as clip-front sends it."""

import base64
from typing import Any

import pytest
from services import Running, png

ASKED = {
    "text": None,
    "image": None,
    "image_url": None,
    "embedding_input": None,
    "modality": "image",
    "num_images": 2,
    "num_result_ids": 3,
    "indice_name": "few.bank",
    "deduplicate": True,
    "use_safety_model": True,
    "use_violence_detector": True,
    "aesthetic_score": "",
    "aesthetic_weight": "0.5",
}


def test_texts_find_their_neighbours(searching: Running) -> None:
    found = searching.post("/knn-service", json={**ASKED, "text": "a red dog"}).json()
    assert len(found) == 3
    assert found[0]["caption"] == "a red dog"
    assert found[0]["similarity"] == pytest.approx(1, abs=1e-3)
    assert "caption" not in found[2]  # past num_images there are ids alone


def test_vectors_and_pictures_find_theirs(searching: Running) -> None:
    vector = searching.post("/v1/embeddings", json={"input": "a red dog"}).json()["data"][0]["embedding"]
    assert searching.post("/knn-service", json={**ASKED, "embedding_input": vector}).json()[0]["caption"] == "a red dog"
    picture = base64.b64encode(png(1)).decode()
    assert len(searching.post("/knn-service", json={**ASKED, "image": picture}).json()) == 3


def test_indices_and_metadata(searching: Running) -> None:
    assert searching.get("/indices-list").json() == ["few.bank"]
    asked = {"ids": [1, 0], "indice_name": "few.bank"}
    assert searching.post("/metadata", json=asked).json() == [
        {"id": 1, "metadata": {"caption": "a red dog"}},
        {"id": 0, "metadata": {"caption": "a cat on the moon"}},
    ]


@pytest.mark.parametrize(
    ("path", "asked", "status"),
    [
        ("/knn-service", ASKED, 400),
        ("/knn-service", {**ASKED, "embedding_input": [1.0] * 768}, 400),
        ("/knn-service", {**ASKED, "embedding_input": [0] * 384}, 400),
        ("/knn-service", {**ASKED, "text": "a", "num_images": 10**6}, 400),
        ("/knn-service", {**ASKED, "image_url": "http://127.0.0.1/a.png"}, 403),
        ("/knn-service", {**ASKED, "image": base64.b64encode(b"no picture at all").decode()}, 422),
        ("/metadata", {"ids": [5]}, 400),
        ("/metadata", {"ids": [-1]}, 400),
        ("/metadata", {"ids": [True]}, 400),
    ],
)
def test_refusals_have_its_form(searching: Running, path: str, asked: dict[str, Any], status: int) -> None:
    answer = searching.post(path, json=asked)
    assert answer.status_code == status
    assert answer.json()["message"].startswith(("expected ", "picture: expected "))
