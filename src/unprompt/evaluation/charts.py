"""The charts of a report, as SVG to embed in HTML, without scripts or styles of their own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

_BIN = 0.05
_WIDTH, _HEIGHT = 360, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 8, 22, 24
_STRIP_WIDTH, _STRIP_HEIGHT = 120, 14
_SQUARE = 300


def axis_limits(*series: Sequence[float]) -> tuple[float, float]:
    """The lowest and highest tenth that enclose all scores (cosines, -1 to 1), at least one tenth apart."""
    scores = [score for scores in series for score in scores]
    low, high = math.floor(min(scores) * 10), math.ceil(max(scores) * 10)
    return low / 10, max(high, low + 1) / 10


def histogram(scores: Sequence[float], limits: tuple[float, float], label: str) -> str:
    """A histogram of the scores with bins of 0.05 between `limits`, and a line at their mean."""
    low, high = limits
    edges: list[float] = np.linspace(low, high, round((high - low) / _BIN) + 1).tolist()
    counts: list[int] = np.histogram(np.clip(scores, low, high), edges)[0].tolist()
    step = _step(max(counts))
    top = step * math.ceil(max(counts) / step)
    bottom = _HEIGHT - _BOTTOM

    def x(score: float) -> float:
        return _LEFT + (score - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    def y(count: float) -> float:
        return bottom - count / top * (bottom - _TOP)

    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">']
    for count in range(0, top + 1, step):
        parts.append(
            f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(count):.1f}" y2="{y(count):.1f}"/>'
        )
        parts.append(f'<text x="{_LEFT - 5}" y="{y(count) + 4:.1f}" text-anchor="end">{count:,}</text>')
    for count, left, right in zip(counts, edges[:-1], edges[1:], strict=True):
        if count:
            parts.append(
                f'<rect class="bar" x="{x(left) + 0.5:.1f}" y="{y(count):.1f}" width="{x(right) - x(left) - 1:.1f}" '
                f'height="{bottom - y(count):.1f}"><title>{left:.2f} to {right:.2f}: {count:,}</title></rect>'
            )
    tenths = range(round(low * 10), round(high * 10) + 1, 1 if high - low < 0.75 else 2)
    parts += [f'<text x="{x(n / 10):.1f}" y="{_HEIGHT - 8}" text-anchor="middle">{n / 10:.1f}</text>' for n in tenths]
    mean = float(np.mean(scores))
    parts.append(f'<line class="mean" x1="{x(mean):.1f}" x2="{x(mean):.1f}" y1="{_TOP - 6}" y2="{bottom}"/>')
    middle = min(max(x(mean), _LEFT + 32), _WIDTH - 36)  # keeps the label inside
    parts.append(f'<text class="label" x="{middle:.1f}" y="{_TOP - 10}" text-anchor="middle">mean {mean:.3f}</text>')
    return "".join([*parts, "</svg>"])


def reliability_diagram(bins: Sequence[Mapping[str, float]], label: str) -> str:
    """A dot for each bin {estimate, true, low, high} at its mean estimate and mean truth, on a line from low to high.

    Dots on the diagonal are right on average; the line holds 80 % of the bin's true cosines.
    """
    low, high = axis_limits([number for each in bins for number in (each["low"], each["high"], each["estimate"])])
    bottom, right = _SQUARE - _BOTTOM, _SQUARE - _RIGHT

    def x(score: float) -> float:
        return _LEFT + (score - low) / (high - low) * (right - _LEFT)

    def y(score: float) -> float:
        return bottom - (score - low) / (high - low) * (bottom - _TOP)

    parts = [f'<svg viewBox="0 0 {_SQUARE} {_SQUARE}" role="img" aria-label="{label}">']
    for tenth in range(round(low * 10), round(high * 10) + 1, 1 if high - low < 0.75 else 2):
        at = tenth / 10
        line = f'x1="{_LEFT}" x2="{right}" y1="{y(at):.1f}" y2="{y(at):.1f}"'
        parts.append(f'<line class="axis" {line}/>')
        parts.append(f'<text x="{_LEFT - 5}" y="{y(at) + 4:.1f}" text-anchor="end">{at:.1f}</text>')
        parts.append(f'<text x="{x(at):.1f}" y="{_SQUARE - 8}" text-anchor="middle">{at:.1f}</text>')
    parts.append(f'<line class="mean" x1="{x(low):.1f}" x2="{x(high):.1f}" y1="{y(low):.1f}" y2="{y(high):.1f}"/>')
    for each in bins:
        place, ends = f"{x(each['estimate']):.1f}", f'y1="{y(each["low"]):.1f}" y2="{y(each["high"]):.1f}"'
        told = f"{each['n']:,} pictures: estimated {each['estimate']:.2f}, true {each['true']:.2f}"
        told += f", 80 % from {each['low']:.2f} to {each['high']:.2f}"
        dot = f'cx="{place}" cy="{y(each["true"]):.1f}" r="4"'
        parts.append(f'<line class="strip" x1="{place}" x2="{place}" {ends}/>')
        parts.append(f'<circle class="dot" {dot}><title>{told}</title></circle>')
    return "".join([*parts, "</svg>"])


def strip(mean: float, low: float | None, high: float | None, limits: tuple[float, float], whole: float) -> str:
    """A dot at the mean on a line from `low` to `high`; a line across marks `whole`, the mean of all pictures."""

    def x(score: float) -> float:
        return 5 + (score - limits[0]) / (limits[1] - limits[0]) * (_STRIP_WIDTH - 10)

    middle = _STRIP_HEIGHT // 2
    parts = [
        f'<svg viewBox="0 0 {_STRIP_WIDTH} {_STRIP_HEIGHT}" aria-hidden="true">',
        f'<line class="whole" x1="{x(whole):.1f}" x2="{x(whole):.1f}" y1="0" y2="{_STRIP_HEIGHT}"/>',
    ]
    if low is not None and high is not None:
        parts.append(f'<line class="strip" x1="{x(low):.1f}" x2="{x(high):.1f}" y1="{middle}" y2="{middle}"/>')
    return "".join([*parts, f'<circle class="dot" cx="{x(mean):.1f}" cy="{middle}" r="3.5"/></svg>'])


def _step(largest: int) -> int:
    """The spacing of grid lines: 1, 2 or 5 times a power of ten, such that there are three to six lines."""
    size = int(10 ** max(0, int(math.log10(max(1, largest / 4)))))
    return next(step * size for step in (1, 2, 5, 10) if step * size * 5 >= largest)
