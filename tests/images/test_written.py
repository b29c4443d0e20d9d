"""What a file says of its prompt, whole or damaged."""

from pathlib import Path

import pytest
from layouts import png, text

from unprompt.images.files import Bytes, LocalFile
from unprompt.images.ref import ImageRef
from unprompt.images.written import read_written
from unprompt.prediction import Failure, WrittenPrompt

INFOTEXT = "a fox\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1"


def test_a_prompt_is_read_though_the_pixels_are_missing() -> None:
    found = read_written(ImageRef("it", Bytes(png(text("parameters", INFOTEXT))[:-30])))
    assert isinstance(found, WrittenPrompt)
    assert found.prompt == "a fox"


def test_a_file_that_says_nothing_and_has_no_end_is_damaged() -> None:
    found = read_written(ImageRef("it", Bytes(png()[:-30])))
    assert isinstance(found, Failure)
    assert found.kind == "truncated"


@pytest.mark.parametrize(("read_beside", "expected"), [(True, True), (False, False)])
def test_a_text_file_beside_a_picture_counts_if_asked_for(tmp_path: Path, read_beside: bool, expected: bool) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png())
    path.with_suffix(".txt").write_text(INFOTEXT)
    found = read_written(ImageRef(str(path), LocalFile(str(path))), read_beside=read_beside)
    assert isinstance(found, WrittenPrompt) == expected
