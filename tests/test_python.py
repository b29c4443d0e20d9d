"""The Python API as its guide tells it: inputs, closing, progress, threads, texts, and the guide's own examples."""

from __future__ import annotations

import gc
import io
import os
import re
import shutil
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import unprompt
from unprompt import Failure, Prediction, Unprompter, load
from unprompt.errors import DataError
from unprompt.output.packing import pack, unpack
from unprompt.output.records import to_record
from unprompt.prediction import Candidate, Confidence, Vote

PROMPT = "a full moon rising over blue mountains, reflected in a calm lake, starry night sky, flat vector illustration"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("python")


@pytest.fixture(scope="module")
def preset(folder: Path) -> Path:
    return tiny_models.preset(folder / "tiny.toml", tiny_models.regressor(folder / "linear"))


@pytest.fixture(scope="module")
def pictures(folder: Path) -> list[Path]:
    return tiny_models.pictures(folder / "pictures", 6)


@pytest.fixture(scope="module")
def model(preset: Path) -> Unprompter:
    return load(preset)


def vectors(answers: Any) -> np.ndarray:
    found = list(answers)
    assert all(isinstance(answer, Prediction) for answer in found), found
    return np.stack([answer.vector for answer in found])


def test_one_picture_has_one_answer_however_it_is_given(model: Unprompter, pictures: list[Path]) -> None:
    path = pictures[0]
    pixels = np.asarray(Image.open(path).convert("RGB"))
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    (expected,) = vectors(model.predict(path, text=False))
    with path.open("rb") as file:
        given = [file, buffer, memoryview(path.read_bytes()), pixels, pixels / 255, pixels[None], np.array([str(path)])]
        for item in given:
            np.testing.assert_array_equal(vectors(model.predict(item, text=False)), [expected])


def test_open_files_and_stacks_stand_among_others(model: Unprompter, examples: Path) -> None:
    data = (examples / "written.png").read_bytes()
    pixels = np.zeros((2, 32, 32), np.float32)
    found = list(model.predict([io.BytesIO(data), pixels[..., None], io.BytesIO(b"GIF")], text=False))
    assert [answer.source for answer in found] == ["<file 0>", "<array 1[0]>", "<array 1[1]>", "<file 2>"]
    assert isinstance(found[0], Prediction)
    assert found[0].prompt == PROMPT
    assert isinstance(found[3], Failure)


def test_a_closed_model_answers_no_more(preset: Path, pictures: list[Path]) -> None:
    with load(preset) as model:
        assert repr(model) == "<Unprompter of tiny: linear>"
        answers = model.predict(pictures, text=False, batch_size=1)
        next(answers)
        assert len(list(model.predict(pictures[:2], text=False))) == 2
    model.close()
    assert repr(model) == "<Unprompter, closed>"
    with pytest.raises(RuntimeError, match="one that was closed; take all answers"):
        list(answers)
    for use in (lambda: model.predict(pictures), lambda: model.score(pictures[0], ["a cat"]), lambda: model.encoder):
        with pytest.raises(RuntimeError, match="one that was closed"):
            use()


def test_closing_lets_the_models_go(preset: Path, pictures: list[Path]) -> None:
    model = load(preset)
    list(model.predict(pictures[:2]))
    held = [weakref.ref(model.members[0]), weakref.ref(model.encoder)]
    model.close()
    gc.collect()
    assert [each() for each in held] == [None, None]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_of_a_process_that_predicted_says_so(model: Unprompter, pictures: list[Path]) -> None:
    list(model.predict(pictures[0], text=False))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of what is tested
        child = os.fork()
    if not child:
        try:
            model.predict(pictures[0])
        except RuntimeError as error:
            os._exit(0 if "found a fork of it" in str(error) else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_threads_get_what_one_thread_gets(model: Unprompter, pictures: list[Path]) -> None:
    def answered(shift: int) -> dict[str, tuple[str, bytes]]:
        order = [*pictures[shift:], *pictures[:shift]]
        answers = [answer for answer in model.predict(order, batch_size=2) if isinstance(answer, Prediction)]
        assert [answer.source for answer in answers] == list(map(str, order))
        return {answer.source: (answer.prompt, answer.vector.tobytes()) for answer in answers}

    alone = answered(0)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(answered, range(4))) == [alone] * 4


def test_progress_is_told_up_to_the_last_picture(model: Unprompter, pictures: list[Path]) -> None:
    told: list[tuple[str, int, int | None]] = []

    def tell(what: str, done: int, total: int | None) -> None:
        told.append((what, done, total))

    folder = pictures[0].parent
    taken = [len(told) for _answer in model.predict(folder, text=False, progress=tell)]
    assert told == [("pictures", done, 6) for done in range(7)]
    assert taken == [2, 3, 4, 5, 6, 7]  # told before the answer is given
    told.clear()
    list(model.predict(iter(pictures[:2]), text=False, progress=tell))
    assert told == [("pictures", done, None) for done in range(3)]


