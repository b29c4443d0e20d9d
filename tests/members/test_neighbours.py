"""The neighbours: a real bank of real prompts, the embedded pair, real pictures."""

from pathlib import Path

import numpy as np
import pytest
import tiny_models
from indexed import bank_of
from vector_clusters import clustered

from unprompt.bank.bank import Bank
from unprompt.bank.building import build_bank
from unprompt.bank.indexing import build_index
from unprompt.bank.needs import bank_need
from unprompt.errors import DataError, UnknownNameError
from unprompt.images.decode import Picture, decode
from unprompt.images.sources import image_refs
from unprompt.members.member import MemberSpec
from unprompt.members.neighbours import Neighbours, NeighboursOptions, weighted_mean
from unprompt.prediction import Prediction
from unprompt.presets import read_preset
from unprompt.progress import SILENT
from unprompt.text.sentence import SentenceEncoder
from unprompt.towers.embedded import EmbeddedPair
from unprompt.unprompter import Unprompter

PROMPTS = [
    f"{style} of {thing}, {light}"
    for style in ("a photo", "an oil painting", "a sketch")
    for thing in ("a red fox", "an old ship", "a lighthouse", "a bowl of ramen", "an astronaut")
    for light in ("golden hour", "at night", "studio light", "fog")
]


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    return build_bank(PROMPTS, tmp_path_factory.mktemp("neighbours") / "bank", EmbeddedPair(1), threads=1)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Picture]:
    paths = tiny_models.pictures(tmp_path_factory.mktemp("pictures"), 5)
    return [item for item in map(decode, image_refs(map(str, paths))) if isinstance(item, Picture)]


def neighbours(bank: Bank, k: int = 100, power: float = 6.0) -> Neighbours:
    return Neighbours(bank, EmbeddedPair(1), name="neighbours", weight=0.25, k=k, power=power)


@pytest.mark.parametrize(("k", "power"), [(1, 6.0), (7, 6.0), (100, 6.0), (20, 2.5)])
def test_the_vector_is_the_formula(bank: Bank, pictures: list[Picture], k: int, power: float) -> None:
    votes = neighbours(bank, k, power).vote(pictures)
    vectors = SentenceEncoder.embedded(1).encode(PROMPTS).astype(np.float16).astype(np.float64)
    for image, vote in zip(EmbeddedPair(1).encode_images(pictures), votes, strict=True):
        distances = np.linalg.norm(vectors - image, axis=1)
        nearest = np.argsort(distances)[:k]
        mean = (vectors[nearest] / distances[nearest, None] ** power).sum(axis=0)
        assert vote.vector is not None
        assert np.allclose(vote.vector, mean / np.linalg.norm(mean), atol=1e-3)  # of float16: 3e-4 of a length
        assert np.linalg.norm(vote.vector) == pytest.approx(1, abs=1e-6)
        assert vote.vector.dtype == np.float32
        assert vote.texts == tuple(PROMPTS[row] for row in nearest[:5])
        assert vote.text_similarity == pytest.approx(float(vectors[nearest[0]] @ image), abs=1e-6)
        assert (vote.member, vote.weight) == ("neighbours", 0.25)


def test_what_else_is_in_the_batch_changes_nothing(bank: Bank, pictures: list[Picture]) -> None:
    member = neighbours(bank)
    together = member.vote(pictures)
    for picture, vote in zip(pictures, together, strict=True):
        (alone,) = neighbours(bank).vote([picture])
        assert (alone.vector == vote.vector).all()
        assert (alone.texts, alone.text_similarity) == (vote.texts, vote.text_similarity)
    assert not np.allclose(together[0].vector, together[1].vector, atol=1e-4)
    assert member.vote([]) == []


def test_a_prompt_at_the_very_place_of_the_picture_is_the_answer() -> None:
    vectors = np.eye(384)[:3]
    mean = weighted_mean(vectors, np.array([1.0 + 1e-9, 0.9, 0.1]), 6.0)
    assert np.allclose(mean, vectors[0], atol=1e-12)


def test_prompts_that_cancel_out_leave_the_nearest() -> None:
    vectors = np.stack([np.eye(384)[0], -np.eye(384)[0]])
    assert weighted_mean(vectors, np.array([0.2, 0.2]), 6.0).tolist() == np.eye(384)[0].tolist()


