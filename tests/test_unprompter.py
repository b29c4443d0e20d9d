"""Pictures to predictions: order, batches, failures, laziness."""

import random
import shutil
import sys
import tarfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from web_servers import response, serving

from unprompt import Failure, Prediction, Unprompter, embed, load
from unprompt.answer.answering import Answering
from unprompt.answer.codebook import Codebook
from unprompt.answer.fusing import fuse
from unprompt.answer.memory import RecentAnswers
from unprompt.answer.needs import preset_needs
from unprompt.errors import DataError, MissingExtraError, ModelError, PictureError, UnknownNameError
from unprompt.images.files import LocalFile
from unprompt.images.ref import ImageRef
from unprompt.images.sources import image_refs
from unprompt.images.web.limits import WebLimits
from unprompt.models.store.folder import ModelFolder, write_config
from unprompt.output.records import to_record
from unprompt.prediction import WrittenPrompt, WrittenText
from unprompt.presets import WordingSpec, load_preset
from unprompt.unprompter import _DECODERS_LIMIT, _WAITING_LIMIT

AHEAD = 4 + 2 * _DECODERS_LIMIT  # at a batch of four

PROMPT = "a full moon rising over blue mountains, reflected in a calm lake, starry night sky, flat vector illustration"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("unprompter")


@pytest.fixture(scope="module")
def preset(folder: Path) -> Path:
    models = [tiny_models.regressor(folder / f"linear.{seed}", seed=seed) for seed in (1, 2)]
    return tiny_models.preset(folder / "tiny.toml", *models, weights=(3.0, 1.0))


@pytest.fixture(scope="module")
def unprompter(preset: Path) -> Unprompter:
    return load(preset)


@pytest.fixture(scope="module")
def pictures(folder: Path) -> list[Path]:
    return tiny_models.pictures(folder / "pictures", 36)


def vectors(unprompter: Unprompter, paths: list[Path], **options: int) -> dict[str, np.ndarray]:
    answers = list(unprompter.predict(paths, text=False, **options))
    assert [answer.source for answer in answers] == list(map(str, paths))
    return {answer.source: answer.vector for answer in answers if isinstance(answer, Prediction)}


def test_a_prediction_without_text(unprompter: Unprompter, pictures: list[Path]) -> None:
    (answer,) = unprompter.predict(pictures[0], text=False)
    assert isinstance(answer, Prediction)
    assert (answer.prompt, answer.self_similarity, answer.candidates) == ("", None, ())
    assert (answer.origin, answer.written) == ("prediction", None)
    assert [(vote.member, vote.weight) for vote in answer.votes] == [("linear.1", 0.75), ("linear.2", 0.25)]
    total = sum(vote.weight * vote.vector for vote in answer.votes if vote.vector is not None)
    assert np.allclose(answer.vector, total / np.linalg.norm(total), atol=1e-6)
    assert answer.vector.shape == (384,)
    assert answer.vector.dtype == np.float32


def test_a_prediction_with_words(unprompter: Unprompter, pictures: list[Path]) -> None:
    (answer,) = unprompter.predict(pictures[0], top=3)
    assert isinstance(answer, Prediction)
    similarities = [candidate.similarity for candidate in answer.candidates]
    assert 1 <= len(similarities) <= 3
    assert (answer.prompt, answer.self_similarity) == (answer.candidates[0].text, similarities[0])
    assert answer.self_similarity == pytest.approx(float(embed([answer.prompt])[0] @ answer.vector), abs=0.02)
    assert set(answer.model["models"]) == {"linear.1", "linear.2", "tiny.words", "all-MiniLM-L6-v2.unprompt"}


def test_a_prediction_says_what_computed_it(unprompter: Unprompter, pictures: list[Path], preset: Path) -> None:
    (answer,) = unprompter.predict(pictures[0], text=False)
    assert answer.model["preset"] == "tiny"
    assert answer.model["preset_hash"] == load_preset(preset).identity
    assert set(answer.model["models"]) == {"linear.1", "linear.2"}


