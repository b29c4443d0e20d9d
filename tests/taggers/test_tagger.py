"""Taggers of every family, at tiny size: what they find, beside the bare session; and what does not fit together."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import tiny_taggers
from tiny_taggers import PUBLISHED, Published

from unprompt.errors import DataError, ModelError, UnknownNameError
from unprompt.taggers.choosing import Choice, Tags
from unprompt.taggers.families import CATEGORIES, FAMILIES
from unprompt.taggers.files import local_tagger
from unprompt.taggers.opening import open_tagger, tagger_names, tagger_place
from unprompt.taggers.squares import square_input

EVERY = Choice(categories=CATEGORIES, drop_implied=False)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache, empty; the network is off in all tests."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def plain(tags: Tags) -> dict[str, float]:
    return {tag.name: tag.probability for tag in tags.chosen}


@pytest.mark.parametrize("tagger", PUBLISHED, ids=lambda tagger: tagger.name)
def test_a_repository_in_the_cache_is_read_offline(tagger: Published, cache: Path) -> None:
    snapshot = tiny_taggers.put_in_cache(cache, tagger)
    opened = open_tagger(tagger.name, choice=EVERY, threads=2)
    assert opened.family.name == tagger.family
    assert opened.identities() == {tagger.name: snapshot.name[:12]}
    pictures = tiny_taggers.pictures(3)
    found = opened.tag(pictures)
    assert [opened.tag([picture])[0] for picture in pictures] == found  # to the bit
    assert open_tagger(tagger.repository, choice=EVERY, threads=1).tag(pictures) == found
    local = open_tagger(f"local:{snapshot}", opened.family.name, choice=EVERY)
    assert local.tag(pictures) == found
    assert local.identities() != opened.identities()
    assert all(tags.chosen for tags in found)


@pytest.mark.parametrize("tagger", PUBLISHED, ids=lambda tagger: tagger.name)
def test_probabilities_are_those_of_the_bare_session(tagger: Published, tmp_path: Path) -> None:
    family = FAMILIES[tagger.family]
    files = local_tagger(tagger.write(tmp_path), family)
    (picture,) = tiny_taggers.pictures(1)
    given = square_input(picture.pixels, family.square, tiny_taggers.SIDE)
    (raw,) = onnxruntime.InferenceSession(files.weights).run([tagger.output], {"input": given})[0]
    expected = 1 / (1 + np.exp(-raw.astype(np.float64))) if tagger.sigmoid else raw
    everything = Choice(dict.fromkeys(CATEGORIES, 0.0), CATEGORIES, drop_implied=False)
    tagger_found = open_tagger(f"local:{tmp_path}", family.name, choice=everything)
    found = plain(tagger_found.tag([picture])[0])
    names = tagger_found._tags.names
    ratings = [at for at, category in enumerate(tagger_found._tags.categories) if category == "rating"]
    for at, name in enumerate(names):
        if at not in ratings:
            assert found[name] == pytest.approx(float(expected[at]), abs=1e-6)
    if ratings:
        best = max(ratings, key=lambda at: expected[at])
        assert found[names[best]] == pytest.approx(float(expected[best]), abs=1e-6)


def test_the_names_of_published_taggers_are_known() -> None:
    assert {tagger.name for tagger in PUBLISHED} < set(tagger_names())
    assert tagger_place("SmilingWolf/wd-v1-4-moat-tagger-v2").family.name == "wd"
    assert tagger_place("someone/finetuned", "wd").published is not None


def test_thresholds_of_the_repository_count_and_those_of_the_user_more(tmp_path: Path) -> None:
    tiny_taggers.write_pixai(tmp_path, {"general": 0.999, "character": 0.1})
    pictures = tiny_taggers.pictures(1)
    own = open_tagger(f"local:{tmp_path}", "pixai").tag(pictures)[0]
    assert [tag.name for tag in own.of("character")] == ["hu_tao_(genshin_impact)", "skadi_(arknights)"]
    assert {tag.name for tag in own.of("copyright")} == {"genshin_impact", "arknights"}
    assert own.of("general") == ()
    changed = open_tagger(f"local:{tmp_path}", "pixai", choice=Choice({"general": 0.0, "character": 0.999}))
    assert {tag.name for tag in changed.tag(pictures)[0].chosen} == {"1girl", "sky"}
    (tmp_path / "thresholds.csv").unlink()
    assert [tag.name for tag in open_tagger(f"local:{tmp_path}", "pixai").tag(pictures)[0].of("character")] == [
        "hu_tao_(genshin_impact)"
    ]


def test_the_side_is_the_models_own(tmp_path: Path) -> None:
    tiny_taggers.write_wd(tmp_path, side=64)
    assert open_tagger(f"local:{tmp_path}", "wd").tag(tiny_taggers.pictures(2))[1].chosen


@pytest.mark.parametrize(
    ("name", "options", "error", "said"),
    [
        ("wd-vit-tager-v3", {}, UnknownNameError, "unknown tagger 'wd-vit-tager-v3'; did you mean 'wd-vit-tagger-v3'"),
        ("someone/finetuned", {}, DataError, "does not say how the tagger is used; add its family, one of wd, pixai"),
        ("local:here", {}, DataError, "add its family, one of wd, pixai, joytag, camie, camie-v2"),
        ("joytag", {"family": "wd"}, DataError, "joytag is a tagger of the family 'joytag', found family = 'wd'"),
        ("local:here", {"family": "wd", "weights": Path("there")}, DataError, "expected one place for a tagger"),
    ],
)
def test_a_name_that_says_too_little_is_an_error(
    name: str, options: dict[str, object], error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as raised:
        open_tagger(name, **options)  # type: ignore[arg-type]
    assert said in str(raised.value)


def test_a_list_that_does_not_fit_the_weights_is_an_error(tmp_path: Path) -> None:
    tiny_taggers.write_wd(tmp_path, count=15)
    with pytest.raises(ModelError) as raised:
        open_tagger(f"local:{tmp_path}", "wd").tag(tiny_taggers.pictures(1))
    said = str(raised.value)
    assert "selected_tags.csv does not fit model.onnx: it lists 16 tags, and the model's outputs are output" in said
    assert "15]; put both there again, from one place" in said


@pytest.mark.parametrize(
    ("family", "written", "said"),
    [
        ("joytag", "wd", r"expected one input \(batch, 3, side, side\), as taggers of the family joytag have"),
        ("wd", "joytag", r"expected one input \(batch, side, side, 3\), as taggers of the family wd have"),
        ("pixai", "joytag", "expected probabilities, found .* it is no tagger of the family pixai"),
    ],
)
def test_weights_of_another_family_are_an_error(tmp_path: Path, family: str, written: str, said: str) -> None:
    write = {"wd": tiny_taggers.write_wd, "joytag": tiny_taggers.write_joytag}[written]
    write(tmp_path)
    lists = {name: tmp_path / FAMILIES[name].tags[0] for name in (written, family)}
    if family == "joytag":
        lists["joytag"].write_text("\n".join(name for name, _, _ in tiny_taggers.WD))
    else:
        rows = [f"{name},0" for name in tiny_taggers.JOYTAG]
        lists[family].write_text("\n".join(["name,category", *rows]))
    with pytest.raises(ModelError, match=said):
        open_tagger(f"local:{tmp_path}", FAMILIES[family].name).tag(tiny_taggers.pictures(1))


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        ("model.onnx", "is no whole tagger of the family wd: expected model.onnx, found none; copy it there"),
        ("selected_tags.csv", "expected selected_tags.csv, found none"),
    ],
)
def test_a_file_that_is_missing_is_an_error(tmp_path: Path, lacking: str, said: str) -> None:
    (tiny_taggers.write_wd(tmp_path) / lacking).unlink()
    with pytest.raises(ModelError, match=said):
        open_tagger(f"local:{tmp_path}", "wd").tag(tiny_taggers.pictures(1))


def test_weights_that_are_none_are_an_error(tmp_path: Path) -> None:
    (tiny_taggers.write_wd(tmp_path) / "model.onnx").write_bytes(b"no network")
    with pytest.raises(ModelError, match=r"cannot load .*model\.onnx: expected an ONNX file, found a damaged one"):
        open_tagger(f"local:{tmp_path}", "wd").tag(tiny_taggers.pictures(1))


def test_without_the_files_and_the_network_the_error_names_both(cache: Path) -> None:
    with pytest.raises(ModelError) as raised:
        open_tagger("wd-vit-tagger-v3").tag(tiny_taggers.pictures(1))
    said = str(raised.value)
    assert f"expected model.onnx, selected_tags.csv of SmilingWolf/wd-vit-tagger-v3 in {cache}" in said
    assert "the network is off" in said
    assert "local:FOLDER" in said


def test_any_byte_of_a_folder_changes_its_identity(tmp_path: Path) -> None:
    folder = tiny_taggers.write_pixai(tmp_path / "a")
    seen = set()
    for at, name in enumerate(["", "model.onnx", "selected_tags.csv", "thresholds.csv"]):
        copy = shutil.copytree(folder, tmp_path / f"copy{at}")
        if name:
            with (copy / name).open("ab") as file:
                file.write(b"\n")
        seen.add(open_tagger(f"local:{copy}", "pixai").identities()[f"local:{copy}"])
    assert len(seen) == 4


def test_no_picture_loads_nothing() -> None:
    assert open_tagger("local:nowhere", "wd").tag([]) == []