@pytest.mark.parametrize("similarity", [-1.0, 1.0])
def test_the_largest_power_overflows_nowhere(similarity: float) -> None:
    vectors = np.eye(384)[:2]
    assert np.isfinite(weighted_mean(vectors, np.array([1.0, similarity]), 1e6)).all()


def test_it_says_what_it_asks(bank: Bank) -> None:
    member = neighbours(bank)
    assert member.identities() == {**EmbeddedPair(1).identities(), **bank.identity()}
    assert member.shorter_side == EmbeddedPair(1).shorter_side


def preset(bank: Bank, more: str = "") -> str:
    # Single quotes: a path of Windows holds backslashes.
    return f"[[members]]\nkind = 'neighbours'\nmodel = 'embedded'\nbank = '{bank.folder}'\n{more}"


def test_a_preset_of_neighbours_answers_with_prompts_of_the_bank(bank: Bank, tmp_path: Path) -> None:
    unprompter = Unprompter(read_preset(preset(bank, "k = 20\npower = 4\n"), "own.toml"), threads=1)
    paths = list(map(str, tiny_models.pictures(tmp_path / "pictures", 2)))
    answers = list(unprompter.predict(paths, ignore_metadata=True))
    for answer in answers:
        assert isinstance(answer, Prediction)
        assert answer.prompt in PROMPTS
        assert answer.candidates[0].origin == "neighbours"
        assert bank.identity().items() <= answer.model["models"].items()
    (member,) = unprompter.members
    assert isinstance(member, Neighbours)
    assert (member._k, member._power) == (20, 4.0)


