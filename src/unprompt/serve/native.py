"""The native dialect: /v1/predict, /v1/metadata, /v1/score, /v1/similar.

Records are those of the command line. A picture that cannot be read is a record with its error; alone, it is a 422.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from unprompt.output.jsonl import to_json
from unprompt.output.records import Record, rounded, to_record
from unprompt.prediction import EMBEDDING_SIZE, STYLES, Failure, Prediction, Style, Vector
from unprompt.serve.bodies import Body, Reservation, Upload, read_body, too_many
from unprompt.serve.encoded import Sent, sent_pictures
from unprompt.serve.errors import Refusal, refusal_of
from unprompt.serve.exchange import Deadline, answers, answers_as_they_come
from unprompt.serve.queue import Queue
from unprompt.serve.responses import json_response
from unprompt.serve.service import MOST_CANDIDATES, TEXTS_LIMIT, Asked, Encoded, Service, Similar, Written

LINES = "application/x-ndjson"
_MOST_SIMILAR = 100
_LONGEST_TEXT = 20_000


@dataclass(frozen=True, slots=True)
class _Options:
    """How records are asked for, by the query, the form or the JSON object."""

    text: bool = True
    top: int = 5
    embedding: bool = False
    ignore_metadata: bool = False
    style: Style | None = None


_OPTIONS = ("text", "style", "top", "embedding", "ignore_metadata")
_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


async def predict(request: Request, service: Service) -> Response:
    """One record for one picture, {"results": [...]} for several, or a line for each as it comes."""
    service.check_ready()
    service.pictures.check_room(1)  # before a body is read that there is no room for
    deadline = Deadline(service.settings.request_timeout_s)
    with service.held.reservation() as reservation:
        body = await read_body(request, service.settings, reservation, fields=_OPTIONS)
        options = _options(request, body)
        sent = await _pictures(body, service)
        asked = Asked(options.text, options.ignore_metadata, options.style)

        def record(answer: Any) -> Record:
            return prediction_record(answer, options.top, embedding=options.embedding)

        if LINES in request.headers.get("accept", ""):
            return await _Lines(service, service.pictures, asked, sent, record, deadline, reservation).begun(request)
        found = await _answered(request, service.pictures, asked, sent, deadline)
    return _response([record(answer) for answer in found], service)


async def metadata(request: Request, service: Service) -> Response:
    """What the generators wrote into the files; no model is asked."""
    deadline = Deadline(service.settings.request_timeout_s)
    with service.held.reservation() as reservation:
        body = await read_body(request, service.settings, reservation)
        sent = await _pictures(body, service)
        found = await _answered(request, service.light, Written(), sent, deadline)
    return _response([to_record(answer) if isinstance(answer, Failure) else answer for answer in found], service)


async def score(request: Request, service: Service) -> Response:
    """The cosine of each prompt with the picture."""
    service.check_ready()
    deadline = Deadline(service.settings.request_timeout_s)
    with service.held.reservation() as reservation:
        body = await read_body(request, service.settings, reservation, fields=("prompt", "prompts"))
        if body.json is not None:
            prompts = _texts(_object(body.json).get("prompts"), "prompts")
        else:
            prompts = _texts([*body.fields.get("prompt", []), *body.fields.get("prompts", [])], "prompt")
        if not all(map(str.strip, prompts)):
            raise Refusal(400, "expected prompts to compare with the picture, found an empty one", param="prompts")
        picture = _one(await _pictures(body, service))
        fused = await picture_vector(request, service, picture, deadline)
    vectors = await answers(request, service.light, Encoded(), prompts, deadline)
    cosines = np.stack(vectors) @ fused
    scores = [{"text": text, "similarity": rounded(cosine)} for text, cosine in zip(prompts, cosines, strict=True)]
    _count(service, "scored")
    return json_response({"scores": scores})


async def similar(request: Request, service: Service) -> Response:
    """The prompts of the bank that are nearest to a picture, a text or a vector."""
    service.check_ready()
    deadline = Deadline(service.settings.request_timeout_s)
    with service.held.reservation() as reservation:
        body = await read_body(request, service.settings, reservation, fields=("n", "text"))
        table = (
            _object(body.json) if body.json is not None else {name: found[-1] for name, found in body.fields.items()}
        )
        count = whole_number(table.get("n", request.query_params.get("n", 10)), "n", _MOST_SIMILAR)
        vector = await _query_vector(request, service, body, table, deadline)
    found = await nearest_prompts(request, service, vector, count, deadline)
    results = [{"text": candidate.text, "similarity": rounded(candidate.similarity)} for _row, candidate in found]
    return json_response({"results": results})


async def picture_vector(request: Request, service: Service, picture: Sent, deadline: Deadline) -> Vector:
    """The vector that prompts are compared with; what the file says of its prompt is ignored. Raises Refusal (422)."""
    (answer,) = await _answered(request, service.pictures, Asked(text=False, ignore_metadata=True), [picture], deadline)
    return service.unprompter.fused(_needed(answer))


async def nearest_prompts(
    request: Request, service: Service, vector: Vector, count: int, deadline: Deadline
) -> list[Any]:
    """The rows and candidates of the bank that are nearest to a vector."""
    (found,) = await answers(request, service.light, Similar(count), [vector], deadline)
    return found  # type: ignore[no-any-return]


def given_vector(numbers: Any) -> Vector:
    """The unit vector of a list of numbers in JSON. Raises Refusal (400)."""
    is_list = isinstance(numbers, list) and len(numbers) == EMBEDDING_SIZE
    if is_list and all(isinstance(number, (int, float)) and abs(number) < 1e6 for number in numbers):
        vector = np.asarray(numbers, np.float32)
        if (length := float(np.linalg.norm(vector))) > 1e-6:
            return vector / length
    raise Refusal(
        400,
        f"expected {EMBEDDING_SIZE} numbers that are not all 0, found something else; take the embedding of a record",
        param="embedding",
    )


def prediction_record(answer: Any, top: int, *, embedding: bool = False) -> Record:
    """The command line's record of an answer. An exception that is a picture's answer becomes its error."""
    if isinstance(answer, Prediction):
        return to_record(replace(answer, candidates=answer.candidates[:top]), embedding=embedding)
    if isinstance(answer, Failure):
        return to_record(answer)
    refusal = refusal_of(answer)
    return {"error": {"kind": refusal.kind, "message": str(refusal)}}


def whole_number(value: Any, name: str, most: int) -> int:
    """A whole number from 1 to `most`, also one written as a text. Raises Refusal (400)."""
    text = str(value)
    if isinstance(value, bool) or not text.isdecimal() or len(text) > 9 or not 1 <= int(text) <= most:
        raise Refusal(400, f"expected {name} to be a whole number from 1 to {most}, found another value", param=name)
    return int(text)


def _options(request: Request, body: Body) -> _Options:
    """The options of the query; those of the body go before them."""
    given: dict[str, Any] = {name: request.query_params[name] for name in _OPTIONS if name in request.query_params}
    given |= {name: values[-1] for name, values in body.fields.items() if name in _OPTIONS}
    if isinstance(body.json, dict):
        given |= {name: body.json[name] for name in _OPTIONS if name in body.json}
    return _Options(**{name: _READ[name](value, name) for name, value in given.items()})


def _truth(value: Any, name: str) -> bool:
    found = _TRUTH.get(str(value).lower())
    if found is None:
        raise Refusal(400, f"expected {name} to be true or false, found another value", param=name)
    return found


def _candidates(value: Any, name: str) -> int:
    return whole_number(value, name, MOST_CANDIDATES)


def _style(value: Any, name: str) -> Style:
    if value not in STYLES:
        raise Refusal(400, f"expected {name} to be one of {', '.join(STYLES)}, found another value", param=name)
    return STYLES[STYLES.index(value)]


_READ: Mapping[str, Callable[[Any, str], Any]] = {
    **dict.fromkeys(_OPTIONS, _truth),
    "style": _style,
    "top": _candidates,
}
"""How each option is read."""


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Refusal(400, "expected a JSON object, found another value; see /docs")
    return value


async def _pictures(body: Body, service: Service) -> list[Sent]:
    """The pictures of a body, at least one. Raises Refusal (400, 403, 413)."""
    sent: list[Sent] = list(body.uploads)
    if body.json is not None:
        table = _object(body.json)
        texts = table.get("images", table.get("image", []))
        sent = await sent_pictures(texts if isinstance(texts, list) else [texts], service.settings, "images")
        body.json = None  # half as large again as the pictures
    if not sent:
        raise Refusal(
            400,
            "expected a picture, found none; send parts named file, one raw body of an image type, or JSON with images",
            param="file",
        )
    if len(sent) > service.settings.most_pictures:
        raise too_many(service.settings)
    return sent


def _one(sent: Sequence[Sent]) -> Sent:
    if len(sent) != 1:
        raise Refusal(400, f"expected one picture, found {len(sent)}; ask for each", param="file")
    return sent[0]


def _texts(found: Any, name: str) -> list[str]:
    texts = [found] if isinstance(found, str) else found
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise Refusal(400, f"expected one or more texts as {name}, found something else", param=name)
    check_texts(texts, name)
    return texts


def check_texts(texts: Sequence[str], name: str) -> None:
    """Raise Refusal (413) for too many texts, or too long ones."""
    if len(texts) > TEXTS_LIMIT or max(map(len, texts)) > _LONGEST_TEXT:
        raise Refusal(
            413,
            f"expected at most {TEXTS_LIMIT} texts of at most {_LONGEST_TEXT:,} characters, found more; send fewer",
            param=name,
        )


async def _query_vector(
    request: Request, service: Service, body: Body, table: dict[str, Any], deadline: Deadline
) -> Vector:
    if "embedding" in table:
        return given_vector(table["embedding"])
    if "text" in table:
        (vector,) = await answers(request, service.light, Encoded(), _texts(table["text"], "text")[:1], deadline)
        return vector  # type: ignore[no-any-return]
    return await picture_vector(request, service, _one(await _pictures(body, service)), deadline)


def _needed(answer: Any) -> Prediction:
    """The prediction, or the refusal that its failure stands for."""
    if isinstance(answer, Failure):
        raise Refusal(422, f"{answer.source}: {answer.message}", kind=answer.kind, param="image")
    if isinstance(answer, Exception):
        raise answer
    return answer  # type: ignore[no-any-return]


async def predictions(
    request: Request, service: Service, asked: Asked, sent: Sequence[Sent], deadline: Deadline
) -> list[Prediction]:
    """The predictions of some pictures, for dialects in which one that cannot be read fails the request."""
    return [_needed(answer) for answer in await _answered(request, service.pictures, asked, sent, deadline)]


async def _answered(request: Request, queue: Queue, key: Any, sent: Sequence[Sent], deadline: Deadline) -> list[Any]:
    """The answers, in order; a picture that did not arrive is its own answer."""
    uploads = [picture for picture in sent if isinstance(picture, Upload)]
    found = iter(await answers(request, queue, key, uploads, deadline))
    return [next(found) if isinstance(picture, Upload) else picture for picture in sent]


def _response(records: list[Record], service: Service) -> Response:
    """One record as it is, several as results; failures have their position."""
    for position, record in enumerate(records):
        _count_record(service, record)
        if "error" in record:
            record["position"] = position
    if len(records) > 1:
        return json_response({"results": records})
    (record,) = records
    if "error" not in record:
        return json_response(record)
    error = record["error"]
    return json_response({**record, "error": {"code": 422, "type": error["kind"], "param": None, **error}}, 422)


def _count_record(service: Service, record: Record) -> None:
    error = record.get("error")
    _count(service, error["kind"] if error else record.get("origin") or "metadata")


def _count(service: Service, outcome: str) -> None:
    service.telemetry.pictures.labels(outcome).inc()


class _Lines(Response):
    """A record a line, in the order in which they come; each has its position."""

    media_type = LINES

    def __init__(
        self,
        service: Service,
        queue: Queue,
        key: Any,
        sent: Sequence[Sent],
        record: Any,
        deadline: Deadline,
        reservation: Reservation,
    ) -> None:
        super().__init__()
        self._service = service
        self._queue = queue
        self._key = key
        self._sent = sent
        self._record = record
        self._deadline = deadline
        # The pictures are held until the last line is sent, which is after the request's own block.
        self._held = reservation.held
        reservation.held = 0

    async def begun(self, request: Request) -> Response:
        """Wait for the first line, so that a full queue is a 429 and no line in a 200."""
        self._lines = self._records(request)
        try:
            self._first = await anext_or_none(self._lines)
        except BaseException:
            self._give_back()
            raise
        del self.headers["content-length"]
        self.headers["x-accel-buffering"] = "no"  # proxies would collect the lines
        return self

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send the lines."""
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            line = self._first
            while line is not None:
                await send({"type": "http.response.body", "body": line, "more_body": True})
                line = await anext_or_none(self._lines)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            await self._lines.aclose()
            self._give_back()

    def _give_back(self) -> None:
        self._service.held.add(-self._held)
        self._held = 0

    async def _records(self, request: Request) -> Any:
        uploads = [(at, picture) for at, picture in enumerate(self._sent) if isinstance(picture, Upload)]
        for at, picture in enumerate(self._sent):
            if not isinstance(picture, Upload):
                yield self._line(at, picture)
        if not uploads:
            return
        left = dict(enumerate(at for at, _picture in uploads))
        items = [picture for _at, picture in uploads]
        coming = answers_as_they_come(request, self._queue, self._key, items, self._deadline)
        try:
            async with aclosing(coming):
                async for number, answer in coming:
                    yield self._line(left.pop(number), answer)
        except Refusal as refusal:
            if refusal.status != 504 or len(left) == len(uploads):
                raise
            for at in left.values():
                yield self._line(at, refusal)

    def _line(self, at: int, answer: Any) -> bytes:
        record = {"position": at, "source": self._sent[at].source, **self._record(answer)}
        _count_record(self._service, record)
        return to_json(record).encode() + b"\n"


async def anext_or_none(lines: AsyncIterator[bytes]) -> bytes | None:
    """The next line; None after the last."""
    try:
        return await lines.__anext__()
    except StopAsyncIteration:
        return None