def test_batch_size_and_order_change_nothing(unprompter: Unprompter, pictures: list[Path]) -> None:
    alone = vectors(unprompter, pictures, batch_size=1)
    shuffled = random.Random(0).sample(pictures, len(pictures))
    for other in (
        vectors(unprompter, pictures, batch_size=7),
        vectors(unprompter, pictures, batch_size=32),
        vectors(unprompter, shuffled, batch_size=7),
    ):
        assert other.keys() == alone.keys()
        assert max(np.abs(alone[name] - other[name]).max() for name in alone) < 1e-5


def test_batch_size_changes_no_word(unprompter: Unprompter, pictures: list[Path]) -> None:
    alone = [
        answer.prompt for answer in unprompter.predict(pictures[:6], batch_size=1) if isinstance(answer, Prediction)
    ]
    batch = [
        answer.prompt for answer in unprompter.predict(pictures[:6], batch_size=4) if isinstance(answer, Prediction)
    ]
    assert len(alone) == 6
    assert alone == batch


def test_failures_stand_in_their_places(unprompter: Unprompter, pictures: list[Path], tmp_path: Path) -> None:
    text = tmp_path / "notes.png"
    text.write_text("no picture")
    inputs = [tmp_path / "none.png", pictures[0], text, pictures[1]]
    answers = list(unprompter.predict(inputs, text=False))
    assert [answer.source for answer in answers] == list(map(str, inputs))
    kinds = [answer.kind if isinstance(answer, Failure) else "" for answer in answers]
    assert kinds == ["not-found", "", "not-a-picture", ""]


def test_too_large_is_a_failure(unprompter: Unprompter, pictures: list[Path]) -> None:
    (answer,) = unprompter.predict(pictures[0], text=False, pixel_limit_mp=0.001)
    assert isinstance(answer, Failure)
    assert answer.kind == "too-large"


def test_an_empty_folder_fails_in_its_place(unprompter: Unprompter, pictures: list[Path], tmp_path: Path) -> None:
    answers = list(unprompter.predict([pictures[0], tmp_path, pictures[1]], text=False))
    assert [answer.source for answer in answers] == list(map(str, (pictures[0], tmp_path, pictures[1])))
    assert isinstance(answers[1], Failure)
    assert answers[1].kind == "no-pictures"


def test_a_copy_is_computed_once(unprompter: Unprompter, pictures: list[Path], tmp_path: Path) -> None:
    class Counted(RecentAnswers):
        stored = 0

        def put(self, answers: Mapping[str, Prediction]) -> None:
            self.stored += len(answers)
            super().put(answers)

    copies = [Path(shutil.copy(pictures[0], tmp_path / f"{number}.png")) for number in range(20)]
    counted = Counted()
    inputs = [pictures[1], *copies, pictures[2]]
    answers = list(unprompter.predict(inputs, text=False, batch_size=3, answers=counted))
    assert counted.stored == 3
    assert [answer.source for answer in answers] == list(map(str, inputs))
    again = list(unprompter.predict(copies[0], text=False))
    assert all(isinstance(answer, Prediction) for answer in answers)
    assert all(np.array_equal(answer.vector, again[0].vector) for answer in answers[1:-1])


def test_answers_are_kept_from_an_earlier_run(unprompter: Unprompter, pictures: list[Path]) -> None:
    kept = RecentAnswers()
    (first,) = unprompter.predict(pictures[0], text=False, answers=kept)
    (second,) = unprompter.predict(pictures[0].read_bytes(), text=False, answers=kept)
    assert isinstance(second, Prediction)
    assert second.source == "<bytes 0>"
    assert second.vector is first.vector