def test_it_votes_beside_others(bank: Bank, tmp_path: Path) -> None:
    other = "[[members]]\nkind = 'regressor'\nmodel = 'vit_tiny_patch16_224.unprompt'\nweight = 3\n"
    unprompter = Unprompter(read_preset(preset(bank, f"weight = 1\n{other}"), "own.toml"), threads=1)
    (answer,) = unprompter.predict([str(tiny_models.pictures(tmp_path / "p", 1)[0])], ignore_metadata=True, text=False)
    assert isinstance(answer, Prediction)
    assert [(vote.member, vote.weight) for vote in answer.votes] == [("neighbours", 0.25), ("regressor", 0.75)]
    fused = sum(vote.weight * vote.vector.astype(np.float64) for vote in answer.votes)
    assert np.allclose(answer.vector, fused / np.linalg.norm(fused), atol=1e-6)


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ("k = 2.5\n", DataError, "expected k to be a whole number"),
        ("k = true\n", DataError, "expected k to be a whole number"),
        ("k = 0\n", DataError, "k to be a whole number from 1 to 1,000,000, found 0"),
        ("power = true\n", DataError, "expected power to be a number"),
        ("power = 'six'\n", DataError, "expected power to be a number"),
        ("power = 0\n", DataError, "power to be a number above 0 and at most 1,000,000, found 0"),
        ("power = -1.0\n", DataError, "power to be a number above 0"),
        ("power = nan\n", DataError, "power to be a number above 0"),
        ("power = inf\n", DataError, "power to be a number above 0"),
        ("powr = 6\n", UnknownNameError, "did you mean 'power'"),
    ],
)
def test_options_that_are_none(bank: Bank, more: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        read_preset(preset(bank, more), "own.toml")


def test_a_bank_must_be_named_and_there() -> None:
    with pytest.raises(DataError, match="expected a bank, found none; make one with 'unprompt bank build'"):
        read_preset('[[members]]\nkind = "neighbours"\nmodel = "embedded"\n', "own.toml")
    with pytest.raises(DataError, match=r"expected a bank with a config\.json at nowhere"):
        Neighbours.of(MemberSpec("neighbours", "neighbours", "embedded", 1.0, NeighboursOptions("nowhere")))


@pytest.mark.torch
def test_a_bank_of_an_open_clip_model(tmp_path: Path, pictures: list[Picture]) -> None:
    pytest.importorskip("torch")
    import tiny_open_clip

    from unprompt.towers.open_clip import OpenClipTowers

    towers = OpenClipTowers.of(tiny_open_clip.build(), "ViT-B-32.openai")
    bank = build_bank(PROMPTS, tmp_path / "bank", towers, threads=1)
    assert bank.compared.shape == (len(PROMPTS), towers.size)
    assert np.allclose(bank.compared, towers.encode_texts(PROMPTS), atol=2e-3)
    assert np.allclose(bank.sentences, SentenceEncoder.embedded(1).encode(PROMPTS), atol=2e-3)
    member = Neighbours(bank, towers, name="neighbours", weight=1.0, k=7)
    cosines = towers.encode_images(pictures).astype(np.float64) @ bank.compared.astype(np.float64).T
    for cosine, vote in zip(cosines, member.vote(pictures), strict=True):
        nearest = np.argsort(-cosine)[:7]
        weights = (2 - 2 * cosine[nearest]) ** -3
        mean = weights @ bank.sentences[nearest].astype(np.float64)
        assert vote.texts == tuple(PROMPTS[row] for row in nearest[:5])
        assert np.allclose(vote.vector, mean / np.linalg.norm(mean), atol=1e-6)

    other = OpenClipTowers.of(tiny_open_clip.build(seed=1), "ViT-B-32.openai")
    for asked in (other, EmbeddedPair(1)):
        stranger = Neighbours(Bank.open(bank.folder), asked, name="neighbours", weight=1.0)
        for ask in (lambda member: member.vote(pictures), lambda member: member.prepare(None)):
            with pytest.raises(DataError, match=r"was built with ViT-B-32\.openai .* use that model with its weights"):
                ask(stranger)


@pytest.mark.torch
def test_a_damaged_bank_of_an_open_clip_model_is_no_vote(tmp_path: Path, pictures: list[Picture]) -> None:
    pytest.importorskip("torch")
    import tiny_open_clip

    from unprompt.towers.open_clip import OpenClipTowers

    towers = OpenClipTowers.of(tiny_open_clip.build(), "ViT-B-32.openai")
    folder = build_bank(PROMPTS, tmp_path / "bank", towers, threads=1).folder
    vectors = np.fromfile(folder / "sentences.f16", "<f2")
    vectors[::7] = np.nan
    vectors.tofile(folder / "sentences.f16")
    with pytest.raises(DataError, match="some of its vectors have no unit length"):
        Neighbours(Bank.open(folder), towers, name="neighbours", weight=1.0, k=7).vote(pictures)


def test_an_approximate_member_votes_by_the_index_of_its_bank(tmp_path: Path, pictures: list[Picture]) -> None:
    pytest.importorskip("faiss", reason="indexes are made by faiss, of the extra [index]")
    bank = bank_of(clustered(3000, spread=0.3).astype(np.float32), tmp_path / "bank")
    exact, approximate = (NeighboursOptions(str(bank.folder), k=20, approximate=each) for each in (False, True))
    with pytest.raises(DataError, match=r"has 3,000 prompts, and an index pays from 50,000 .* without 'approximate'"):
        Neighbours.of(MemberSpec("neighbours", "neighbours", "embedded", 1.0, approximate))
    need = bank_need(bank.folder, "embedded", approximate=True)
    assert [file.name for file in need.files if file.here] == ["bank"]
    assert [(file.name, file.place) for file in need.missing] == [
        ("index/config.json", bank.folder / "index" / "config.json")
    ]
    assert "an index pays from 50,000 on" in str(need.absence())
    assert bank_need(bank.folder, "embedded").is_here

    index = build_index(bank, SILENT, 1)
    assert bank_need(bank.folder, "embedded", approximate=True).is_here
    spec = read_preset(preset(bank, "k = 20\napproximate = true\n"), "own.toml").members[-1]
    member = Neighbours.of(spec, threads=1)
    images = EmbeddedPair(1).encode_images(pictures)
    for (rows, similarities), vote in zip(index.nearest(images, 20), member.vote(pictures), strict=True):
        assert vote.vector is not None
        assert (vote.vector == weighted_mean(bank.sentence_vectors(rows), similarities, 6.0)).all()
        assert vote.texts == tuple(bank.texts(rows[:5].tolist()))
    other = Neighbours.of(MemberSpec("neighbours", "neighbours", "embedded", 1.0, exact))
    assert member.identities() == {**other.identities(), **index.identity()}
