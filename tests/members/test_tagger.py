"""A tagger as a member: a WD tagger at tiny size, as its repository lies in the hub's cache."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tiny_taggers

from unprompt.answer.answering import Answering
from unprompt.errors import DataError, ModelError, UnknownNameError
from unprompt.members.kinds import needs_of
from unprompt.members.tagger import TaggerMember
from unprompt.presets import load_preset, read_preset
from unprompt.text.sentence import SentenceEncoder
from unprompt.unprompter import Unprompter


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The snapshot of a WD tagger in the hub's cache; the network is off in all tests."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tiny_taggers.put_in_cache(tmp_path / "hub", tiny_taggers.PUBLISHED[0])


def member(options: str = "", model: str = "wd-vit-tagger-v3") -> TaggerMember:
    (spec,) = read_preset(f'[[members]]\nkind = "tagger"\nmodel = "{model}"\n{options}', "own.toml").members
    return TaggerMember.of(spec, threads=2)


def texts(options: str, count: int = 3) -> list[str]:
    return [vote.texts[0] for vote in member(options).vote(tiny_taggers.pictures(count))]


def test_the_preset_tags_answers_with_the_tags(cached: Path, examples: Path) -> None:
    unprompter = Unprompter(load_preset("tags"))
    (answer,) = unprompter.predict([str(examples / "coffee.jpg")], ignore_metadata=True)
    (vote,) = answer.votes
    assert answer.prompt == vote.texts[0]
    assert answer.prompt.split(", ")[:3] == ["1girl", "solo", "hatsune miku"]
    assert np.abs(answer.vector - SentenceEncoder.embedded(1).encode([answer.prompt])[0]).max() < 1e-6
    assert answer.model["models"] == {"wd-vit-tagger-v3": tiny_taggers.COMMIT[:12]}


def test_a_vote_has_the_tags_as_one_text_and_each_as_a_concept(cached: Path) -> None:
    found = member()
    votes = found.vote(tiny_taggers.pictures(3))
    alone = [found.vote([picture])[0] for picture in tiny_taggers.pictures(3)]
    assert [(vote.texts, vote.concepts) for vote in alone] == [(vote.texts, vote.concepts) for vote in votes]
    for vote in votes:
        assert (vote.member, vote.weight, vote.vector) == ("tagger", 1.0, None)
        probabilities = [concept.probability for concept in vote.concepts]
        assert probabilities == sorted(probabilities, reverse=True)
        ratings = [concept.name for concept in vote.concepts if concept.category == "rating"]
        assert ratings == ["rating:sensitive"]
        named = {concept.name for concept in vote.concepts if concept.category != "rating"}
        assert named == set(vote.texts[0].split(", "))
        assert {concept.category for concept in vote.concepts} == {"general", "character", "rating"}


def test_a_rating_is_no_word_of_a_text_in_the_style_of_tags(cached: Path, examples: Path) -> None:
    wording = '[wording]\ndecoder = "sentence_decoder.unprompt"\n'
    text = f'[[members]]\nkind = "tagger"\nmodel = "wd-vit-tagger-v3"\n{wording}'
    answering = Answering(read_preset(text, "own.toml"), threads=1)
    (picture,) = tiny_taggers.pictures(1)
    (votes,) = answering.votes([picture])
    answer = answering.answer(picture, votes, 2, style="tags")
    assert any(concept.name == "rating:sensitive" for concept in answer.concepts)
    assert not any("rating" in candidate.text or "sensitive" in candidate.text for candidate in answer.candidates)


@pytest.mark.parametrize(
    ("options", "held", "left_out"),
    [
        ("", ["white shirt", "fox (animal)", "^_^", "watermark"], ["shirt", "skadi (arknights)", "sensitive"]),
        ("drop_implied = false", ["shirt", "white shirt"], []),
        ("spaces = false", ["white_shirt", "fox_(animal)", "^_^"], ["white shirt"]),
        ("escape = true", [r"fox \(animal\)"], ["fox (animal)"]),
        ('blacklist = ["watermark", "* shirt"]', ["shirt"], ["watermark", "white shirt"]),
        ('categories = ["general", "rating"]', ["sensitive", "1girl"], ["hatsune miku"]),
        ("thresholds = { character = 0.5, general = 0.9 }", ["skadi (arknights)", "watermark"], ["white shirt"]),
    ],
)
def test_options_say_which_tags_are_written_and_how(
    cached: Path, options: str, held: list[str], left_out: list[str]
) -> None:
    for text in texts(options):
        tags = text.split(", ")
        assert set(held) <= set(tags)
        assert not set(left_out) & set(tags)


def test_the_trigger_word_comes_first_and_the_number_of_tags_is_bounded(cached: Path) -> None:
    for text in texts('trigger = "shs style"\nmax_tags = 4'):
        trigger, *tags = text.split(", ")
        assert trigger == "shs style"
        assert len(tags) == 4


def test_where_no_tag_is_probable_enough_it_has_no_opinion(cached: Path) -> None:
    for vote in member('thresholds = { general = 1, character = 1 }\ntrigger = "x"').vote(tiny_taggers.pictures(2)):
        assert (vote.texts, vote.vector) == ((), None)
        assert [concept.category for concept in vote.concepts] == ["rating"]


def test_a_folder_of_ones_own(tmp_path: Path) -> None:
    tiny_taggers.write_wd(tmp_path / "mine")
    own = member('family = "wd"', model=f"local:{tmp_path / 'mine'}")
    elsewhere = member(f"weights = {json.dumps(str(tmp_path / 'mine'))}")
    pictures = tiny_taggers.pictures(2)
    assert [vote.texts for vote in own.vote(pictures)] == [vote.texts for vote in elsewhere.vote(pictures)]


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ("thresholds = { generl = 0.5 }", DataError, "thresholds 'generl'; did you mean 'general'"),
        ("thresholds = { general = 2 }", DataError, "expected thresholds.general to be a number from 0 to 1"),
        ('categories = ["generals"]', UnknownNameError, "did you mean 'general'"),
        ("categories = []", DataError, "expected categories to be some of general, character"),
        ('categories = ["general", "general"]', DataError, "each once"),
        ("max_tags = 0", DataError, "expected max_tags to be a whole number of 1 or more"),
        ('family = "wdv3"', UnknownNameError, "family"),
        ("treshold = 1", UnknownNameError, "did you mean 'thresholds'"),
    ],
)
def test_a_wrong_option_is_an_error_that_names_it(options: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error) as raised:
        member(options)
    assert said in str(raised.value)


def test_what_it_needs_is_told(cached: Path) -> None:
    (need,) = needs_of(load_preset("tags").members[0])
    assert need.is_here
    assert need.licence == "Apache-2.0"
    assert [file.name for file in need.files] == ["model.onnx", "selected_tags.csv"]
    (cached / "model.onnx").unlink()
    with pytest.raises(
        ModelError, match=r"expected model\.onnx in .*; 'unprompt models fetch wd-vit-tagger-v3' brings"
    ):
        Unprompter(load_preset("tags"))
