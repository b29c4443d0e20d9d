"""The description of the service as OpenAPI 3.1: every path, what it takes and what it answers.

This is the contract with the page and with clients; `documentation.py` makes the page /docs of it.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from unprompt.prediction import STYLES
from unprompt.serve.errors import TYPES
from unprompt.version import __version__

Table = dict[str, Any]

_TEXT: Table = {"type": "string"}
_NUMBER: Table = {"type": "number"}
_COUNT: Table = {"type": "integer", "minimum": 1}
_TRUTH: Table = {"type": "boolean"}
_VECTOR: Table = {"type": "array", "items": _NUMBER, "minItems": 384, "maxItems": 384}
_PICTURE: Table = {"type": "string", "description": "A picture's file in base64, bare or as a data URI."}
_FILE: Table = {"type": "string", "format": "binary"}


def _of(**properties: Table) -> Table:
    return {"type": "object", "properties": properties}


def _many(items: Table) -> Table:
    return {"type": "array", "items": items}


def _ref(name: str) -> Table:
    return {"$ref": f"#/components/schemas/{name}"}


def _told(schema: Table, words: str) -> Table:
    return {**schema, "description": words}


_WRITTEN: Table = {
    "certainty": _told({"enum": ["written", "computed", "ambiguous"]}, "How the prompt follows from the file."),
    "negative_prompt": _TEXT,
    "settings": _told({"type": "object"}, "The tool's own settings."),
    "resources": _many(_of(kind=_TEXT, name=_TEXT, weight=_NUMBER, hash=_TEXT)),
    "texts": _many(_of(role=_TEXT, text=_TEXT, node=_TEXT, weight=_NUMBER)),
    "note": _told(_TEXT, "What a user should know about the prompt."),
}

_SCHEMAS: Table = {
    "Error": _of(
        error={
            **_of(
                code=_told({"type": "integer"}, "The status."),
                type=_told(_TEXT, f"One of {', '.join(sorted(set(TYPES.values())))}, or a picture's kind of failure."),
                message=_told(_TEXT, "What was expected, what was found, what to do."),
                param=_told({"type": ["string", "null"]}, "The part of the request at fault."),
            ),
            "required": ["code", "type", "message", "param"],
        }
    ),
    "Failure": _of(
        source=_TEXT,
        position=_told({"type": "integer"}, "Counted from 0, in the order of the request."),
        error=_of(kind=_told(_TEXT, "not-a-picture, truncated, too-large, ..."), message=_TEXT),
    ),
    "Score": _of(text=_TEXT, similarity=_told(_NUMBER, "A cosine.")),
    "Record": _of(
        source=_told(_TEXT, "The name of the part's file; 'picture' for a raw body."),
        position=_told({"type": "integer"}, "In a line of a stream, and in a failure among others."),
        prompt=_TEXT,
        origin=_told(_TEXT, "'metadata': written in the file; 'prediction': what the models say."),
        confidence=_told(
            _of(estimate=_NUMBER, low=_NUMBER, high=_NUMBER),
            "The estimated cosine of the answer's vector with the true prompt's, and a range that holds it for 80 % of "
            "pictures; where the preset is calibrated and the prompt is predicted.",
        ),
        concepts=_told(
            _many(_of(name=_TEXT, probability=_NUMBER, category=_TEXT)),
            "What the models see in the picture, most probable first; at most 20.",
        ),
        self_similarity=_told(
            {"type": ["number", "null"]},
            "The cosine of the prompt with the fused vector: how well the words express it, not how right they are.",
        ),
        similarity=_told({"type": ["number", "null"], "deprecated": True}, "The old name of self_similarity."),
        candidates=_many(_of(text=_TEXT, similarity=_NUMBER, **{"from": _TEXT})),
        votes=_many(_of(member=_TEXT, weight=_NUMBER, similarity=_NUMBER, text=_TEXT, note=_TEXT)),
        tool=_told(_TEXT, "What wrote the prompt, if it is written."),
        **_WRITTEN,
        is_cut=_told(_TRUTH, "True where the prompt is longer than the encoder of sentences reads; see note."),
        model=_told({"type": "object"}, "What computed the answer: version, preset, hashes."),
        embedding=_told(_VECTOR, "With embedding=true."),
    ),
    "Metadata": _of(
        source=_TEXT,
        tool=_told({"type": ["string", "null"]}, "Null if nothing is written."),
        prompt={"type": ["string", "null"]},
        **_WRITTEN,
        candidates=_told(_many(_of(text=_TEXT)), "What an ambiguous file could mean."),
        raw=_told(_TEXT, "The prompt as the tool wrote it."),
    ),
}

_FORM_OF_PICTURES = _of(file=_told(_many(_FILE), "One part named file for each picture."))
_BODIES_OF_PICTURES: Table = {
    "multipart/form-data": {"schema": _FORM_OF_PICTURES},
    "image/*": {"schema": _FILE},
    "application/json": {"schema": _of(images=_many(_PICTURE))},
}

_OPTIONS: Sequence[tuple[str, Table, str]] = (
    ("text", _told(_TRUTH, "Whether a prompt is wanted, besides the vector."), "true"),
    ("style", _told({"enum": list(STYLES)}, "How a decoder words the prompt. Default: as the preset says."), ""),
    ("top", _told({**_COUNT, "maximum": 50}, "Candidates of a record."), "5"),
    ("embedding", _told(_TRUTH, "Whether the 384 numbers of the vector are wanted."), "false"),
    ("ignore_metadata", _told(_TRUTH, "Whether to predict even if the file holds its prompt."), "false"),
)

_REFUSALS: Mapping[int, str] = {
    400: "Broken JSON, a broken or cut form, a value of the wrong kind.",
    401: "No key, or a wrong one, where keys are set.",
    403: "A page of another site, or an address where none is read.",
    413: "Too large a body or file, or too many pictures.",
    415: "Not a form, JSON or a picture.",
    422: "A picture that cannot be read.",
    429: "The queue is full: Retry-After says when there will be room.",
    503: "The models are still loading, or the service stops.",
    504: "No answer in time.",
}


def _answers(
    schema: Table, words: str, *statuses: int, media: str = "application/json", lines: Table | None = None
) -> Table:
    errors = {
        str(status): {
            "description": _REFUSALS[status],
            "content": {"application/json": {"schema": _ref("Error")}},
        }
        for status in statuses
    }
    return {"200": {"description": words, "content": {media: {"schema": schema}, **(lines or {})}}, **errors}


def _post(summary: str, body: Table, answers: Table, words: str = "", parameters: Sequence[Table] = ()) -> Table:
    asked: Table = {"summary": summary, "requestBody": {"required": True, "content": body}, "responses": answers}
    if words:
        asked["description"] = words
    if parameters:
        asked["parameters"] = list(parameters)
    return {"post": asked}


def _get(summary: str, answers: Table, *, needs_key: bool = True) -> Table:
    return {"get": {"summary": summary, "responses": answers, **({} if needs_key else {"security": []})}}


def _json(schema: Table) -> Table:
    return {"application/json": {"schema": schema}}


def _query(name: str, schema: Table, default: str) -> Table:
    known = {**schema, "default": default} if default else schema
    return {"name": name, "in": "query", "schema": known, "description": schema["description"]}


_ALL = (400, 401, 403, 413, 415, 429, 503, 504)


def _native() -> Table:
    either = {"oneOf": [_ref("Record"), _of(results=_many({"oneOf": [_ref("Record"), _ref("Failure")]}))]}
    lines = {"application/x-ndjson": {"schema": {"oneOf": [_ref("Record"), _ref("Failure")]}}}
    predict = _answers(either, "One record for one picture, results for several.", *_ALL, 422, lines=lines)
    vector = _of(text=_TEXT, embedding=_VECTOR, images=_many(_PICTURE), n=_COUNT)
    form_and_prompts = _of(file=_FILE, prompt=_many(_TEXT))
    scores = _of(scores=_many(_ref("Score")))
    return {
        "/v1/predict": _post(
            "The prompts of pictures",
            _BODIES_OF_PICTURES,
            predict,
            "The records are those of the command line. With Accept: application/x-ndjson each is a line, sent as soon "
            "as it is known, with its position. PUT does the same, for curl -T.",
            [_query(*option) for option in _OPTIONS],
        ),
        "/v1/metadata": _post(
            "What generators wrote into files",
            _BODIES_OF_PICTURES,
            _answers(
                {"oneOf": [_ref("Metadata"), _of(results=_many(_ref("Metadata")))]}, "No model is asked.", *_ALL, 422
            ),
        ),
        "/v1/score": _post(
            "How near prompts come to a picture",
            {
                "multipart/form-data": {"schema": form_and_prompts},
                **_json(_of(image=_PICTURE, prompts=_many(_TEXT))),
            },
            _answers(scores, "In the order of the prompts. A prompt written in the file is ignored.", *_ALL, 422),
        ),
        "/v1/similar": _post(
            "The most similar prompts of the bank",
            {
                "multipart/form-data": {"schema": _of(file=_FILE, n=_COUNT)},
                "image/*": {"schema": _FILE},
                **_json(vector),
            },
            _answers(_of(results=_many(_ref("Score"))), "Nearest first.", *_ALL, 422),
            "To a picture, to a text, or to the embedding of a record. n is at most 100.",
        ),
    }


def _openai() -> Table:
    part = _of(type=_TEXT, text=_TEXT, image_url={"oneOf": [_of(url=_PICTURE), _PICTURE]})
    message = _of(role=_TEXT, content={"oneOf": [_TEXT, _many(part)]})
    chat = _of(model=_TEXT, messages=_many(message), stream=_TRUTH)
    embeddings = _of(
        model=_TEXT,
        input={"oneOf": [_TEXT, _many(_TEXT)]},
        modality={"enum": ["text", "image"], "default": "text"},
        encoding_format={"enum": ["float", "base64"], "default": "float"},
        dimensions={"const": 384},
    )
    vectors = _many(_of(object=_TEXT, index={"type": "integer"}, embedding=_VECTOR))
    return {
        "/v1/chat/completions": _post(
            "OpenAI: the prompt of a message's pictures",
            _json(chat),
            _answers(
                _of(choices=_many(_of(message=_of(role=_TEXT, content=_TEXT)))), "One line a picture.", *_ALL, 422
            ),
            "The text of the message is not obeyed; the header X-Unprompt-Note says so. Also at /chat/completions.",
        ),
        "/v1/embeddings": _post(
            "OpenAI: vectors of texts and of pictures",
            _json(embeddings),
            _answers(_of(object=_TEXT, data=vectors, model=_TEXT), "Unit vectors of one space.", *_ALL, 422),
            "With modality 'image', input holds data URIs. Also at /embeddings.",
        ),
        "/v1/models": _get(
            "The preset, limits and bank",
            _answers(
                _of(data=_many(_of(id=_TEXT)), limits={"type": "object"}, styles=_many(_TEXT), bank={"type": "object"}),
                "As OpenAI lists models, with the limits of a request, the styles of words, and the bank.",
                401,
            ),
        ),
    }


def _others() -> Table:
    image = _of(image=_PICTURE, model=_TEXT)
    extension = _of(image=_PICTURE, clip_model_name=_TEXT, mode={"enum": ["best", "fast", "classic", "negative"]})
    knn = _of(text=_TEXT, image=_PICTURE, embedding_input=_VECTOR, num_images=_COUNT, num_result_ids=_COUNT)
    row = _of(id={"type": "integer"}, similarity=_NUMBER, caption=_TEXT)
    info = _of(info=_TEXT, items={"type": "object"}, parameters={"type": "object"})
    terms = {"type": "object", "additionalProperties": _NUMBER}
    lists = ("medium", "artist", "movement", "trending", "flavor")
    return {
        "/sdapi/v1/interrogate": _post(
            "AUTOMATIC1111: a caption",
            _json(image),
            _answers(_of(caption=_TEXT), "The prompt.", 401, 413, 422, 429, 503),
        ),
        "/sdapi/v1/png-info": _post(
            "AUTOMATIC1111: what a file says",
            _json(image),
            _answers(info, "The infotext and its values.", 401, 413, 429),
        ),
        "/sdapi/v1/options": _get(
            "AUTOMATIC1111: options", _answers({"type": "object"}, "Those that clients ask.", 401)
        ),
        "/interrogator/models": _get("CLIP Interrogator: models", _answers(_many(_TEXT), "Names.", 401)),
        "/interrogator/prompt": _post(
            "CLIP Interrogator: a prompt",
            _json(extension),
            _answers(_of(prompt=_TEXT), "X-Unprompt-Model names the model that answered.", 401, 413, 422, 429, 503),
        ),
        "/interrogator/analyze": _post(
            "CLIP Interrogator: nearest terms",
            _json(extension),
            _answers(_of(**dict.fromkeys(lists, terms)), "Five terms a list.", 401, 413, 422, 429, 503),
        ),
        "/knn-service": _post(
            "clip-retrieval: nearest prompts",
            _json(knn),
            _answers(_many(row), "Nearest first.", 401, 413, 422, 429, 503),
        ),
        "/indices-list": _get("clip-retrieval: indices", _answers(_many(_TEXT), "The bank.", 401)),
        "/metadata": _post(
            "clip-retrieval: prompts by row",
            _json(_of(ids=_many({"type": "integer"}))),
            _answers(_many(_of(id={"type": "integer"}, metadata=_of(caption=_TEXT))), "In the order asked.", 400, 401),
        ),
    }


def _running() -> Table:
    status = _of(status=_TEXT)
    return {
        "/health": _get("Alive", _answers(status, "The process answers."), needs_key=False),
        "/ready": _get("Ready", _answers(status, "The models are loaded.", 503), needs_key=False),
        "/metrics": _get("Counters for Prometheus", _answers(_TEXT, "Text format.", 401, media="text/plain")),
        "/openapi.json": _get("This description", _answers({"type": "object"}, "OpenAPI 3.1."), needs_key=False),
        "/docs": _get("This description, for people", _answers(_TEXT, "A page.", media="text/html"), needs_key=False),
    }


@functools.cache
def description() -> Mapping[str, Any]:
    """The whole description."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "unprompt",
            "version": __version__,
            "description": "Turns generated pictures back into the prompts that made them.",
            "license": {"name": "MIT"},
        },
        "paths": {**_native(), **_openai(), **_others(), **_running()},
        "components": {
            "schemas": _SCHEMAS,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "basic": {"type": "http", "scheme": "basic"},
            },
        },
        "security": [{}, {"bearer": []}, {"key": []}, {"basic": []}],
    }
