"""The description says what the service does, and the page /docs says the same."""

import re
from typing import Any

import pytest
from services import INFOTEXT, Running, png

from unprompt.serve.app import routes
from unprompt.serve.openapi import description

ALIASES = {"/embeddings", "/chat/completions", "/models", "/v1/models/tiny", "/docs.css"}


def test_every_route_is_described(service: Running) -> None:
    described = set(description()["paths"])
    served = {path for path in routes(service.service) if path != "/" and not path.startswith("/static/")}
    assert served - ALIASES == described
    assert described == set(service.get("/openapi.json").json()["paths"])


def test_every_method_is_served(service: Running) -> None:
    table = routes(service.service)
    for path, methods in description()["paths"].items():
        assert {method.upper() for method in methods} <= set(table[path].methods)


def test_references_lead_somewhere() -> None:
    told = description()
    names = re.findall(r"'#/components/schemas/(\w+)'", str(told))
    assert set(names) <= set(told["components"]["schemas"])


def test_records_hold_what_is_described(service: Running) -> None:
    properties: dict[str, Any] = description()["components"]["schemas"]
    record = service.post("/v1/predict?embedding=true", content=png(1)).json()
    assert set(record) <= set(properties["Record"]["properties"])
    written = png(1, parameters=INFOTEXT)
    assert set(service.post("/v1/predict", content=written).json()) <= set(properties["Record"]["properties"])
    assert set(service.post("/v1/metadata", content=written).json()) <= set(properties["Metadata"]["properties"])
    failure = service.post("/v1/predict", content=png(1)[:50], headers={"Content-Type": "image/png"}).json()
    assert set(failure) <= set(properties["Failure"]["properties"])


@pytest.mark.parametrize("part", ["/v1/predict", "ignore_metadata=false", "Retry-After", "X-Unprompt-Note"])
def test_the_page_for_people_says_the_same(service: Running, part: str) -> None:
    answer = service.get("/docs")
    assert part in answer.text
    assert "<script" not in answer.text
    assert 'style="' not in answer.text
    assert all(f">{path}" in answer.text or f" {path}<" in answer.text for path in description()["paths"])
    assert service.get("/docs.css").headers["Content-Type"].startswith("text/css")