def test_copies_in_batches_that_overlap_are_computed_once(
    unprompter: Unprompter, pictures: list[Path], tmp_path: Path
) -> None:
    class Forgetful(RecentAnswers):
        """Remembers nothing, as a journal whose rows are all damaged."""

        def put(self, answers: Mapping[str, Prediction]) -> None: ...

    inputs = [pictures[number % 5] for number in range(60)]
    once = vectors(unprompter, pictures[:5])
    for kept in (RecentAnswers(), RecentAnswers(limit=1), Forgetful()):
        answers = list(unprompter.predict(inputs, text=False, batch_size=4, answers=kept))
        assert [answer.source for answer in answers] == list(map(str, inputs))
        for answer in answers:
            assert isinstance(answer, Prediction)
            assert np.array_equal(answer.vector, once[answer.source])


def test_two_calls_may_share_their_answers(unprompter: Unprompter, pictures: list[Path]) -> None:
    kept = RecentAnswers()
    expected = vectors(unprompter, pictures)
    orders = [random.Random(seed).sample(pictures, len(pictures)) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        runs = pool.map(lambda order: list(unprompter.predict(order, text=False, batch_size=3, answers=kept)), orders)
        for answers in runs:
            for answer in answers:
                assert isinstance(answer, Prediction)
                assert np.array_equal(answer.vector, expected[answer.source])


def test_answers_that_say_very_much_are_not_remembered(unprompter: Unprompter, pictures: list[Path]) -> None:
    (answer,) = unprompter.predict(pictures[0], text=False)
    assert isinstance(answer, Prediction)
    kept = RecentAnswers()
    kept.put({"short": replace(answer, written=WrittenPrompt("tool", "a cat", raw="x" * 100))})
    long = [
        WrittenPrompt("tool", "a cat", raw="x" * 100_000),
        WrittenPrompt("tool", "a cat", texts=(WrittenText("x" * 100_000, "region"),)),
        WrittenPrompt("tool", "a cat", candidates=("a cat", "x" * 100_000)),
        WrittenPrompt("tool", "a cat", settings={"x": "x" * 100_000}),
    ]
    kept.put({str(number): replace(answer, written=written) for number, written in enumerate(long)})
    assert kept.get("short") is not None
    assert [kept.get(str(number)) for number in range(len(long))] == [None] * len(long)


def test_only_the_latest_answers_are_remembered(unprompter: Unprompter, pictures: list[Path]) -> None:
    kept = RecentAnswers(limit=2)
    answers = dict(zip("abc", unprompter.predict(pictures[:3], text=False), strict=True))
    kept.put({"a": answers["a"]})
    kept.put({"b": answers["b"]})
    assert kept.get("a") is answers["a"]
    kept.put({"c": answers["c"]})
    assert kept.get("b") is None
    assert kept.get("a") is answers["a"]


def test_what_the_callers_own_generator_raises_is_theirs(unprompter: Unprompter, pictures: list[Path]) -> None:
    def inputs() -> Iterator[Path]:
        yield pictures[0]
        raise RuntimeError("mine")

    answers = unprompter.predict(inputs(), text=False)
    assert isinstance(next(answers), Prediction)
    with pytest.raises(RuntimeError, match="mine"):
        next(answers)


def test_only_a_bounded_number_is_read_ahead(unprompter: Unprompter) -> None:
    read = 0

    def inputs() -> Iterator[np.ndarray]:
        nonlocal read
        for number in range(10_000):
            read += 1
            yield np.full((40, 40, 3), number % 256, np.uint8)

    answers = unprompter.predict(inputs(), text=False, batch_size=4)
    next(answers)
    assert read <= 4 + AHEAD + 1
    answers.close()
    assert read <= 4 + AHEAD + 1


def test_what_needs_no_model_does_not_pile_up_behind_what_does(unprompter: Unprompter, pictures: list[Path]) -> None:
    read = 0

    def inputs() -> Iterator[Path]:
        nonlocal read
        yield pictures[0]
        for _ in range(10_000):
            read += 1
            yield Path("none.png")

    next(unprompter.predict(inputs(), text=False, batch_size=4))
    assert read <= 2 * _WAITING_LIMIT + AHEAD + 1


def test_pictures_in_memory(unprompter: Unprompter, pictures: list[Path]) -> None:
    path = pictures[0]
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
        image.load()
        answers = list(unprompter.predict([path, path.read_bytes(), image, pixels], text=False))
    first, *others = [answer.vector for answer in answers if isinstance(answer, Prediction)]
    assert len(others) == 3
    assert all(np.allclose(first, other, atol=1e-6) for other in others)


def test_no_pictures_no_answers(unprompter: Unprompter) -> None:
    assert list(unprompter.predict([])) == []


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"top": 0}])
def test_senseless_options_show_at_once(unprompter: Unprompter, options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="of 1 or more"):
        unprompter.predict([], **options)


