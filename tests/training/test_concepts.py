"""Which concepts are found in texts, the labels of pictures, and a network that learns them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from unprompt.images.decode import Picture, decode  # noqa: E402
from unprompt.images.sources import image_refs  # noqa: E402
from unprompt.models.regressors.picture_encoder import LEAST_PROBABILITY, PictureEncoder  # noqa: E402
from unprompt.models.store.folder import ModelFolder  # noqa: E402
from unprompt.training.concepts import CERTAIN, find_concepts, imagenet_words  # noqa: E402
from unprompt.training.recipe import Concepts  # noqa: E402
from unprompt.training.run import export_model  # noqa: E402

pytestmark = pytest.mark.torch

TEXTS = [
    ["a dog runs, oil painting", "two dogs"],
    ["a castle, oil painting, by jane doe"],
    ["the castle of a dog, by jane doe"],
    ["a dog, oil painting"],
    ["rain"],
]
GROUPS = [1, 2, 3, 4, 4]


def test_concepts_are_words_and_phrases_of_enough_groups_by_their_frequency() -> None:
    found = find_concepts(TEXTS, GROUPS, Concepts(least_groups=2, phrase_groups=3))
    assert found.names == ["dog", "oil", "painting", "castle", "oil painting"]
    assert find_concepts(TEXTS, GROUPS, Concepts()).names == []


def test_labels_are_what_texts_name_in_any_form() -> None:
    found = find_concepts(TEXTS, GROUPS, Concepts(least_groups=2, phrase_groups=3))
    labels = found.labels([["castles and DOGS"], ["an oil, a painting"], ["oil paintings"], []])
    named = [[name for name, label in zip(found.names, row, strict=True) if label == CERTAIN] for row in labels]
    assert named == [["dog", "castle"], ["oil", "painting"], ["oil", "painting", "oil painting"], []]


def test_classes_that_are_seen_with_certainty_are_labels_too() -> None:
    found = find_concepts(TEXTS, GROUPS, Concepts(least_groups=2, phrase_groups=3, classes=True))
    classes = np.zeros((3, 1000), np.float32)
    classes[0, 24], classes[1, [151, 152]], classes[2, 980] = 0.9, 0.3, 0.4  # an owl, two breeds of dogs, a volcano
    labels = found.labels([[], [], []], classes)
    named = [[name for name, label in zip(found.names, row, strict=True) if label] for row in labels]
    assert [set(each) for each in named] == [{"owl", "bird"}, {"dog"}, set()]
    assert labels.max() < CERTAIN


def test_every_class_has_plain_words() -> None:
    words = imagenet_words()
    assert len(words) == 1000
    assert all(words)
    assert all(name == name.lower().strip() != "" for several in words for name in several)
    assert (words[24], words[281], words[980], words[483]) == (["owl", "bird"], ["cat"], ["volcano"], ["castle"])


@pytest.fixture(scope="module")
def folders(seeing_run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelFolder, ModelFolder]:
    """The torch folder of the run, and its export."""
    exported = export_model(str(seeing_run), tmp_path_factory.mktemp("models") / "seeing")
    return ModelFolder.open(seeing_run / "best"), exported


def test_both_engines_see_the_same_concepts(folders: tuple[ModelFolder, ModelFolder], pairs: Path) -> None:
    pictures = [decode(ref) for ref in image_refs([str(pairs / f"g{number}.png") for number in range(3)])]
    whole = [picture for picture in pictures if isinstance(picture, Picture)]
    assert len(whole) == 3
    ours, exported = (PictureEncoder(folder, 1).see(whole) for folder in folders)
    names = (folders[1].path / "concepts.txt").read_text().splitlines()
    for one, other in zip(ours, exported, strict=True):
        assert np.allclose(one.vector, other.vector, atol=5e-3)
        assert {concept.name for concept in other.concepts} <= set(names)
        probabilities = [concept.probability for concept in other.concepts]
        assert probabilities == sorted(probabilities, reverse=True)
        assert all(probability >= LEAST_PROBABILITY for probability in probabilities)
        known = {concept.name: concept.probability for concept in one.concepts}
        for concept in other.concepts:
            assert known.get(concept.name, LEAST_PROBABILITY) == pytest.approx(concept.probability, abs=0.02)


def test_names_that_do_not_belong_to_the_model_are_refused(
    folders: tuple[ModelFolder, ModelFolder], tmp_path: Path
) -> None:
    import shutil

    from unprompt.errors import ModelError
    from unprompt.models.regressors.engine import OnnxEngine
    from unprompt.models.store.folder import write_config

    shutil.copytree(folders[1].path, tmp_path / "cut")
    (tmp_path / "cut" / "concepts.txt").write_text("dog\n")
    cut = write_config(tmp_path / "cut", dict(folders[1].config), ["model.onnx", "concepts.txt"])
    with pytest.raises(ModelError, match=r"expected the names of \d+ concepts, found 1"):
        OnnxEngine(cut)
