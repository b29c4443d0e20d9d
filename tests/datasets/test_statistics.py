"""Counts of a data set, and their plot."""

from pathlib import Path

import pytest
from PIL import Image

from unprompt.datasets import statistics as module
from unprompt.datasets.pairs import Pair
from unprompt.datasets.prompts import Entry
from unprompt.datasets.statistics import Statistics
from unprompt.images.files import LocalFile
from unprompt.images.ref import ImageRef


def entry(prompt: str, **fields: object) -> Entry:
    return Entry(prompt, Pair("a.png", prompt, ImageRef("a.png", LocalFile("a.png")), fields))


def counted(*entries: Entry) -> Statistics:
    statistics = Statistics()
    for each in entries:
        statistics.add(each)
    return statistics


def test_lengths_and_phrases_are_of_distinct_prompts() -> None:
    summary = counted(
        *[entry("a red cat, 8k, 8k", kind="generated")] * 3,
        entry("a dog,  8K , oil", kind="photo", generator="sd2"),
        Entry("cat " * 75, None),
        Entry("cat " * 76, None),
    ).summary()
    assert (summary["records"], summary["distinct_prompts"]) == (6, 4)
    assert summary["words"] == {"mean": 40.25, "p5": 5, "p50": 5, "p95": 76, "max": 76}
    assert (summary["clip_tokens"]["limit"], summary["clip_tokens"]["over_limit"]) == (75, 1)
    assert summary["fields"] == {"kind": {"generated": 3, "photo": 1}, "generator": {"sd2": 1}}
    assert summary["phrases"]["8k"] == 2
    assert summary["phrases"]["a red cat"] == 1
    assert not any(phrase.startswith("cat cat") for phrase in summary["phrases"])


def test_fields_that_are_no_texts_and_long_ones() -> None:
    summary = counted(entry("a", kind=7), entry("b", source="x" * 100), entry("c", source="y")).summary()
    assert summary["fields"] == {"source": {"(others)": 1, "y": 1}}


def test_many_values_and_phrases_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_VALUES_HELD", 5)
    monkeypatch.setattr(module, "_PHRASES_HELD", 50)
    statistics = counted(*(entry(f"phrase {number}, 8k", source=f"site {number}") for number in range(500)))
    assert len(statistics.fields["source"]) == 6
    assert statistics.fields["source"]["(others)"] == 495
    assert len(statistics.phrases) <= 50
    assert 480 < statistics.phrases["8k"] <= 500


@pytest.mark.torch
@pytest.mark.parametrize("fields", [{}, {"kind": "$a^2$", "source": "x_1"}])
def test_the_plot(tmp_path: Path, fields: dict[str, str]) -> None:
    pytest.importorskip("matplotlib")
    from unprompt.datasets.statistics_plot import plot_statistics

    statistics = counted(*(entry(f"{'cat ' * number}, $_$, {number}", **fields) for number in range(1, 90)))
    plot_statistics(statistics, "a_$b$", str(tmp_path / "plot.png"))
    with Image.open(tmp_path / "plot.png") as image:
        assert image.format == "PNG"
        assert image.width >= 1200
        colours = image.convert("RGB").getcolors(1 << 24) or []
    assert {(0x3B, 0x6E, 0xA5), (0xB5, 0x44, 0x3C)} <= {colour for _count, colour in colours}
