"""Predictions as bytes and back: exact to the bit, and damage is noticed."""

import dataclasses
import zlib
from typing import Any

import numpy as np
import pytest

from unprompt.output.packing import pack, unpack
from unprompt.prediction import (
    Candidate,
    Concept,
    Confidence,
    Prediction,
    Resource,
    Term,
    Vector,
    Vote,
    WrittenPrompt,
    WrittenText,
)

MODEL = {"unprompt": "0.1.0", "preset": "embedded", "preset_hash": "fb18", "models": {"vit": "d700", "decoder": "b1d6"}}


def unit_vector(seed: int) -> Vector:
    vector = np.random.default_rng(seed).standard_normal(384).astype(np.float32)
    return vector / np.linalg.norm(vector)


def answer(seed: int = 0, **changes: Any) -> Prediction:
    vector = unit_vector(seed)
    values: dict[str, Any] = {
        "source": f"pictures/{seed}.png",
        "prompt": f"a cat on {seed} roofs",
        "origin": "prediction",
        "vector": vector,
        "self_similarity": 0.1 + seed / 3,
        "candidates": (Candidate(f"a cat on {seed} roofs", 0.1 + seed / 3, "edited"), Candidate("a cat", 0.1, "clip")),
        "votes": (
            Vote("regressor", 2 / 3, vector=np.nextafter(vector, np.float32(1))),
            Vote(
                "clip",
                1 / 3,
                texts=("a cat", "a dog"),
                terms=(Term("oil", "mediums", 0.1 + seed / 7, -1e-9), Term("猫", "flavors", 1 / 3)),
                text_similarity=0.3,
                negative_prompt="blurry",
                concepts=(Concept("cat", 1 / 3), Concept("猫", 1e-9, "character")),
            ),
            Vote("neighbours", 1e-300, vector=unit_vector(seed + 1), texts=("猫",)),
            Vote("server", 0.5, note="said nothing"),
        ),
        "written": None,
        "model": MODEL,
        "confidence": Confidence(0.1 + seed / 7, -1 / 3, 0.9),
        "concepts": (Concept("cat", 1 / 3), Concept("猫", 1e-9, "character")),
    }
    return Prediction(**(values | changes))


def without_arrays(prediction: Prediction) -> list[Any]:
    """All fields, every vector as its bytes: comparable, and exact."""

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return value.dtype.str, value.shape, value.tobytes()
        if isinstance(value, tuple):
            return tuple(plain(item) for item in value)
        if dataclasses.is_dataclass(value):
            return [plain(getattr(value, field.name)) for field in dataclasses.fields(value)]
        return value

    return plain(prediction)


def assert_same(found: Prediction | None, expected: Prediction) -> None:
    assert found is not None
    assert without_arrays(found) == without_arrays(expected)


WRITTEN = WrittenPrompt(
    "AUTOMATIC1111",
    "a cat",
    negative_prompt="a dog",
    settings={"Steps": 20, "CFG scale": 7.1, "Hires": True, "Seed": 2**80, "Sampler": "Euler a", "x\ud800": "\x00\x1b"},
    raw="a (cat:1.2)",
    weighted=True,
)
COMPUTED = WrittenPrompt(
    "ComfyUI",
    "a cat",
    certainty="ambiguous",
    texts=(WrittenText("a cat", "positive", "6 CLIPTextEncode"), WrittenText("a roof\ud800", "region", weight=1 / 3)),
    resources=(Resource("lora", "cats", 0.1 + 0.2, "a1b2"), Resource("checkpoint", "猫")),
    candidates=("a cat", "a dog"),
    note="a language model rewrote it",
)


@pytest.mark.parametrize(
    "prediction",
    [
        answer(),
        answer(prompt="", self_similarity=None, candidates=(), votes=(), confidence=None, concepts=()),
        answer(origin="metadata", self_similarity=1.0, written=WRITTEN),
        answer(written=WrittenPrompt("ComfyUI", "a cat")),
        answer(origin="metadata", written=COMPUTED),
        answer(source="caf\udce9.png", prompt="\ud83d\ude00 \ude00 😀 \u2028 \x00 猫"),
        answer(self_similarity=5e-324, vector=np.full(384, -0.0, np.float32)),
        answer(vector=np.full(384, np.nan, np.float32)),
        answer(model={}),
    ],
    ids=[
        "prediction",
        "no-text",
        "metadata",
        "no-settings",
        "computed",
        "hostile-texts",
        "tiny-numbers",
        "nan",
        "no-model",
    ],
)
def test_packing_is_exact(prediction: Prediction) -> None:
    assert_same(unpack(pack(prediction)), prediction)


def test_numbers_keep_their_types() -> None:
    settings = unpack(pack(answer(written=WRITTEN))).written.settings  # type: ignore[union-attr]
    assert [type(value) for value in settings.values()] == [int, float, bool, int, str, str]


