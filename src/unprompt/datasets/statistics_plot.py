"""The plot of a data set's statistics."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unprompt.datasets.statistics import PHRASES_SHOWN, Statistics
from unprompt.durable import replace_file
from unprompt.text.tokenizers import CLIP_CONTENT_TOKENS

_BARS = 12
_LABEL = 32  # characters
_LONGEST_SHARE = 0.995  # share of the prompts drawn at their length; the last bar holds the rest
_BLUE, _RED = "#3b6ea5", "#b5443c"


def plot_statistics(statistics: Statistics, title: str, path: str) -> None:
    """Draw prompt lengths, frequent phrases and field values as a PNG. Raises DataError if it cannot be written."""
    fields = {name: values for name, values in statistics.fields.items() if values}
    figure = Figure(figsize=(12, 4 + 4 * bool(fields) + 1), dpi=110, layout="constrained")
    figure.suptitle(
        f"{title}: {statistics.records:,} records, {statistics.distinct:,} distinct prompts", parse_math=False
    )
    rows = figure.subfigures(2 if fields else 1, 1, squeeze=False)[:, 0]
    words, tokens, phrases = rows[0].subplots(1, 3)
    _draw_lengths(words, statistics.words, "words")
    _draw_lengths(tokens, statistics.clip_tokens, "CLIP tokens")
    tokens.axvline(CLIP_CONTENT_TOKENS + 0.5, color=_RED, label=f"CLIP reads {CLIP_CONTENT_TOKENS}")
    tokens.legend(fontsize="small")
    _draw_bars(phrases, dict(statistics.phrases.most_common(PHRASES_SHOWN)), "most frequent phrases", "prompts")
    if fields:
        for axes, (name, values) in zip(
            rows[1].subplots(1, len(fields), squeeze=False)[0], fields.items(), strict=True
        ):
            _draw_bars(axes, _largest(values), name, "records")
    image = io.BytesIO()
    figure.savefig(image, format="png")
    replace_file(path, image.getvalue())


def _draw_lengths(axes: Axes, lengths: Counter[int], what: str) -> None:
    total, drawn, last = lengths.total(), 0, 0
    for last in sorted(lengths):
        drawn += lengths[last]
        if drawn >= _LONGEST_SHARE * total:
            break
    width = max(1, -(-(last + 1) // 60))
    bars: Counter[int] = Counter()
    for length, count in lengths.items():
        bars[min(length, last) // width] += count
    axes.bar([bar * width for bar in bars], list(bars.values()), width=width, align="edge", color=_BLUE)
    axes.set_title(f"length in {what}", fontsize="medium")
    axes.set_xlabel(f"{what}; the last bar: {last // width * width} and more")
    axes.set_ylabel("distinct prompts")
    axes.set_xlim(0, last + width)
    axes.grid(alpha=0.3)


def _draw_bars(axes: Axes, counts: Mapping[str, int], title: str, what: str) -> None:
    names = [name if len(name) <= _LABEL else f"{name[: _LABEL - 1]}…" for name in counts]
    places = range(len(counts), 0, -1)
    axes.barh(places, list(counts.values()), color=_BLUE)
    axes.set_ylim(min(0, len(counts) - _BARS) + 0.4, len(counts) + 0.6)  # a few bars are no thicker than many
    axes.set_yticks(places, names, fontsize="x-small", parse_math=False)
    axes.set_title(title, fontsize="medium", parse_math=False)
    axes.set_xlabel(what)
    axes.grid(alpha=0.3, axis="x")


def _largest(values: Counter[str]) -> dict[str, int]:
    largest = dict(values.most_common(_BARS))
    rest = values.total() - sum(largest.values())
    return {**largest, "others": rest} if rest else largest
