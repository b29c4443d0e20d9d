"""Where models are found."""

import shutil
from pathlib import Path

import pytest
import tiny_models

from unprompt.errors import ModelError, UnknownNameError
from unprompt.models.store.registry import EMBEDDED, SENTENCE_ENCODER, all_models, find_model, models_folder


@pytest.fixture(autouse=True)
def user_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("UNPROMPT_MODELS", str(folder))
    return folder


def test_every_model_of_the_package_is_whole() -> None:
    embedded = [model for model in all_models()[0] if model.path.parent == EMBEDDED]
    assert {SENTENCE_ENCODER, "clip_tokenizer.unprompt"} <= {model.name for model in embedded}
    for model in embedded:
        assert model.name == model.path.name
        assert {check.state for check in model.verify()} == {"ok"}
        promised = {check.path.name for check in model.verify()}
        assert {path.name for path in model.path.iterdir()} - promised <= {"config.json", "README.md", "LICENSES.md"}


def test_a_model_of_the_user(user_models: Path) -> None:
    tiny_models.decoder(user_models / "words.tiny")
    assert find_model("words.tiny").path == user_models / "words.tiny"
    assert "words.tiny" in [model.name for model in all_models()[0]]


def test_where_the_users_models_are(user_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert models_folder() == user_models
    monkeypatch.delenv("UNPROMPT_MODELS")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert models_folder() == Path("/somewhere/unprompt/models")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "/home/ann")
    assert models_folder() == Path("/home/ann/.cache/unprompt/models")


def test_no_users_folder_is_no_fault(user_models: Path) -> None:
    user_models.rmdir()
    assert find_model(SENTENCE_ENCODER).path == EMBEDDED / SENTENCE_ENCODER


def test_the_packages_models_cannot_be_replaced_unnoticed(user_models: Path) -> None:
    tiny_models.decoder(user_models / SENTENCE_ENCODER)
    assert find_model(SENTENCE_ENCODER).path == EMBEDDED / SENTENCE_ENCODER
    assert [model.name for model in all_models()[0]].count(SENTENCE_ENCODER) == 1


def test_local_points_at_a_folder(tmp_path: Path) -> None:
    tiny_models.decoder(tmp_path / "elsewhere" / "words.tiny")
    found = find_model(f"local:{tmp_path / 'elsewhere' / 'words.tiny'}")
    assert found.name == "words.tiny"
    assert {check.state for check in found.verify()} == {"ok"}
    with pytest.raises(ModelError, match=r"expected a model folder with a config\.json at .*nowhere, found none"):
        find_model(f"local:{tmp_path / 'nowhere'}")


def test_an_unknown_name_gets_the_nearest(user_models: Path) -> None:
    with pytest.raises(
        UnknownNameError, match=r"unknown model 'all-MiniLM-L6-v3\.unprompt'; did you mean 'all-MiniLM-"
    ):
        find_model("all-MiniLM-L6-v3.unprompt")
    with pytest.raises(UnknownNameError, match="unknown model 'no/such/model'"):
        find_model("no/such/model")


def test_a_path_is_told_how_to_be_written(tmp_path: Path) -> None:
    tiny_models.decoder(tmp_path / "words.tiny")
    with pytest.raises(ModelError, match=r"a model is named, not pointed at; for a folder write local:.*words\.tiny"):
        find_model(str(tmp_path / "words.tiny"))


def test_what_holds_no_config_is_no_model(user_models: Path) -> None:
    (user_models / "notes").mkdir()
    (user_models / "file.txt").write_text("x")
    model = tiny_models.decoder(user_models / "words.tiny")
    assert {path.name for path in (found.path for found in all_models()[0]) if path.parent == user_models} == {
        model.name
    }
    shutil.rmtree(model.path)
    with pytest.raises(UnknownNameError):
        find_model("words.tiny")


@pytest.mark.parametrize("config", ["{", "[]", '{"name": "a"}'])
def test_one_broken_config_hides_no_other_model(user_models: Path, config: str) -> None:
    tiny_models.decoder(user_models / "words.tiny")
    (user_models / "broken.tiny").mkdir()
    (user_models / "broken.tiny" / "config.json").write_text(config)
    models, broken = all_models()
    assert "words.tiny" in [model.name for model in models]
    assert len(broken) == 1
    assert str(user_models / "broken.tiny" / "config.json") in str(broken[0])
