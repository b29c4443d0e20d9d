"""The decoder's task on a few dozen texts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from unprompt.errors import DataError
from unprompt.text.sentence import SentenceEncoder

torch = pytest.importorskip("torch")

from unprompt.training.decoder import UNSCORED, DecoderTask, find_phrases, recombine  # noqa: E402
from unprompt.training.decoder_network import SentenceDecoder  # noqa: E402
from unprompt.training.recipe import Recipe  # noqa: E402
from unprompt.training.recipe_file import read_recipe  # noqa: E402
from unprompt.training.texts import normalise  # noqa: E402

pytestmark = pytest.mark.torch

ALL = slice(None)


@pytest.fixture
def recipe(decoder_recipe: Path) -> Recipe:
    return read_recipe(decoder_recipe)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture
def task(recipe: Recipe, folder: Path) -> DecoderTask:
    return DecoderTask(recipe, folder)


def _with(recipe: Recipe, **options: object) -> Recipe:
    return replace(recipe, decoder=replace(recipe.decoder, **options))


def test_the_loss_goes_down(decoder_run: Path) -> None:
    lines = [json.loads(line) for line in (decoder_run / "metrics.jsonl").read_text().splitlines()]
    likelihoods = [line["likelihood"] for line in lines if "likelihood" in line]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert likelihoods[0] == pytest.approx(-np.log(300), abs=0.5)  # knows nothing yet
    assert likelihoods[-1] > likelihoods[0] + 2
    assert losses[-1] < losses[0] - 1


def test_batches_are_the_same_for_the_same_epoch(task: DecoderTask) -> None:
    first, again, second = (list(task.batches(epoch, 4, 0, ALL)) for epoch in (0, 0, 1))
    assert len(first) == task.steps(4) == len(task.examples.tokens) // 4
    assert all(torch.equal(a[key], b[key]) for a, b in zip(first, again, strict=True) for key in a)
    assert any(not torch.equal(a["vector"], b["vector"]) for a, b in zip(first, second, strict=True))


def test_an_epoch_shows_each_text_once_with_its_own_vector(task: DecoderTask) -> None:
    ids, vectors = task.examples.tokens, task.examples.vectors
    end = task.tokenizer.get_vocab()["<end>"]
    shown = []
    for batch in task.batches(3, 4, 0, ALL):
        for tokens, labels, vector in zip(batch["tokens"], batch["labels"], batch["vector"], strict=True):
            scored = labels[labels != UNSCORED].tolist()
            assert scored[-1] == end
            shown.append(([tokens[0].item(), *scored], vector.numpy()))
            assert tokens[: len(scored)].tolist() == shown[-1][0][:-1]
    known = {tuple(row): vector for row, vector in zip(ids, vectors, strict=True)}
    assert len(shown) == len(ids)
    assert {tuple(row) for row, _ in shown} == set(known)
    assert all(np.array_equal(known[tuple(row)], vector) for row, vector in shown)


def test_vectors_are_those_of_the_texts(task: DecoderTask) -> None:
    ids, vectors = task.validation.tokens, task.validation.vectors
    texts = [task.tokenizer.decode(row).strip() for row in ids]
    assert "a red cat" in texts
    assert np.allclose(vectors, SentenceEncoder.embedded().encode(texts), atol=1e-5)


def test_validation_texts_are_not_trained_on(recipe: Recipe, texts: Path, tmp_path: Path) -> None:
    both = _with(recipe, texts=(str(texts / "train.txt"), str(texts / "val.txt")), recombined=0)
    assert len(DecoderTask(both, tmp_path).examples) == 48
    # Nor are those that recombining makes by chance, as it does here.
    read = (texts / "train.txt").read_text().split("\n")[:-1]
    assert "a red cat" in recombine(read, 500, recipe.optimisation.seed)
    task = DecoderTask(_with(both, recombined=500), tmp_path)
    assert "a red cat" not in {task.tokenizer.decode(row).strip() for row in task.examples.tokens}


def test_the_same_start_weights_for_the_same_seed(recipe: Recipe, folder: Path) -> None:
    first, again = (DecoderTask(recipe, folder).model.state_dict() for _ in range(2))
    other = replace(recipe, optimisation=replace(recipe.optimisation, seed=1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["tokens.weight"], DecoderTask(other, folder).model.state_dict()["tokens.weight"])


def test_texts_that_are_too_long_are_left_out(recipe: Recipe, tmp_path: Path) -> None:
    whole = DecoderTask(_with(recipe, recombined=0), tmp_path)
    lengths = [len(row) for row in whole.examples.tokens]
    middle = int(np.median(lengths))
    short = DecoderTask(_with(recipe, recombined=0, max_length=middle - 1), tmp_path)
    assert len(short.examples.tokens) == sum(length <= middle for length in lengths) < len(lengths)
    assert max(map(len, short.examples.tokens)) == middle  # all positions of the model are used


def test_jsonl_texts_are_prompts_and_captions(recipe: Recipe, pairs: Path, tmp_path: Path) -> None:
    task = DecoderTask(_with(recipe, texts=(str(pairs / "train.jsonl"),), recombined=0), tmp_path)
    found = {task.tokenizer.decode(row).strip() for row in task.examples.tokens}
    assert "a red cloud, oil painting" in found
    assert {f"a {thing} seen from afar" for thing in ("cat", "house", "moon", "river", "castle", "robot")} <= found


def test_normalise() -> None:
    assert normalise("  A Cat,\tin\r\n a HAT ") == "a cat, in a hat"
    assert normalise("half \ud83d a pair") == "half ? a pair"


def test_phrases_are_frequent_short_parts_without_names() -> None:
    texts = [f"a cat {number}, oil painting, a very long part of many words, by jane doe, jane" for number in range(12)]
    assert find_phrases([*texts, "a dog, watercolour"]) == ["oil painting"]


def test_recombined_texts() -> None:
    texts = ["a cat, red, soft", "a dog", "a moon, by night, in ink, huge"]
    made = recombine(texts, 200, seed=3)
    assert made == recombine(texts, 200, seed=3)
    assert made != recombine(texts, 200, seed=4)
    assert len(made) == 200
    assert {text.split(", ")[0] for text in made} == {"a cat", "a dog", "a moon"}
    parts = {part for text in texts for part in text.split(", ")}
    assert all(part in parts for text in made for part in text.split(", "))
    assert recombine(["a dog"], 5, seed=0) == []
    assert recombine([], 5, seed=0) == []


def test_data_that_cannot_be_learnt_from(recipe: Recipe, texts: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.write_text("\n")
    with pytest.raises(DataError, match=r"none\.txt: expected a file"):
        DecoderTask(_with(recipe, texts=("none.txt",)), tmp_path / "a")
    for wrong in ({"texts": (str(empty),)}, {"validation": str(empty)}):
        with pytest.raises(DataError, match=r"expected prompts in .*empty\.txt"):
            DecoderTask(_with(recipe, **wrong), tmp_path)
    task = DecoderTask(recipe, tmp_path)
    with pytest.raises(DataError, match="expected a batch of 1000 texts that max_length has room for, found 1"):
        task.steps(1000)


def test_one_token_at_a_time_is_the_whole_sentence() -> None:
    torch.manual_seed(0)
    model = SentenceDecoder(vocabulary_size=20, max_length=9, width=16, depth=2, heads=2).eval()
    tokens, vector = torch.randint(0, 20, (3, 9)), torch.nn.functional.normalize(torch.randn(3, 384))
    with torch.inference_mode():
        whole, _ = model(tokens, vector)
        past = torch.zeros(2, 2, 3, 2, 0, 8)
        for at in range(9):
            step, past = model(tokens[:, at : at + 1], vector, past)
            assert torch.allclose(step[:, 0], whole[:, at], atol=1e-5)
        changed = tokens.clone()
        changed[:, 5:] = 0
        assert torch.allclose(model(changed, vector)[0][:, :5], whole[:, :5], atol=1e-6)  # nothing is read ahead
        assert not torch.allclose(model(tokens, -vector)[0], whole, atol=1e-2)


def test_mixtures_with_neighbours(recipe: Recipe, folder: Path, task: DecoderTask) -> None:
    mixed = DecoderTask(_with(recipe, neighbours=4), folder)
    assert mixed.metric == "mixed"
    with torch.inference_mode():
        metrics = mixed.evaluate(mixed.model.eval())
        assert metrics.keys() == {"likelihood", "mixed"}
        assert mixed.evaluate(mixed.model) == metrics
    first, again = (list(mixed.batches(0, 4, 0, ALL)) for _ in range(2))
    assert all(torch.equal(a[key], b[key]) for a, b in zip(first, again, strict=True) for key in a)
    moved = []
    for plain, batch in zip(task.batches(0, 4, 0, ALL), first, strict=True):
        moved.append((plain["vector"] * batch["vector"]).sum(dim=1))
        assert torch.equal(plain["tokens"], batch["tokens"])
        assert torch.allclose(batch["vector"].norm(dim=1), torch.ones(4), atol=1e-5)
    assert 0.3 < torch.cat(moved).min() < 0.95


def test_a_decoder_learns_to_describe_pictures(seeing_decoder_run: Path) -> None:
    lines = [json.loads(line) for line in (seeing_decoder_run / "metrics.jsonl").read_text().splitlines()]
    seen = [line["pictures"] for line in lines if "pictures" in line]
    assert seen[-1] > seen[0] + 0.5
    assert {"generated", "photo", "likelihood"} <= lines[-1].keys()


def test_a_new_sight_changes_nothing_at_first() -> None:
    torch.manual_seed(0)
    model = SentenceDecoder(vocabulary_size=20, max_length=9, width=16, depth=2, heads=2, concepts=7).eval()
    tokens, vector = torch.randint(0, 20, (3, 5)), torch.nn.functional.normalize(torch.randn(3, 384))
    with torch.inference_mode():
        blind, _ = model(tokens, vector)
        seeing, _ = model(tokens, vector, None, torch.rand(3, 7), torch.tensor([0, 1, 2]))
    assert torch.equal(blind, seeing)


def test_no_picture_is_seen_by_a_probe_that_learnt_from_it(seeing_run: Path, tmp_path: Path) -> None:
    from unprompt.progress import SILENT, no_report
    from unprompt.training.held_out_views import _parts, held_out_views

    train, held = held_out_views(seeing_run, 2, tmp_path, no_report, SILENT)
    assert len(train.vectors) == len(train.concepts) == len(train.pairs.prompts) == 12
    assert np.allclose(np.linalg.norm(train.vectors, axis=1), 1, atol=1e-4)
    assert len(held.vectors) == 4
    again, _ = held_out_views(seeing_run, 2, tmp_path, no_report, SILENT)  # from the cache
    assert np.array_equal(train.vectors, again.vectors)
    parts = _parts(train.pairs.groups, 2)
    assert {part for part, group in zip(parts, train.pairs.groups, strict=True) if group == 0} in ({0}, {1})
    assert set(parts) == {0, 1}
