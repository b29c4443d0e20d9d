"""The charts of a report."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from unprompt.evaluation.charts import axis_limits, histogram, reliability_diagram, strip


def bars(svg: str) -> list[tuple[str, float]]:
    """Each bar's title and its height on the scale of the grid's largest count."""
    root = ElementTree.fromstring(svg)
    found = [element for element in root if element.tag == "rect"]
    return [(element[0].text or "", float(element.attrib["height"])) for element in found]


@pytest.mark.parametrize(
    ("scores", "limits"),
    [
        ([0.31, 0.72], (0.3, 0.8)),
        ([0.5], (0.5, 0.6)),
        ([-0.12, 0.99], (-0.2, 1.0)),
        ([1.0, 1.0], (1.0, 1.1)),
        ([0.0], (0.0, 0.1)),
    ],
)
def test_limits_hold_all_scores(scores: list[float], limits: tuple[float, float]) -> None:
    assert axis_limits(scores, []) == limits


def test_every_score_is_in_a_bar() -> None:
    scores = np.random.default_rng(0).normal(0.5, 0.15, size=1000).clip(-1, 1).tolist()
    titles = [title for title, _ in bars(histogram(scores, axis_limits(scores), "h"))]
    assert sum(int(title.rpartition(" ")[2]) for title in titles) == 1000


def test_bars_are_as_high_as_their_counts() -> None:
    found = bars(histogram([0.11] * 10 + [0.16] * 5 + [0.3], (0.1, 0.3), "h"))
    assert [title for title, _ in found] == ["0.10 to 0.15: 10", "0.15 to 0.20: 5", "0.25 to 0.30: 1"]
    assert found[0][1] == pytest.approx(2 * found[1][1], abs=0.1)
    assert found[0][1] == pytest.approx(10 * found[2][1], abs=0.5)


@pytest.mark.parametrize("count", [1, 2, 7, 99, 1234, 10**6])
def test_the_grid_has_a_few_round_lines(count: int) -> None:
    svg = histogram([0.42] * count, (0.4, 0.5), "h")
    lines = re.findall(r'text-anchor="end">([\d,]+)<', svg)
    assert 2 <= len(lines) <= 7
    numbers = [int(line.replace(",", "")) for line in lines]
    assert numbers[0] == 0
    assert numbers[-1] >= count
    assert str(numbers[1]).rstrip("0") in ("1", "2", "5")


def test_the_mean_is_marked() -> None:
    assert "mean 0.450" in histogram([0.4, 0.5], (0.4, 0.5), "h")


def test_a_strip_without_an_interval_is_a_dot() -> None:
    with_interval, without = strip(0.5, 0.4, 0.6, (0.4, 0.6), 0.5), strip(0.5, None, None, (0.4, 0.6), 0.5)
    assert 'cx="60.0"' in with_interval
    assert 'class="strip" x1="5.0" x2="115.0"' in with_interval
    assert "strip" not in without
    ElementTree.fromstring(without)


def test_a_reliability_diagram_has_a_dot_for_each_bin_where_it_belongs() -> None:
    bins = [
        {"n": 10, "estimate": 0.3, "true": 0.3, "low": 0.2, "high": 0.5},
        {"n": 12, "estimate": 0.5, "true": 0.4, "low": 0.2, "high": 0.6},
    ]
    root = ElementTree.fromstring(reliability_diagram(bins, "r"))
    first, second = (each for each in root if each.tag == "circle")
    assert float(first.attrib["cx"]) < float(second.attrib["cx"])
    assert float(first.attrib["cy"]) > float(second.attrib["cy"])
    assert second[0].text == "12 pictures: estimated 0.50, true 0.40, 80 % from 0.20 to 0.60"
    (diagonal,) = (each for each in root if each.attrib.get("class") == "mean")
    slope = (float(diagonal.attrib["y1"]) - float(diagonal.attrib["y2"])) / (
        float(diagonal.attrib["x2"]) - float(diagonal.attrib["x1"])
    )
    rise = float(diagonal.attrib["y1"]) - float(first.attrib["cy"])
    assert rise == pytest.approx(slope * (float(first.attrib["cx"]) - float(diagonal.attrib["x1"])), abs=0.2)
