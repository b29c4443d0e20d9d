"""The interrogator as a member: alone in a preset, and beside a regressor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_taggers

from unprompt import embed
from unprompt.errors import DataError, UnknownNameError
from unprompt.images.decode import Picture, decode
from unprompt.images.sources import image_refs
from unprompt.interrogation.captions import open_captioner
from unprompt.interrogation.interrogation import Settings
from unprompt.interrogation.interrogator import Interrogator
from unprompt.members.interrogator import InterrogatorMember
from unprompt.members.kinds import needs_of
from unprompt.prediction import Prediction
from unprompt.presets import read_preset
from unprompt.unprompter import Unprompter
from unprompt.vocabulary.vocabulary import load_vocabulary

LISTS = {
    "mediums": "an oil painting\na photograph\n",
    "flavors": "moody\nbright\na cup\n",
    "negative": "blurry\nugly\n",
}


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lists")
    for name, terms in LISTS.items():
        (folder / f"{name}.txt").write_text(terms)
    return folder


def member(lists: Path, cache: Path, options: str = "", weight: float = 1.0) -> str:
    return f"""
[[members]]
kind = "interrogator"
model = "embedded"
mode = "fast"
caption = "a picture"
vocabulary = ["{lists}"]
cache = "{cache}"
weight = {weight}
{options}
"""


def answer(text: str, picture: Path) -> Prediction:
    (found,) = Unprompter(read_preset(text, "own.toml"), threads=1).predict(picture, ignore_metadata=True)
    assert isinstance(found, Prediction)
    return found


def test_alone_its_text_is_the_answer(lists: Path, tmp_path: Path, examples: Path) -> None:
    found = answer(member(lists, tmp_path, "negative = true\ngains = true"), examples / "coffee.jpg")
    assert found.prompt.startswith("a picture, ")
    (vote,) = found.votes
    assert (vote.member, vote.texts, vote.weight) == ("interrogator", (found.prompt,), 1.0)
    assert {term.category for term in vote.terms} == {"mediums", "flavors"}
    assert vote.negative_prompt
    assert vote.text_similarity is not None
    assert np.allclose(found.vector, embed([found.prompt])[0], atol=1e-6)
    assert [candidate.text for candidate in found.candidates] == [found.prompt]


def test_beside_a_regressor_it_votes_with_the_vector_of_its_text(lists: Path, tmp_path: Path, examples: Path) -> None:
    regressor = '[[members]]\nkind = "regressor"\nmodel = "vit_tiny_patch16_224.unprompt"\nweight = 3.0\n'
    found = answer(regressor + member(lists, tmp_path), examples / "coffee.jpg")
    first, second = found.votes
    assert (first.weight, second.weight) == (0.75, 0.25)
    assert first.vector is not None
    assert second.vector is not None
    assert np.allclose(second.vector, embed([second.texts[0]])[0], atol=1e-6)
    mean = 0.75 * first.vector.astype(np.float64) + 0.25 * second.vector
    assert np.allclose(found.vector, mean / np.linalg.norm(mean), atol=1e-6)
    assert found.prompt == second.texts[0]  # nobody else offers a text


def test_records_name_the_vocabulary(lists: Path, tmp_path: Path, examples: Path) -> None:
    text = member(lists, tmp_path)
    before = Unprompter(read_preset(text, "own.toml")).identity(text=True)
    assert any(name.startswith("vocabulary ") for name in before["models"])
    (lists / "extra.txt").write_text("golden hour\n")
    try:
        assert Unprompter(read_preset(text, "own.toml")).identity(text=True) != before
    finally:
        (lists / "extra.txt").unlink()


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ('mode = "bets"', UnknownNameError, "best"),
        ("max_terms = 0", DataError, "max_terms to be a whole number of 1 or more"),
        ("max_terms = true", DataError, "max_terms"),
        ('vocabulry = "x"', UnknownNameError, "vocabulary"),
        ('without = "artists"', DataError, "without"),
        ("without = [1]", DataError, "list of texts"),
        ('without = ["mediums", "flavors"]', DataError, "no term is left"),
        ('exclude = "no-such-file.txt"', DataError, "no-such-file"),
        ('tags = { model = "joytag" }', DataError, "tags are words for mode = \"best\", found 'fast'"),
        ("tags = { modl = 1 }", DataError, "did you mean 'model'"),
        ('tags = { model = "joytag", max_tags = 0 }', DataError, "max_tags to be a whole number"),
    ],
)
def test_wrong_options_are_refused(
    options: str, error: type[Exception], said: str, lists: Path, tmp_path: Path
) -> None:
    text = member(lists, tmp_path)
    if options.startswith("mode"):
        text = text.replace('mode = "fast"\n', "")
    with pytest.raises(error, match=said):
        Unprompter(read_preset(text + options, "own.toml"))


def test_tags_of_a_tagger_are_words_of_a_chain(lists: Path, tmp_path: Path, examples: Path) -> None:
    rows = (("sensitive", 9, 1.0), ("a_cup_of_coffee", 0, 5.0), ("on_a_table", 0, 5.0), ("a_cat", 0, -9.0))
    folder = tiny_taggers.write_wd(tmp_path / "wd", rows)
    plain = member(lists, tmp_path, "max_terms = 2\nmin_terms = 1").replace('mode = "fast"', 'mode = "best"')
    tags = f'tags = {{ model = "local:{folder}", family = "wd" }}\n'
    found, without = answer(plain + tags, examples / "coffee.jpg"), answer(plain, examples / "coffee.jpg")
    (vote,) = found.votes
    assert "a cup of coffee" in [term.text for term in vote.terms if term.category == "tags"]
    assert "a cat" not in found.prompt
    assert "a cup of coffee" not in without.prompt
    assert vote.text_similarity is not None
    assert vote.text_similarity > (without.votes[0].text_similarity or 0)
    assert f"local:{folder}" in found.model["models"]
    assert f"local:{folder}" not in without.model["models"]


def test_what_the_tagger_of_an_interrogator_needs_is_told(lists: Path, tmp_path: Path) -> None:
    text = member(lists, tmp_path, 'tags = { model = "wd-vit-tagger-v3" }').replace('mode = "fast"', 'mode = "best"')
    assert "wd-vit-tagger-v3" in [need.name for need in needs_of(read_preset(text, "own.toml").members[0])]


def test_a_preset_without_wording_needs_a_member_with_words() -> None:
    with pytest.raises(DataError, match="offers texts"):
        read_preset('[[members]]\nkind = "regressor"\nmodel = "vit_tiny_patch16_224.unprompt"\n', "own.toml")


@pytest.mark.torch
def test_its_towers_leave_the_device_and_come_back(lists: Path, tmp_path: Path, examples: Path) -> None:
    """On a GPU where there is one."""
    pytest.importorskip("torch")
    import tiny_open_clip
    from safetensors.torch import save_file

    from unprompt.towers.open_clip import OpenClipTowers

    model = tiny_open_clip.build()
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, tmp_path / "clip.safetensors")
    towers = OpenClipTowers("ViT-B-32.openai", weights=str(tmp_path), options=tiny_open_clip.OPTIONS)
    interrogator = Interrogator(towers, load_vocabulary([str(lists)]), open_captioner("a picture"))
    asked = InterrogatorMember(interrogator, Settings(mode="fast"), name="interrogator", weight=1.0)
    (picture,) = map(decode, image_refs(str(examples / "coffee.jpg")))
    assert isinstance(picture, Picture)
    (vote,) = asked.vote([picture])
    assert vote.terms
    asked.unload()
    assert {value.device.type for value in towers._model.load().parameters()} == {"cpu"}
    (again,) = asked.vote([picture])
    assert (again.texts, again.terms, again.text_similarity) == (vote.texts, vote.terms, vote.text_similarity)