def test_progress_of_a_run_that_is_left_early(model: Unprompter, pictures: list[Path]) -> None:
    told: list[int] = []
    answers = model.predict(pictures, text=False, progress=lambda what, done, total: told.append(done))
    next(answers)
    answers.close()
    assert told == [0, 1]


def test_preparation_is_told(preset: Path, pictures: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, int, int | None]] = []
    model = load(preset)

    def prepare(step: Any) -> None:
        with step("vectors", 8) as advance:
            advance(3)
            advance(5)

    monkeypatch.setattr(model.members[0], "prepare", prepare)
    list(model.predict(pictures[0], text=False, progress=lambda *each: told.append(each)))
    assert told == [("vectors", 0, 8), ("vectors", 3, 8), ("vectors", 8, 8), ("pictures", 0, 1), ("pictures", 1, 1)]


def test_negative_threads_are_refused_at_once(preset: Path) -> None:
    with pytest.raises(ValueError, match=r"expected threads of 0, .* found -1"):
        load(preset, threads=-1)
    for number in ("2", 1.5, None):
        with pytest.raises(TypeError, match="expected threads to be a whole number"):
            load(preset, threads=number)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("prompts", "error", "message"),
    [
        (["a cat", " "], DataError, "found that number 2 is empty"),
        ("a cat", TypeError, r"found one text; write score\(picture, \[prompt\]\)"),
        (["a cat", None], TypeError, "found NoneType at index 1"),
        (None, TypeError, "expected a list of texts, found NoneType"),
    ],
)
def test_score_takes_a_list_of_prompts(
    model: Unprompter, pictures: list[Path], prompts: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        model.score(pictures[0], prompts)


@pytest.mark.parametrize("words", [254, 255])
def test_a_prompt_longer_than_is_read_is_marked(model: Unprompter, words: int, tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text("parameters", "cat " * words + "\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 8x8")
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", pnginfo=info)
    (answer,) = model.predict(tmp_path / "a.png")
    assert isinstance(answer, Prediction)
    record = to_record(answer)
    assert answer.is_cut is record.get("is_cut", False) is (words == 255)
    assert ("longer than the encoder of sentences reads" in record.get("note", "")) is answer.is_cut
    assert unpack(pack(answer)).is_cut is answer.is_cut


def test_answers_show_themselves_in_a_line() -> None:
    vote = Vote("vit", 0.75, np.zeros(384, np.float32), ("a cat",))
    answer = Prediction(
        source="a.png",
        prompt="a cat " * 20,
        origin="prediction",
        vector=np.zeros(384, np.float32),
        self_similarity=0.5,
        candidates=(Candidate("a cat", 0.5, "vit"),),
        votes=(vote, Vote("ofa", 1 / 3)),
        written=None,
        model={},
        confidence=Confidence(0.5678, 0.4, 0.7),
    )
    assert repr(answer.votes) == "(<Vote of vit, weight 0.75, 'a cat'>, <Vote of ofa, weight 0.33>)"
    assert len(repr(answer)) < 120
    assert repr(answer).startswith("<Prediction of a.png: 'a cat a cat")
    assert repr(answer).endswith("...', prediction, confidence 0.57>")


EXAMPLES = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_examples_of_the_guide_run(
    root: Path, examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for place in ("a.png", "pictures/1.png"):
        Path(place).parent.mkdir(exist_ok=True)
        shutil.copy(examples / "written.png", place)
    shutil.copy(examples / "coffee.jpg", "b.jpg")
    shown: dict[str, Any] = {}
    blocks = EXAMPLES.findall((root / "docs" / "guides" / "python.md").read_text(encoding="utf-8"))
    assert len(blocks) == 7
    for block in blocks:
        # No test leaves this machine: the address gives way to a file.
        exec(block.replace("https://example.org/b.png", "b.jpg"), shown)
    out = capsys.readouterr().out
    assert out.count(PROMPT) == 3
    for line in (
        "<array 1[1]>",
        "<file 2>",
        "pictures: 1 of 1",
        "row 17",
        "<Prediction of b.jpg: 'a red cup",
        "pictures/1.png",
    ):
        assert line in out, line
    shown["model"].close()


def test_texts_are_checked() -> None:
    for texts in ([None], [float("nan")], [b"a cat"], None, 3):
        with pytest.raises(TypeError, match=r"expected (texts|a list of texts), found"):
            unprompt.embed(texts)  # type: ignore[arg-type]
    assert unprompt.embed(text for text in ("a cat", "a dog")).shape == (2, 384)
    assert np.shape(unprompt.similarity("a cat", np.array(["a cat", "a dog"]))) == (2,)
    with pytest.raises(TypeError, match="found NoneType"):
        unprompt.similarity("a cat", None)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="found one of length 0"):
        unprompt.similarity("a cat", np.zeros(384))
