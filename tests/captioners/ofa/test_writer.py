"""OFA among the captioners: the same captions as its network and search alone give."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from unprompt.captioners.hypotheses import first_sound
from unprompt.captioners.opening import OFA, open_caption_model
from unprompt.errors import DataError, ModelError
from unprompt.images.decode import Picture
from unprompt.images.preprocess import preprocess

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from tiny_ofa import config, load, weights, write  # noqa: E402

from unprompt.captioners.ofa.beam_search import SearchSettings, search  # noqa: E402
from unprompt.captioners.ofa.files import find_files  # noqa: E402
from unprompt.captioners.ofa.network import Captioning  # noqa: E402
from unprompt.captioners.ofa.writer import PREPROCESSING, OfaWriter  # noqa: E402

CPU = torch.device("cpu")
PUBLISHED = SearchSettings()

SIZES = config(image_bucket_size=30)
"""Those of a model that sees 480 pixels."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("ofa"), weights(SIZES), SIZES)


def _pictures(count: int) -> list[Picture]:
    generator = np.random.default_rng(3)
    made = []
    for number in range(count):
        pixels = generator.integers(0, 256, (40 + 30 * number, 60, 3), dtype=np.uint8)
        made.append(Picture(str(number), pixels, (60, len(pixels)), None, f"{number:064}", None))
    return made


@torch.inference_mode()
def _told(folder: Path, pictures: list[Picture], question: str, settings: SearchSettings) -> list[str]:
    network, tokenizer = load(find_files(folder))
    pixels = torch.from_numpy(np.stack([preprocess(picture.pixels, PREPROCESSING) for picture in pictures]))
    asked = torch.tensor([tokenizer.encode(question)] * len(pictures))
    captioning = Captioning(network, network.encode(pixels, asked), settings.max_length + 1)
    found = search(captioning, len(pictures), settings, CPU)
    return [first_sound([tokenizer.decode(each.tokens) for each in hypotheses]) for hypotheses in found]


def test_it_is_asked_as_in_the_published_ensemble() -> None:
    assert OFA.question == " what does the image describe?"
    assert (OFA.beams, OFA.no_repeat_ngram_size) == (PUBLISHED.beams, PUBLISHED.no_repeat_ngram_size)
    # The token that begins a text counts in the one and not in the other.
    assert (OFA.min_length - 1, OFA.max_length - 1) == (PUBLISHED.min_length, PUBLISHED.max_length)


def test_pictures_are_shown_as_published(folder: Path) -> None:
    white = Picture("white", np.full((300, 200, 3), 255, np.uint8), (200, 300), None, "", None)
    shown = OfaWriter(find_files(folder), OFA, CPU).see(white)
    assert shown.shape == (3, 480, 480)
    assert (shown == 1).all()


def test_it_says_what_ofa_says(folder: Path) -> None:
    pictures = _pictures(3)
    captioner = open_caption_model(f"local:{folder}")
    told = captioner.captions(pictures)
    assert told == _told(folder, pictures, OFA.question, PUBLISHED)
    assert all(told)
    assert told == [captioner.captions([picture])[0] for picture in pictures]
    suffixed = open_caption_model(f"local:{folder}", {"suffix": ", fine details, masterpiece"})
    assert suffixed.captions(pictures) == [f"{caption}, fine details, masterpiece" for caption in told]


def test_every_setting_reaches_the_search(folder: Path) -> None:
    changes = {"beams": 3, "min_length": 4, "max_length": 9, "no_repeat_ngram_size": 3, "question": " what is it?"}
    told = open_caption_model("ofa-tiny", changes, weights=folder).captions(_pictures(2))
    settings = SearchSettings(beams=3, min_length=3, max_length=8, no_repeat_ngram_size=3)
    assert told == _told(folder, _pictures(2), " what is it?", settings)
    assert told != open_caption_model(f"local:{folder}").captions(_pictures(2))


def test_it_comes_back_after_it_made_room(folder: Path) -> None:
    captioner = open_caption_model(f"local:{folder}")
    told = captioner.captions(_pictures(1))
    captioner.unload()
    assert captioner.captions(_pictures(1)) == told


def test_its_identity_changes_with_its_files(folder: Path, tmp_path: Path) -> None:
    (before,) = open_caption_model(f"local:{folder}").identities().values()
    other = write(tmp_path, weights(SIZES, seed=10), SIZES)
    (after,) = open_caption_model(f"local:{other}").identities().values()
    assert re.fullmatch("[0-9a-f]{12}", before)
    assert before != after


def test_what_the_model_does_not_take(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected length_penalty = 1"):
        open_caption_model(f"local:{folder}", {"length_penalty": 0.6})
    with pytest.raises(DataError, match="this OFA reads 48"):
        open_caption_model(f"local:{folder}", {"question": " x" * 60}).captions(_pictures(1))
    with pytest.raises(DataError, match="max_length is 49; this OFA writes up to 48 tokens"):
        open_caption_model(f"local:{folder}", {"max_length": 49}).captions(_pictures(1))
    small = write(tmp_path, weights(config()), config())
    with pytest.raises(DataError, match="this OFA sees up to 96 pixels"):
        open_caption_model(f"local:{small}").captions(_pictures(1))


def test_what_it_does_not_take_is_said_before_weights_are_read(folder: Path, tmp_path: Path) -> None:
    whole = shutil.copytree(folder, tmp_path / "ofa")
    (whole / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(DataError, match="max_length is 49; this OFA writes up to 48 tokens"):
        open_caption_model(f"local:{whole}", {"max_length": 49}).captions(_pictures(1))
    with pytest.raises(ModelError, match="pytorch_model"):
        open_caption_model(f"local:{whole}").captions(_pictures(1))


def test_longer_repetitions_than_a_caption_are_none(folder: Path) -> None:
    told = open_caption_model(f"local:{folder}", {"no_repeat_ngram_size": 512}).captions(_pictures(1))
    assert told == open_caption_model(f"local:{folder}", {"no_repeat_ngram_size": 0}).captions(_pictures(1))


def test_a_folder_that_is_not_whole(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    captioner = open_caption_model(f"local:{tmp_path}")
    with pytest.raises(ModelError, match=r"it lacks vocab\.json, merges\.txt, model\.safetensors"):
        captioner.captions(_pictures(1))


def test_a_name_without_its_weights_says_where_they_belong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        ModelError,
        match=r"the weights of ofa-base are not here.* OFA-Sys/ofa-base in .*; the network is off .*\(local:FOLDER\)$",
    ):
        open_caption_model("ofa-base").captions(_pictures(1))
