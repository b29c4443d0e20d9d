"""clip-retrieval's dialect: /knn-service, /indices-list and /metadata, over the bank.

Source: clip_retrieval/clip_back.py of rom1504/clip-retrieval. Its pages show `caption` and `url`; a bank has no
pictures, so there is no `url`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from unprompt.errors import DataError
from unprompt.output.records import rounded
from unprompt.prediction import Vector
from unprompt.serve.bodies import read_json
from unprompt.serve.encoded import sent_picture
from unprompt.serve.errors import Refusal
from unprompt.serve.exchange import Deadline, answers
from unprompt.serve.native import check_texts, given_vector, nearest_prompts, picture_vector, whole_number
from unprompt.serve.responses import json_response
from unprompt.serve.service import Encoded, Service

_MOST = 1000
_NONE: tuple[Any, ...] = (None, "", [])


async def knn(request: Request, service: Service) -> Response:
    """The prompts of the bank that are nearest to a text, a picture or a vector."""
    service.check_ready()
    deadline = Deadline(service.settings.request_timeout_s)
    with service.held.reservation() as reservation:
        asked = await read_json(request, service.settings, reservation)
        count = whole_number(asked.get("num_result_ids") or asked.get("num_images") or 40, "num_images", _MOST)
        shown = whole_number(asked.get("num_images") or count, "num_images", _MOST)
        vector = await _vector(request, service, asked, deadline)
    found = await nearest_prompts(request, service, vector, count, deadline)
    return json_response(
        [
            {"id": row, "similarity": rounded(candidate.similarity)}
            | ({"caption": candidate.text} if place < shown else {})
            for place, (row, candidate) in enumerate(found)
        ]
    )


async def indices(request: Request, service: Service) -> Response:
    """The names of the indices: the bank."""
    return json_response([service.bank.folder.name])


async def metadata(request: Request, service: Service) -> Response:
    """The prompts of some rows of the bank."""
    bank = service.bank
    with service.held.reservation() as reservation:
        asked = await read_json(request, service.settings, reservation)
    rows = asked.get("ids")
    if not isinstance(rows, list) or len(rows) > _MOST or not all(_is_row(row, len(bank)) for row in rows):
        raise Refusal(400, f"expected ids as at most {_MOST} rows of the bank, found something else", param="ids")
    try:
        texts = bank.texts(rows)
    except DataError as error:
        raise Refusal(503, str(error), kind="damaged-bank") from error
    return json_response([{"id": row, "metadata": {"caption": text}} for row, text in zip(rows, texts, strict=True)])


async def _vector(request: Request, service: Service, asked: Mapping[str, Any], deadline: Deadline) -> Vector:
    if asked.get("embedding_input") not in _NONE:
        return given_vector(asked["embedding_input"])
    for name in ("image", "image_url"):
        if asked.get(name) not in _NONE:
            sent = await sent_picture(asked[name], service.settings, name)
            return await picture_vector(request, service, sent, deadline)
    text = asked.get("text")
    if not isinstance(text, str) or not text:
        raise Refusal(400, "expected text, image or embedding_input, found none of them", param="text")
    check_texts([text], "text")
    (vector,) = await answers(request, service.light, Encoded(), [text], deadline)
    return vector  # type: ignore[no-any-return]


def _is_row(row: Any, rows: int) -> bool:
    return isinstance(row, int) and not isinstance(row, bool) and 0 <= row < rows