def test_a_written_prompt_is_the_answer(unprompter: Unprompter, examples: Path) -> None:
    (answer,) = unprompter.predict(examples / "written.png")
    assert isinstance(answer, Prediction)
    assert (answer.prompt, answer.origin, answer.self_similarity) == (PROMPT, "metadata", 1.0)
    assert answer.written is not None
    assert answer.written.negative_prompt
    assert np.allclose(answer.vector, embed([PROMPT])[0], atol=1e-6)
    assert [(vote.member, vote.weight, vote.texts) for vote in answer.votes] == [("metadata", 1.0, (PROMPT,))]
    assert set(answer.model["models"]) == {"all-MiniLM-L6-v2.unprompt"}


def test_an_ambiguous_file_offers_every_prompt_that_it_could_mean(unprompter: Unprompter) -> None:
    written = WrittenPrompt("ComfyUI", "a cat", certainty="ambiguous", candidates=("a cat", "a cow", "a boat"))
    answering = Answering(unprompter.preset)
    answer = answering.answer_written("a.png", written, top=2)
    assert (answer.prompt, answer.self_similarity) == ("a cat", 1.0)
    assert [(candidate.text, candidate.origin) for candidate in answer.candidates] == [
        ("a cat", "metadata"),
        ("a cow", "metadata"),
    ]
    assert -1 < answer.candidates[1].similarity < 1
    assert len(answering.answer_written("a.png", written, top=0).candidates) == 1


def test_a_written_prompt_needs_no_image_model(preset: Path, examples: Path) -> None:
    fresh = load(preset)
    list(fresh.predict(examples / "written.png"))
    assert not any("_engine" in vars(member._encoder) for member in fresh.members)
    list(fresh.predict(examples / "chelsea.jpg", text=False))
    assert all("_engine" in vars(member._encoder) for member in fresh.members)


def test_a_written_prompt_alone_needs_no_model(preset: Path, examples: Path) -> None:
    fresh = load(preset)
    (whole,) = load(preset).predict(examples / "written.png")
    answers = fresh.predict([examples / "written.png", examples / "chelsea.jpg"], written_vectors=False)
    answer = next(answers)
    assert "encoder" not in vars(fresh._answering)
    assert isinstance(answer, Prediction)
    assert isinstance(whole, Prediction)
    assert (answer.prompt, answer.self_similarity, answer.model) == (PROMPT, 1.0, whole.model)
    assert (answer.vector.shape, len(answer.candidates)) == ((0,), 1)
    predicted = next(answers)
    assert isinstance(predicted, Prediction)
    assert predicted.vector.shape == (384,)


def test_answers_that_are_kept_have_vectors(unprompter: Unprompter, examples: Path) -> None:
    kept = RecentAnswers()
    (answer,) = unprompter.predict(examples / "written.png", written_vectors=False, answers=kept)
    assert isinstance(answer, Prediction)
    assert answer.vector.shape == (384,)


