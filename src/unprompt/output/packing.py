"""Converts a prediction to bytes, exact to the bit, and back. The bytes contain no code.

    CRC-32 of the rest: 4 bytes | zlib( length of the JSON: 4 bytes | JSON: UTF-8 | vectors: (1 + votes with one, 384) )

All numbers are little-endian, those of vectors float32. The CRC is there because zlib's own checksum misses some
flipped bits. A vote's vector is stored as the exclusive or of its bits with those of the answer's vector: if the two
are close, most of these bits are zeros, which zlib compresses away.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from unprompt.prediction import (
    EMBEDDING_SIZE,
    Candidate,
    Certainty,
    Concept,
    Confidence,
    Origin,
    Prediction,
    Resource,
    Role,
    Term,
    Vector,
    Vote,
    WrittenPrompt,
    WrittenText,
)

_LIMIT_BYTES = 256 * 2**20
"""A larger answer is damaged: this is many times the longest text that metadata may hold."""

_NUMBER = struct.Struct("<I")
# Unlike JSON's own escapes, this keeps a pair of lone surrogates distinct from the character that they would form.
_ENCODING = ("utf-8", "surrogatepass")

_Bits = npt.NDArray[np.uint32]

Converted = TypeVar("Converted")


def pack(prediction: Prediction) -> bytes:
    """Pack a whole prediction. Raises ValueError if a vector is not (384,) float32."""
    vectors = [prediction.vector, *(vote.vector for vote in prediction.votes if vote.vector is not None)]
    content = json.dumps(_content(prediction), ensure_ascii=False, separators=(",", ":")).encode(*_ENCODING)
    body = zlib.compress(_NUMBER.pack(len(content)) + content + _bits(vectors).tobytes())
    return _NUMBER.pack(zlib.crc32(body)) + body


def unpack(packed: bytes) -> Prediction:
    """Unpack a prediction. Raises ValueError if the bytes are damaged."""
    try:
        data = _decompressed(packed)
        (length,) = _NUMBER.unpack_from(data)
        content = json.loads(data[_NUMBER.size : _NUMBER.size + length].decode(*_ENCODING))
        return _prediction(content, _vectors(data[_NUMBER.size + length :]))
    except (zlib.error, struct.error, ValueError, LookupError, TypeError, StopIteration, RecursionError) as error:
        raise ValueError(f"expected a packed answer, found damaged bytes: {error}") from error


def _content(prediction: Prediction) -> dict[str, Any]:
    written, found = prediction.written, prediction.confidence
    return {
        "source": prediction.source,
        "prompt": prediction.prompt,
        "origin": prediction.origin,
        "self_similarity": prediction.self_similarity,
        "candidates": [[candidate.text, candidate.similarity, candidate.origin] for candidate in prediction.candidates],
        "votes": [_vote_content(vote) for vote in prediction.votes],
        "written": None if written is None else _written_content(written),
        "model": dict(prediction.model),
        "confidence": None if found is None else [found.estimate, found.low, found.high],
        "concepts": _concepts_content(prediction.concepts),
        **({"is_cut": True} if prediction.is_cut else {}),
    }


def _vote_content(vote: Vote) -> list[Any]:
    terms = [[term.text, term.category, term.similarity, term.gain] for term in vote.terms]
    own = [vote.text_similarity, vote.negative_prompt, terms, _concepts_content(vote.concepts), vote.note]
    return [vote.member, vote.weight, vote.vector is not None, vote.texts, *own]


def _concepts_content(concepts: Sequence[Concept]) -> list[Any]:
    return [
        [concept.name, concept.probability, *([concept.category] if concept.category else [])] for concept in concepts
    ]


def _written_content(written: WrittenPrompt) -> dict[str, Any]:
    return {
        "tool": written.tool,
        "prompt": written.prompt,
        "negative_prompt": written.negative_prompt,
        "settings": dict(written.settings),
        "raw": written.raw,
        "weighted": written.weighted,
        "certainty": written.certainty,
        "texts": [[text.text, text.role, text.node, text.weight] for text in written.texts],
        "resources": [[each.kind, each.name, each.weight, each.hash] for each in written.resources],
        "candidates": written.candidates,
        "note": written.note,
    }


def _prediction(content: dict[str, Any], vectors: Iterator[Vector]) -> Prediction:
    return Prediction(
        source=_text(content["source"]),
        prompt=_text(content["prompt"]),
        origin=_one_of(get_args(Origin), content["origin"]),
        vector=next(vectors),
        # Answers that were packed by an earlier version have the old name, and lack confidence and concepts.
        self_similarity=_optional(
            _number, content["self_similarity" if "self_similarity" in content else "similarity"]
        ),
        candidates=tuple(
            Candidate(_text(text), _number(similarity), _text(origin))
            for text, similarity, origin in content["candidates"]
        ),
        votes=tuple(
            # A list first: a generator would turn the StopIteration of missing vectors into a RuntimeError.
            [_vote(vote, vectors) for vote in content["votes"]]
        ),
        written=_optional(_written, content["written"]),
        model=dict(content["model"]),
        confidence=_optional(_confidence, content.get("confidence")),
        concepts=_concepts(content.get("concepts", ())),
        is_cut=content.get("is_cut") is True,
    )


def _vote(content: list[Any], vectors: Iterator[Vector]) -> Vote:
    member, weight, has_vector, texts, similarity, negative, terms, *rest = content
    later: dict[str, Any] = dict(zip(("concepts", "note"), rest, strict=False))  # earlier versions packed fewer
    return Vote(
        _text(member),
        _number(weight),
        next(vectors) if has_vector else None,
        tuple(map(_text, texts)),
        tuple(
            Term(_text(text), _text(category), _number(cosine), _optional(_number, gain))
            for text, category, cosine, gain in terms
        ),
        _optional(_number, similarity),
        _optional(_text, negative),
        _concepts(later.get("concepts", ())),
        _text(later.get("note", "")),
    )


def _confidence(content: list[Any]) -> Confidence:
    estimate, low, high = map(_number, content)
    return Confidence(estimate, low, high)


def _concepts(content: Iterable[Any]) -> tuple[Concept, ...]:
    return tuple(
        Concept(_text(name), _number(probability), *map(_text, later)) for name, probability, *later in content
    )


def _written(content: dict[str, Any]) -> WrittenPrompt:
    return WrittenPrompt(
        tool=_text(content["tool"]),
        prompt=_text(content["prompt"]),
        negative_prompt=_optional(_text, content["negative_prompt"]),
        settings=dict(content["settings"]),
        raw=_text(content["raw"]),
        weighted=bool(content["weighted"]),
        # Answers that were packed by an earlier version lack what follows.
        certainty=_one_of(get_args(Certainty), content.get("certainty", "written")),
        texts=tuple(
            WrittenText(_text(text), _one_of(get_args(Role), role), _text(node), _number(weight))
            for text, role, node, weight in content.get("texts", ())
        ),
        resources=tuple(
            Resource(_text(kind), _text(name), _optional(_number, weight), _optional(_text, digest))
            for kind, name, weight, digest in content.get("resources", ())
        ),
        candidates=tuple(map(_text, content.get("candidates", ()))),
        note=_text(content.get("note", "")),
    )


def _bits(vectors: list[Vector]) -> _Bits:
    """The stored form of vectors, (vectors, 384)."""
    for vector in vectors:
        if vector.shape != (EMBEDDING_SIZE,) or vector.dtype != np.float32:
            raise ValueError(f"expected a vector ({EMBEDDING_SIZE},) float32, found {vector.shape} {vector.dtype}")
    bits = np.stack(vectors).astype("<f4").view("<u4")
    bits[1:] ^= bits[0]
    return bits


def _vectors(data: bytes) -> Iterator[Vector]:
    """Read stored vectors, each as an array of its own."""
    bits = np.frombuffer(data, "<u4").reshape(-1, EMBEDDING_SIZE).copy()
    bits[1:] ^= bits[0]
    return (row.copy() for row in bits.view("<f4").astype(np.float32, copy=False))


def _decompressed(packed: bytes) -> bytes:
    (checksum,), body = _NUMBER.unpack_from(packed), packed[_NUMBER.size :]
    if zlib.crc32(body) != checksum:
        raise ValueError("the checksum is another")
    stream = zlib.decompressobj()
    data = stream.decompress(body, _LIMIT_BYTES)
    if not stream.eof:
        raise ValueError("it ends early, or is larger than an answer can be")
    return data


def _optional(convert: Callable[[Any], Converted], value: Any) -> Converted | None:
    return None if value is None else convert(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a text, found {type(value).__name__}")
    return value


def _number(value: object) -> float:
    if not isinstance(value, (int, float)):
        raise TypeError(f"expected a number, found {type(value).__name__}")
    return value


def _one_of(choices: tuple[Converted, ...], value: Any) -> Converted:
    if value not in choices:
        raise ValueError(f"expected one of {choices}, found {value!r}")
    return choices[choices.index(value)]
