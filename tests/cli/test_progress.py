"""What became of the pictures, in one line."""

import re
import time

import numpy as np
import pytest

from unprompt.cli import progress
from unprompt.cli.progress import Steps, Tally, announced
from unprompt.prediction import Certainty, Failure, Prediction, WrittenPrompt

FAILED = Failure("a.png", "truncated", "it ends early")


def answer(certainty: Certainty | None = None) -> Prediction:
    written = None if certainty is None else WrittenPrompt("ComfyUI", "a boat", certainty=certainty)
    vector = np.eye(384, dtype=np.float32)[0]
    return Prediction(
        "a.png", "a boat", "prediction" if written is None else "metadata", vector, 1.0, (), (), written, {}
    )


def parts(tally: Tally, answered: str = "answered") -> str:
    return re.sub(r".*/s: ", "", tally.summary(answered=answered))


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([answer(), answer()], "2 answered"),
        ([answer(), answer("computed"), FAILED], "2 answered (1 from the file itself), 1 failed"),
        ([answer("ambiguous"), answer("written")], "2 answered (2 from the file itself, 1 ambiguous)"),
    ],
)
def test_what_became_of_predictions(answers: list[Prediction | Failure], expected: str) -> None:
    tally = Tally()
    for each in answers:
        tally.add(each)
    assert parts(tally) == expected
    assert tally.exit_code == (3 if FAILED in answers else 0)


def test_what_files_say() -> None:
    tally = Tally()
    for written in (answer("written").written, answer("ambiguous").written, None, WrittenPrompt("Firefly", "")):
        tally.add_written(written)
    assert parts(tally, "with a prompt") == "2 with a prompt (1 ambiguous), 2 without"
    assert tally.done == 4


def test_no_picture_at_all() -> None:
    tally = Tally()
    tally.add(Failure("empty", "no-pictures", "none"))
    assert tally.exit_code == 2
    tally.add(FAILED)
    assert tally.exit_code == 3


def test_work_shows_that_it_goes_on_before_anything_is_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "SIGN_S", 0.0)

    def said() -> str:
        while not (err := capsys.readouterr().err):
            time.sleep(0.01)
        return err

    with announced("opening the bank", quiet=False):
        assert said() == "unprompt: opening the bank ...\n"
    with Steps(quiet=False)("encoding", 40, "terms"):
        assert said() == "unprompt: encoding: 0 of 40 terms, 0.0/s\n"


def test_many_short_steps_are_long_work(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, "SIGN_S", 0.05)
    steps, begun = Steps(quiet=False), 0
    while not (said := capsys.readouterr().err):
        begun += 1
        with steps(f"step {begun}", 1, "terms") as advance:
            time.sleep(0.01)  # each ends long before a sign of its own were due
            advance(1)
    assert begun > 1
    assert said.startswith("unprompt: step ")


def test_quiet_work_says_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, "SIGN_S", 0.0)
    with announced("opening the bank", quiet=True), Steps(quiet=True)("encoding", 40, "terms") as advance:
        advance(40)
    monkeypatch.setattr(progress, "SIGN_S", 600.0)
    with announced("opening the bank", quiet=False), Steps(quiet=False)("encoding", 40, "terms") as advance:
        advance(40)
    assert capsys.readouterr().err == ""