def test_no_limit_of_decoding_refuses_a_written_prompt(unprompter: Unprompter, examples: Path) -> None:
    whole = (examples / "written.png").read_bytes()
    for data in (whole, whole[: len(whole) // 2]):
        (answer,) = unprompter.predict(data, pixel_limit_mp=0.001, memory_limit_mb=0.001)
        assert isinstance(answer, Prediction)
        assert (answer.prompt, answer.origin) == (PROMPT, "metadata")
    (failure,) = unprompter.predict(whole[: len(whole) // 2], ignore_metadata=True)
    assert isinstance(failure, Failure)
    assert failure.kind == "truncated"


def test_a_written_prompt_is_the_answer_by_every_way_in(
    unprompter: Unprompter, examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)  # the address is this machine's
    whole = (examples / "written.png").read_bytes()
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "cut.png"
    path.write_bytes(whole[: len(whole) // 2])
    inputs: list[Any] = [path, folder, path.read_bytes(), ImageRef("it", LocalFile(str(path)))]
    for name, mode in (("a.tar", "w"), ("a.tar.gz", "w:gz")):
        with tarfile.open(tmp_path / name, mode) as tar:  # type: ignore[call-overload]
            tar.add(path, "cut.png")
        inputs.append(tmp_path / name)
    with serving(response(path.read_bytes())) as server:
        web = WebLimits(allow_private=True)
        (address,) = image_refs(server.url("/cut.png"), web=web)
        answers = list(unprompter.predict([*inputs, address], text=False, memory_limit_mb=0.001))
    assert [getattr(answer, "prompt", answer) for answer in answers] == [PROMPT] * 7


def test_a_written_prompt_may_be_ignored(unprompter: Unprompter, examples: Path) -> None:
    (answer,) = unprompter.predict(examples / "written.png", ignore_metadata=True, text=False)
    assert isinstance(answer, Prediction)
    assert (answer.origin, answer.written) == ("prediction", None)


def test_score_is_the_cosine_to_the_prediction(unprompter: Unprompter, examples: Path) -> None:
    (answer,) = unprompter.predict(examples / "written.png", ignore_metadata=True, text=False)
    scores = unprompter.score(examples / "written.png", ["a moon", "a cat"])
    assert isinstance(answer, Prediction)
    assert [score.text for score in scores] == ["a moon", "a cat"]
    assert np.allclose([score.similarity for score in scores], embed(["a moon", "a cat"]) @ answer.vector, atol=1e-6)


def test_score_of_what_is_no_picture(unprompter: Unprompter, examples: Path) -> None:
    with pytest.raises(PictureError, match=r"none\.png: expected a file"):
        unprompter.score("none.png", ["a cat"])
    with pytest.raises(DataError, match="expected one picture"):
        unprompter.score(examples, ["a cat"])


def test_damaged_weights_keep_what_was_answered(preset: Path, tmp_path: Path, examples: Path) -> None:
    model = tiny_models.regressor(tmp_path / "linear.broken")
    weights = model.path / "model.onnx"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    answers = load(tiny_models.preset(tmp_path / "broken.toml", model)).predict(
        [examples / "written.png", examples / "rocket.jpg"], text=False
    )
    assert isinstance(next(answers), Prediction)
    with pytest.raises(ModelError, match="another sha256"):
        next(answers)


def test_unknown_model(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text('[[members]]\nkind = "regressor"\nmodel = "all-MiniLM-L6-v2.unpromt"\n[wording]\ndecoder = "d"\n')
    with pytest.raises(UnknownNameError, match=r"did you mean 'all-MiniLM-L6-v2\.unprompt'"):
        load(path)


@pytest.fixture(scope="module")
def drawing(preset: Path, folder: Path) -> Unprompter:
    """The same preset with a codebook."""
    book = tiny_models.codebook(folder / "book.tiny")
    return load(tiny_models.with_codebook(preset, folder / "drawing.toml", book))


def test_a_codebook_draws_the_vector_and_leaves_all_else(
    drawing: Unprompter, unprompter: Unprompter, pictures: list[Path], folder: Path
) -> None:
    codebook = Codebook.read(ModelFolder.open(folder / "book.tiny"))
    for text in (True, False):
        plain = list(unprompter.predict(pictures[:3], text=text))
        for before, answer in zip(plain, drawing.predict(pictures[:3], text=text), strict=True):
            assert isinstance(before, Prediction)
            assert isinstance(answer, Prediction)
            drawn = codebook.draw(before.vector[None], share=0.3, sharpness=9.0)[0]
            assert np.allclose(answer.vector, drawn, atol=1e-6)
            assert np.abs(answer.vector - before.vector).max() > 0.01
            assert (answer.prompt, answer.self_similarity, answer.candidates) == (
                before.prompt,
                before.self_similarity,
                before.candidates,
            )
            assert to_record(answer)["votes"] == to_record(before)["votes"]


def test_what_was_drawn_is_the_same_in_any_batch(drawing: Unprompter, pictures: list[Path]) -> None:
    alone = vectors(drawing, pictures[:8], batch_size=1)
    together = vectors(drawing, pictures[:8], batch_size=8)
    assert max(np.abs(alone[name] - together[name]).max() for name in alone) < 1e-5


def test_a_codebook_is_named_with_its_hash(drawing: Unprompter, pictures: list[Path], folder: Path) -> None:
    identity = ModelFolder.open(folder / "book.tiny").identity()
    (answer,) = drawing.predict(pictures[0], text=False)
    assert isinstance(answer, Prediction)
    assert answer.model["models"]["book.tiny"] == identity
    assert drawing.identity(text=False)["models"]["book.tiny"] == identity


def test_a_written_prompt_is_not_drawn(drawing: Unprompter, tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text("parameters", f"{PROMPT}\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 64x64")
    Image.new("RGB", (64, 64)).save(tmp_path / "written.png", pnginfo=info)
    (answer,) = drawing.predict(tmp_path / "written.png")
    assert isinstance(answer, Prediction)
    assert answer.origin == "metadata"
    assert np.allclose(answer.vector, embed([answer.prompt])[0], atol=1e-6)
    assert "book.tiny" not in answer.model["models"]


def test_scores_are_by_the_vector_that_no_codebook_has_drawn(
    drawing: Unprompter, unprompter: Unprompter, pictures: list[Path]
) -> None:
    prompts = ["a cat on a sofa", "a red moon"]
    assert drawing.score(pictures[0], prompts) == unprompter.score(pictures[0], prompts)


def test_a_codebook_that_is_not_there(preset: Path, tmp_path: Path) -> None:
    path = tmp_path / "lacking.toml"
    path.write_text(preset.read_text() + '[codebook]\nmodel = "prompt_codebok.unprompt"\nshare = 0.3\nsharpness = 9\n')
    with pytest.raises(UnknownNameError, match="did you mean 'prompt_codebook"):
        load(path)


def test_a_model_that_is_no_codebook_is_refused_before_any_picture(preset: Path, tmp_path: Path) -> None:
    other = tiny_models.codebook(tmp_path / "book.tiny")
    write_config(other.path, {**other.config, "architecture": "linear"}, other.config["files"])
    path = tiny_models.with_codebook(preset, tmp_path / "wrong.toml", other)
    with pytest.raises(ModelError, match=r"book\.tiny: expected the architecture 'codebook', found 'linear'"):
        load(path)


def test_a_damaged_codebook_shows_when_it_is_needed(preset: Path, tmp_path: Path, pictures: list[Path]) -> None:
    book = tiny_models.codebook(tmp_path / "book.tiny")
    unprompter = load(tiny_models.with_codebook(preset, tmp_path / "damaged.toml", book))
    (book.path / "codebook.npy").write_bytes(b"")
    with pytest.raises(ModelError, match="another sha256"):
        list(unprompter.predict(pictures[0], text=False))


def test_missing_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_models.regressor(tmp_path / "linear.tiny")
    path = tiny_models.preset(tmp_path / "large.toml", model, requires='["torch"]')
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"\[torch\]"):
        load(path)


@pytest.fixture
def embedded() -> Unprompter:
    if lacking := [need.name for need in preset_needs(load_preset("embedded")) if not need.is_here]:
        pytest.skip(f"the package lacks its models {', '.join(lacking)}")
    return load()


def test_the_embedded_preset_answers(embedded: Unprompter, examples: Path) -> None:
    answers = list(embedded.predict(examples, top=3))
    for answer in answers:
        assert isinstance(answer, Prediction)
        assert answer.prompt
        assert np.linalg.norm(answer.vector) == pytest.approx(1, abs=1e-5)
        similarities = [candidate.similarity for candidate in answer.candidates]
        assert 1 <= len(similarities) <= 3
        assert answer.self_similarity == similarities[0]
        assert answer.self_similarity == pytest.approx(float(embed([answer.prompt])[0] @ fuse(answer.votes)), abs=0.02)


def test_batch_size_and_order_change_no_word(embedded: Unprompter, examples: Path) -> None:
    paths = sorted(examples.glob("*.jpg"))
    alone = {answer.source: answer for answer in embedded.predict(paths, batch_size=1)}
    for answer in embedded.predict(paths[::-1], batch_size=3):
        assert isinstance(answer, Prediction)
        assert answer.prompt == alone[answer.source].prompt
        assert np.allclose(answer.vector, alone[answer.source].vector, atol=1e-5)


def test_a_style_is_that_of_the_call_or_of_loading_or_of_the_preset(preset: Path, pictures: list[Path]) -> None:
    assert load(preset).preset.wording == WordingSpec(load_preset(preset).wording.decoder)  # type: ignore[union-attr]
    styled = load(preset, style="tags")

    def told(unprompter: Unprompter, **options: Any) -> Any:
        (answer,) = unprompter.predict(pictures[0], **options)
        assert isinstance(answer, Prediction)
        return answer.model.get("style")

    assert told(styled) == "tags"
    assert told(styled, style="sentence") == "sentence"
    assert told(styled, style="prompt") is None  # the preset's own
    assert told(styled, text=False) is None
    assert styled.identity(text=True)["style"] == "tags"
    assert "style" not in styled.identity(text=False)
    for call in (lambda: load(preset, style="haiku"), lambda: styled.predict(pictures[0], style="haiku")):  # type: ignore[arg-type]
        with pytest.raises(UnknownNameError, match="style"):
            call()


def test_confidence_needs_no_words_and_all_members(preset: Path, folder: Path) -> None:
    calibrated = tiny_models.calibrated(preset, folder / "sure.toml", tiny_models.codebook(folder / "sure.tiny"))
    shapes = tiny_models.shapes(folder / "shapes", 3)
    unprompter = load(calibrated)
    with_words = list(unprompter.predict(shapes))
    without = list(unprompter.predict(shapes, text=False))
    found = [answer.confidence for answer in with_words if isinstance(answer, Prediction)]
    assert len(found) == 3
    assert all(each is not None and each.low <= each.estimate <= each.high for each in found)
    assert found == [answer.confidence for answer in without if isinstance(answer, Prediction)]
    needs = [need.name for need in preset_needs(unprompter.preset)]
    assert needs.count(f"local:{folder / 'sure.tiny'}") == 1
    less = calibrated.read_text().replace('name = "linear.2"\nmodel = "local:', 'name = "linear.2"\nmodel = "local:no')
    (folder / "less.toml").write_text(less)
    (answer,) = load(folder / "less.toml", allow_missing=True).predict(shapes[0], text=False)
    assert isinstance(answer, Prediction)
    assert answer.confidence is None
    assert answer.model["missing"]
