"""AUTOMATIC1111's dialect: /sdapi/v1/interrogate, /sdapi/v1/png-info, /sdapi/v1/options.

Source: modules/api/api.py and models.py of AUTOMATIC1111/stable-diffusion-webui. Fields that a request has besides are
ignored, as there. A picture that cannot be read is a 422 here and a 500 there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from unprompt.images.metadata import inspect
from unprompt.images.metadata.fields import extract
from unprompt.prediction import WrittenPrompt
from unprompt.serve.bodies import Upload, read_json
from unprompt.serve.encoded import Sent, sent_picture
from unprompt.serve.errors import Refusal
from unprompt.serve.exchange import Deadline, answers
from unprompt.serve.native import predictions
from unprompt.serve.responses import json_response
from unprompt.serve.service import Asked, Service

_CLIP = "clip"
"""The model of the web UI that writes a sentence; its other one lists tags, which we do not."""


async def interrogate(request: Request, service: Service) -> Response:
    """The prompt of a picture, as `caption`."""
    service.check_ready()
    service.pictures.check_room(1)
    deadline = Deadline(service.settings.request_timeout_s)
    with service.held.reservation() as reservation:
        asked = await read_json(request, service.settings, reservation)
        if asked.get("model", _CLIP) not in (_CLIP, "", None, service.unprompter.preset.name):
            raise Refusal(404, f"Model not found: expected {_CLIP!r}; this service lists no tags", param="model")
        sent = await _picture(asked, service)
        (answer,) = await predictions(request, service, Asked(), [sent], deadline)
    service.telemetry.pictures.labels(answer.origin).inc()
    return json_response({"caption": answer.prompt})


async def png_info(request: Request, service: Service) -> Response:
    """What the file says: its infotext, its other texts, and the infotext's values by name."""
    deadline = Deadline(service.settings.request_timeout_s)
    with service.held.reservation() as reservation:
        asked = await read_json(request, service.settings, reservation)
        sent = await _picture(asked, service)
        if not isinstance(sent, Upload):
            raise Refusal(422, sent.message, kind=sent.kind, param="image")
        (info,) = await answers(request, service.light, _Info(), [sent], deadline)
    return json_response(info)


async def options(request: Request, service: Service) -> Response:
    """The few options that clients ask for before they send a picture."""
    return json_response(
        {
            "sd_model_checkpoint": service.unprompter.preset.name,
            "sd_checkpoint_hash": service.unprompter.preset.identity,
            "interrogate_return_ranks": False,
            "interrogate_keep_models_in_memory": True,
            "samples_format": "png",
            "CLIP_stop_at_last_layers": 1,
        }
    )


async def set_options(request: Request, service: Service) -> Response:
    """Accept options that are as they are; nothing can be changed from outside."""
    with service.held.reservation() as reservation:
        asked = await read_json(request, service.settings, reservation)
    if asked.get("sd_model_checkpoint", service.unprompter.preset.name) != service.unprompter.preset.name:
        raise Refusal(404, "Model not found: this service has one preset; start another for another", param="options")
    return json_response(None)


class _Info:
    """What files say, in the web UI's form."""

    def answers(self, service: Service, items: list[Upload]) -> list[Mapping[str, Any]]:
        """The answers, in order."""
        return [_info(item.data) for item in items]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Info)

    def __hash__(self) -> int:
        return hash(_Info)


async def _picture(asked: Mapping[str, Any], service: Service) -> Sent:
    image = asked.get("image")
    if not isinstance(image, str) or not image.strip():
        raise Refusal(404, "Image not found: expected a picture as base64 or a data URI in image", param="image")
    return await sent_picture(image, service.settings, "image")


def _info(data: bytes) -> Mapping[str, Any]:
    written = inspect(data)
    try:
        texts = dict(extract(data).text)
    except Exception:  # a hostile file: what cannot be read counts as nothing found
        texts = {}
    own = texts.pop("parameters", "")
    if written is None:
        return {"info": own, "items": texts, "parameters": {}}
    return {"info": own or _infotext(written), "items": texts, "parameters": _parameters(written)}


def _infotext(written: WrittenPrompt) -> str:
    """The infotext that the web UI would have written."""
    lines = [written.prompt]
    if written.negative_prompt:
        lines.append(f"Negative prompt: {written.negative_prompt}")
    if written.settings:
        lines.append(", ".join(f"{name}: {value}" for name, value in written.settings.items()))
    return "\n".join(lines)


def _parameters(written: WrittenPrompt) -> Mapping[str, Any]:
    parameters: dict[str, Any] = {"Prompt": written.prompt, "Negative prompt": written.negative_prompt or ""}
    return parameters | {name: str(value) for name, value in written.settings.items()}
