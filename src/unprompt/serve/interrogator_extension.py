"""The dialect of CLIP Interrogator's extension for the web UI: /interrogator/models, prompt and analyze.

Source: scripts/clip_interrogator_ext.py of pharmapsychotic/clip-interrogator-ext. There a fault is a prompt in a 200;
here it is a status.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from unprompt.prediction import Failure, Term
from unprompt.serve.bodies import Upload, read_json
from unprompt.serve.encoded import sent_picture
from unprompt.serve.errors import Refusal
from unprompt.serve.exchange import Deadline, answers
from unprompt.serve.interrogators import ANALYZE, MODES, TERMS
from unprompt.serve.responses import json_response
from unprompt.serve.service import Interrogated, Service

_DEFAULT = "ViT-L-14/openai"
"""What the extension's clients send if nobody chose; it stands for whatever model this service has."""

_LISTS: Mapping[str, str] = {
    "medium": "mediums",
    "artist": "artists",
    "movement": "movements",
    "trending": "trendings",
    "flavor": "flavors",
}
"""The extension's names of lists, and those of our vocabularies."""


async def models(request: Request, service: Service) -> Response:
    """The names of the models."""
    return json_response([service.interrogators.name])


async def prompt(request: Request, service: Service) -> Response:
    """The prompt of a picture in one of the modes."""
    answer, name = await _answer(request, service, None)
    return json_response({"prompt": answer}, headers={"X-Unprompt-Model": name})


async def analyze(request: Request, service: Service) -> Response:
    """The five nearest terms of each list, with their cosines."""
    ranked, name = await _answer(request, service, ANALYZE)
    lists = {theirs: _cosines(ranked.get(ours, [])) for theirs, ours in _LISTS.items()}
    if not lists["flavor"]:
        lists["flavor"] = _cosines(_others(ranked))
    return json_response(lists, headers={"X-Unprompt-Model": name})


async def _answer(request: Request, service: Service, mode: str | None) -> tuple[Any, str]:
    service.check_ready()
    service.pictures.check_room(1)
    deadline = Deadline(service.settings.request_timeout_s)
    with service.held.reservation() as reservation:
        asked = await read_json(request, service.settings, reservation)
        name = _checked_name(asked, service)
        mode = mode or _mode(asked)
        image = asked.get("image")
        if not isinstance(image, str) or not image.strip():
            raise Refusal(404, "Image not found: expected a picture as base64 or a data URI in image", param="image")
        sent = await sent_picture(image, service.settings, "image")
        service.interrogators.check_ready()
        found: Any = sent
        if isinstance(sent, Upload):
            (found,) = await answers(request, service.pictures, Interrogated(mode), [sent], deadline)
    if isinstance(found, Failure):
        raise Refusal(422, f"Invalid encoded image: {found.message}", kind=found.kind, param="image")
    service.telemetry.pictures.labels("interrogated").inc()
    return found, name


def _checked_name(asked: Mapping[str, Any], service: Service) -> str:
    name = service.interrogators.name
    if asked.get("clip_model_name") in (None, "", _DEFAULT, name):
        return name
    raise Refusal(
        404, f"Model not found: expected {name!r}; GET /interrogator/models lists it", param="clip_model_name"
    )


def _mode(asked: Mapping[str, Any]) -> str:
    mode = asked.get("mode") or "fast"
    if mode not in MODES:
        raise Refusal(400, f"expected mode to be one of {', '.join(MODES)}, found another", param="mode")
    return str(mode)


def _others(ranked: Mapping[str, list[Term]]) -> list[Term]:
    """The best terms of all lists that the extension has no name for: what it calls flavors."""
    terms = [term for name, found in ranked.items() if name not in _LISTS.values() for term in found]
    return sorted(terms, key=lambda term: -term.similarity)[:TERMS]


def _cosines(terms: list[Term]) -> Mapping[str, float]:
    return {term.text: round(term.similarity, 6) for term in terms}
