"""The different prompts of a source, which is read again and again."""

from pathlib import Path

import pytest

from unprompt.datasets.comparison import DistinctPrompts
from unprompt.datasets.prompts import PromptSource
from unprompt.datasets.vectors import VectorStore
from unprompt.errors import DataError
from unprompt.progress import SILENT


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.txt"
    path.write_text("a cat\na dog\na cat\na fox\na dog\na cat\n")
    return path


def test_each_record_has_its_prompt(source: Path) -> None:
    prompts = DistinctPrompts.read(PromptSource(str(source)), SILENT)
    assert len(prompts) == 3
    assert prompts.firsts.tolist() == [0, 1, 3]
    assert prompts.places.tolist() == [0, 1, 0, 2, 1, 0]
    assert prompts.is_first.tolist() == [True, True, False, True, False, False]
    assert [(number, entry.prompt) for number, entry in prompts.again()][3:5] == [(3, "a fox"), (4, "a dog")]


@pytest.mark.parametrize(
    "now", ["a cat\na dog\na cat\na fox\na dog\n", "a cat\na dog\na cat\na fox\na dog\na cat\na\n"]
)
def test_a_source_that_changes_is_an_error(source: Path, now: str) -> None:
    prompts = DistinctPrompts.read(PromptSource(str(source)), SILENT)
    source.write_text(now)
    with pytest.raises(DataError, match="it changed while it was read"):
        list(prompts.again())
    source.write_text("another\n")
    with pytest.raises(DataError, match="it changed while it was read"):
        list(prompts.again())


def test_the_search_is_among_the_different_prompts(source: Path, tmp_path: Path) -> None:
    prompts = DistinctPrompts.read(PromptSource(str(source)), SILENT)
    with VectorStore(tmp_path / "cache") as store:
        assert len(prompts.search(store, 0.85, SILENT)) == 3
        source.unlink()  # no prompt is read where all vectors are known
        assert len(prompts.search(store, 0.85, SILENT)) == 3