def test_unpacked_vectors_are_arrays_of_their_own() -> None:
    unpacked = unpack(pack(answer()))
    vectors = [unpacked.vector, *(vote.vector for vote in unpacked.votes if vote.vector is not None)]
    assert all(vector.flags.owndata and vector.flags.writeable for vector in vectors)


def test_a_vote_beside_the_answer_takes_little_space() -> None:
    alone, beside = answer(votes=()), answer()
    beside = dataclasses.replace(beside, votes=beside.votes[:1])
    assert len(pack(beside)) < len(pack(alone)) + 384


@pytest.mark.parametrize("vector", [np.zeros(384), np.zeros(383, np.float32), np.zeros((1, 384), np.float32)])
def test_only_vectors_of_the_space_are_packed(vector: Any) -> None:
    with pytest.raises(ValueError, match=r"expected a vector \(384,\) float32"):
        pack(answer(votes=(Vote("regressor", 1.0, vector=vector),)))


def test_every_flipped_bit_and_every_cut_is_noticed() -> None:
    whole = pack(answer())
    for position in range(len(whole)):
        flipped = bytearray(whole)
        flipped[position] ^= 1 << position % 8
        for damaged in (bytes(flipped), whole[:position]):
            with pytest.raises(ValueError, match="damaged"):
                unpack(damaged)


def packed(data: bytes) -> bytes:
    body = zlib.compress(data, 1)
    return zlib.crc32(body).to_bytes(4, "little") + body


def packed_json(text: str, vectors: bytes = bytes(4 * 384)) -> bytes:
    return packed(len(text).to_bytes(4, "little") + text.encode() + vectors)


GOOD = (
    '{"source":"a","prompt":"b","origin":"prediction","similarity":null,"candidates":[],"votes":[],'
    '"written":null,"model":{}}'
)


OLD = '{"tool":"A","prompt":"b","negative_prompt":null,"settings":{},"raw":"(b)","weighted":true}'


def test_an_answer_that_an_earlier_version_packed() -> None:
    old = GOOD.replace('"written":null', f'"written":{OLD}').replace('"similarity":null', '"similarity":0.25')
    found = unpack(packed_json(old.replace('"votes":[]', '"votes":[["a",1.0,false,["b"],null,null,[]]]')))
    assert found.written == WrittenPrompt("A", "b", raw="(b)", weighted=True)
    assert (found.self_similarity, found.confidence, found.concepts) == (0.25, None, ())
    assert found.votes == (found.votes[0],)
    assert (found.votes[0].texts, found.votes[0].concepts) == (("b",), ())


@pytest.mark.parametrize(
    "forged",
    [
        b"",
        b"no zlib",
        zlib.crc32(b"no zlib").to_bytes(4, "little") + b"no zlib",
        packed(b""),
        packed_json("[]"),
        packed_json("{}"),
        packed_json("[" * 100_000),
        packed_json(GOOD.replace('"a"', "1")),
        packed_json(GOOD.replace("prediction", "guess")),
        packed_json(GOOD.replace("null", '"1"', 1)),
        packed_json(GOOD.replace('"candidates":[]', '"candidates":[["a"]]')),
        packed_json(GOOD.replace('"votes":[]', '"votes":[["a",1.0,false,[]]]')),
        packed_json(GOOD.replace('"votes":[]', '"votes":[["a",1.0,true,[],null,null,[]]]')),
        packed_json(GOOD.replace('"votes":[]', '"votes":[["a",1.0,false,[],null,null,[["oil"]]]]')),
        packed_json(GOOD.replace('"votes":[]', '"votes":[["a",1.0,false,[],"0.1",null,[]]]')),
        packed_json(GOOD.replace('"votes":[]', '"votes":[["a",1.0,false,[],null,null,[],[["cat","1"]]]]')),
        packed_json(GOOD.replace('"votes":[]', '"votes":[["a",1.0,false,[],null,null,[],[],[]]]')),
        packed_json(GOOD.replace('"model":{}', '"model":{},"confidence":[0.5,0.4]')),
        packed_json(GOOD.replace('"model":{}', '"model":{},"concepts":[["cat"]]')),
        packed_json(GOOD.replace('"written":null', f'"written":{OLD[:-1]},"certainty":"sure"}}')),
        packed_json(GOOD, b""),
        packed_json(GOOD, bytes(7)),
        packed_json(GOOD, bytes(4 * 383)),
        packed(bytes(300 * 2**20)),
    ],
)
def test_what_is_no_answer_is_refused(forged: bytes) -> None:
    assert unpack(packed_json(GOOD)).source == "a"
    with pytest.raises(ValueError, match="damaged"):
        unpack(forged)
