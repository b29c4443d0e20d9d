"""A captioner as a member: real BLIP and GIT at tiny size."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny_captioners

from unprompt.captioners.opening import open_caption_model
from unprompt.errors import DataError, UnknownNameError
from unprompt.images.decode import Picture
from unprompt.members.captioner import CaptionerMember
from unprompt.presets import load_preset
from unprompt.text.sentence import SentenceEncoder
from unprompt.unprompter import Unprompter

pytestmark = pytest.mark.torch
pytest.importorskip("torch")


@pytest.fixture(scope="module")
def blip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_captioners.write_captioner("blip", tmp_path_factory.mktemp("blip"))


def preset(folder: Path, blip: Path, head: str = "", **options: object) -> Path:
    told = "".join(f"{key} = {json.dumps(value)}\n" for key, value in options.items())
    path = folder / "own.toml"
    path.write_text(f'{head}[[members]]\nkind = "captioner"\nmodel = "local:{blip}"\n{told}')
    return path


def pictures(count: int) -> list[Picture]:
    generator = np.random.default_rng(0)
    made = [generator.integers(0, 256, (40, 60, 3), dtype=np.uint8) for _ in range(count)]
    return [Picture(str(at), pixels, (60, 40), None, f"{at:064}", None) for at, pixels in enumerate(made)]


def test_it_votes_with_its_sentence(blip: Path, tmp_path: Path) -> None:
    (spec,) = load_preset(preset(tmp_path, blip, suffix=", masterpiece", beams=2, max_length=12)).members
    member = CaptionerMember.of(spec)
    changes = {"suffix": ", masterpiece", "beams": 2, "max_length": 12}
    expected = open_caption_model(f"local:{blip}", changes).captions(pictures(2))
    votes = member.vote(pictures(2))
    told = [(caption,) if caption else () for caption in expected]
    assert any(told)
    assert [vote.texts for vote in votes] == told
    assert [(vote.member, vote.weight, vote.vector) for vote in votes] == [("captioner", 1.0, None)] * 2
    member.unload()
    assert [vote.texts for vote in member.vote(pictures(2))] == told


def test_a_preset_of_a_captioner_alone_answers_with_its_sentence(blip: Path, tmp_path: Path, examples: Path) -> None:
    path = preset(tmp_path, blip)
    (answer,) = Unprompter(load_preset(path)).predict([str(examples / "coffee.jpg")])
    (vote,) = answer.votes
    assert answer.prompt == vote.texts[0]
    assert np.abs(answer.vector - SentenceEncoder.embedded(1).encode([answer.prompt])[0]).max() < 1e-6
    assert list(answer.model["models"]) == [f"local:{blip}"]


@pytest.fixture(scope="module")
def silent(blip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BLIP that ends every text at once."""
    from safetensors.torch import load_file, save_file

    folder = tmp_path_factory.mktemp("silent")
    shutil.copytree(blip, folder, dirs_exist_ok=True)
    weights = load_file(folder / "model.safetensors")
    end = json.loads((folder / "config.json").read_text())["text_config"]["sep_token_id"]
    weights["text_decoder.cls.predictions.bias"][end] = 1e4
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_where_it_finds_no_words_others_decide(silent: Path, tmp_path: Path, examples: Path) -> None:
    alone = preset(tmp_path, silent, question="", beams=1, min_length=0)
    member = CaptionerMember.of(load_preset(alone).members[0])
    assert [(vote.texts, vote.vector) for vote in member.vote(pictures(2))] == [((), None)] * 2
    (spec,) = load_preset("embedded").members
    regressor = f'[[members]]\nkind = "regressor"\nmodel = "{spec.model}"\n'
    together = tmp_path / "together.toml"
    together.write_text(regressor + alone.read_text())
    pair = [Unprompter(load_preset(file)).score(examples / "coffee.jpg", ["a cup"]) for file in ("embedded", together)]
    assert pair[0] == pair[1]


def test_where_nobody_finds_words_the_answer_is_empty(silent: Path, tmp_path: Path, examples: Path) -> None:
    unprompter = Unprompter(load_preset(preset(tmp_path, silent, question="", beams=1, min_length=0)))
    (answer,) = unprompter.predict([str(examples / "coffee.jpg")])
    assert (answer.prompt, answer.candidates, answer.self_similarity) == ("", (), None)
    assert np.array_equal(answer.vector, unprompter.encoder.encode([""])[0])


def test_weights_may_lie_elsewhere(blip: Path, tmp_path: Path) -> None:
    text = preset(tmp_path, blip, weights=str(blip)).read_text()
    (tmp_path / "own.toml").write_text(text.replace(f'"local:{blip}"', '"blip-base"'))
    (spec,) = load_preset(tmp_path / "own.toml").members
    expected = open_caption_model(f"local:{blip}").captions(pictures(1))
    assert [vote.texts[0] for vote in CaptionerMember.of(spec).vote(pictures(1))] == expected


def test_settings_are_checked_when_it_is_made(blip: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="beams to be a whole number from 1 to 64, found 0"):
        load_preset(preset(tmp_path, blip, beams=0))
    (spec,) = load_preset(preset(tmp_path, blip, min_length=9, max_length=9)).members
    with pytest.raises(DataError, match="min_length to be less than max_length, found 9 and 9"):
        CaptionerMember.of(spec)
    with pytest.raises(UnknownNameError, match="did you mean 'beams'"):
        load_preset(preset(tmp_path, blip, beam=3))
    with pytest.raises(DataError, match="expected beams to be a whole number"):
        load_preset(preset(tmp_path, blip, beams="3"))


def test_taking_turns_is_read(blip: Path, tmp_path: Path) -> None:
    assert load_preset(preset(tmp_path, blip, "take_turns = true\n")).take_turns
    assert not load_preset(preset(tmp_path, blip)).take_turns
    with pytest.raises(DataError, match="expected take_turns to be true or false, found 1"):
        load_preset(preset(tmp_path, blip, "take_turns = 1\n"))
