"""Pictures and a question in, captions out."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unprompt.errors import DataError, ModelError
from unprompt.images.preprocess import preprocess

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from tiny_ofa import config, weights, write  # noqa: E402

from unprompt.models.ofa.beam_search import SearchSettings  # noqa: E402
from unprompt.models.ofa.checkpoint import find_files, load  # noqa: E402
from unprompt.models.ofa.model import PREPROCESSING, QUESTION, Caption, Ofa  # noqa: E402

CPU = torch.device("cpu")
SHORT = SearchSettings(beams=3, max_length=6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("ofa"), weights(config()), config())


@pytest.fixture(scope="module")
def ofa(folder: Path) -> Ofa:
    return Ofa.load(folder, CPU)


def _pixels(count: int, side: int = 64) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(0).standard_normal((count, 3, side, side)).astype(np.float32)


def _same(ours: list[list[Caption]], others: list[list[Caption]]) -> bool:
    texts = [[caption.text for caption in captions] for captions in ours]
    scores = [caption.score for captions in ours for caption in captions]
    return texts == [[caption.text for caption in captions] for captions in others] and scores == pytest.approx(
        [caption.score for captions in others for caption in captions], abs=1e-5
    )


def test_captions_are_texts_best_first(ofa: Ofa) -> None:
    captions = ofa.caption(_pixels(3))
    assert [len(of_picture) for of_picture in captions] == [5, 5, 5]
    for of_picture in captions:
        assert all(caption.text == caption.text.strip() for caption in of_picture)
        assert not any(special in caption.text for caption in of_picture for special in ("<s>", "</s>", "<pad>"))
        scores = [caption.score for caption in of_picture]
        assert scores == sorted(scores, reverse=True)


def test_either_format_gives_the_same(ofa: Ofa, tmp_path: Path) -> None:
    safe = Ofa.load(write(tmp_path, weights(config()), config(), safe=True), CPU)
    assert safe.caption(_pixels(2)) == ofa.caption(_pixels(2))


def test_other_pictures_change_nothing(ofa: Ofa) -> None:
    pixels = _pixels(9)  # more than go together
    together = ofa.caption(pixels, settings=SHORT)
    assert _same(together, [ofa.caption(pixels[at : at + 1], settings=SHORT)[0] for at in range(9)])
    assert _same(together[::-1], ofa.caption(pixels[::-1], settings=SHORT))
    assert len({caption[0].score for caption in together}) > 1  # or there is nothing to see


def test_the_question_counts(ofa: Ofa) -> None:
    asked = ofa.caption(_pixels(1), settings=SHORT)
    assert asked == ofa.caption(_pixels(1), QUESTION, SHORT)
    assert not _same(asked, ofa.caption(_pixels(1), " what is it?", SHORT))


def test_no_pictures(ofa: Ofa) -> None:
    assert ofa.caption(_pixels(0)) == []


def test_pictures_are_shown_as_published() -> None:
    shown = preprocess(np.full((300, 200, 3), 255, np.uint8), PREPROCESSING)
    assert shown.shape == (3, 480, 480)
    assert (shown == 1).all()


def test_any_side_up_to_the_largest(ofa: Ofa) -> None:
    assert len(ofa.caption(_pixels(1, 96), settings=SHORT)) == 1  # 6 patches, as many as the tables have
    assert len(ofa.caption(_pixels(1, 50), settings=SHORT)) == 1
    with pytest.raises(DataError, match=r"sides up to 96; found \(1, 3, 97, 97\)"):
        ofa.caption(_pixels(1, 97))


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 1, 64, 64), (1, 3, 64, 0), (1, 3, 0, 0)])
def test_what_are_no_pixels(ofa: Ofa, shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="expected pixels"):
        ofa.caption(np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    ("question", "settings", "message"),
    [
        ("x" * 47, SearchSettings(), "the question has 49 tokens; this OFA reads 48: ask a shorter one"),
        (QUESTION, SearchSettings(max_length=48), "max_length is 48; this OFA writes up to 47 tokens"),
    ],
)
def test_more_than_the_model_takes(ofa: Ofa, question: str, settings: SearchSettings, message: str) -> None:
    with pytest.raises(DataError, match=message):
        ofa.caption(_pixels(1), question, settings)


def test_the_longest_that_the_model_takes(ofa: Ofa) -> None:
    (captions,) = ofa.caption(_pixels(1), "x" * 46, SearchSettings(beams=2, min_length=47, max_length=47))
    assert len(captions) == 2


def _small_device(folder: Path, room: int) -> tuple[Ofa, list[int]]:
    """An OFA on a device that has room for so many pictures, and how many it was given each time."""
    network, tokenizer = load(find_files(folder), torch.float32)
    given: list[int] = []

    def see(part: Any, arguments: tuple[Any, ...]) -> None:
        given.append(len(arguments[0]))
        if given[-1] > room:
            raise torch.OutOfMemoryError("CUDA out of memory")

    network.encoder.register_forward_pre_hook(see)
    return Ofa(network, tokenizer, CPU), given


def test_a_batch_without_room_is_halved_and_said_once(ofa: Ofa, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    small, given = _small_device(folder, 1)
    with caplog.at_level(logging.WARNING):
        assert _same(small.caption(_pixels(5), settings=SHORT), ofa.caption(_pixels(5), settings=SHORT))
        small.caption(_pixels(2), settings=SHORT)
    assert given == [4, 2, 1, 1, 1, 1, 1, 1, 1]
    assert [record.message for record in caplog.records] == [
        "no room on the device for 4 pictures at once: OFA takes fewer"
    ]


def test_halving_ends_at_one(folder: Path) -> None:
    small, given = _small_device(folder, 0)
    with pytest.raises(ModelError, match="no room for one picture"):
        small.caption(_pixels(5))
    assert given == [4, 2, 1]


def test_half_precision_finds_nearly_the_same(ofa: Ofa, folder: Path) -> None:
    network, tokenizer = load(find_files(folder), torch.bfloat16)
    assert {value.dtype for value in network.state_dict().values()} == {torch.bfloat16}
    half = Ofa(network, tokenizer, CPU).caption(_pixels(4), settings=SHORT)
    for ours, exact in zip(half, ofa.caption(_pixels(4), settings=SHORT), strict=True):
        assert ours[0].score == pytest.approx(exact[0].score, abs=0.05)


def test_weights_can_be_moved(folder: Path) -> None:
    network, tokenizer = load(find_files(folder), torch.float32)
    ofa = Ofa(network, tokenizer, CPU)
    ofa.move(torch.device("meta"))
    assert all(value.is_meta for value in network.state_dict().values())
