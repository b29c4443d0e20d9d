"""A report as one self-contained HTML file: embedded pictures, no scripts, no requests, every text escaped."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from unprompt.display import printable
from unprompt.evaluation.charts import axis_limits, histogram, reliability_diagram, strip
from unprompt.evaluation.highlights import Highlights, thumbnail
from unprompt.evaluation.report import Report
from unprompt.evaluation.scoring import Scored

_TEMPLATE = Path(__file__).with_suffix(".html")
_LONGEST = 1000  # characters of a text
_ROWS = 200  # rows of a table: a field may have as many values as there are pictures

_Mean = Mapping[str, float | None] | None


def html_page(report: Report, highlights: Highlights, *, source: str, by: str | None, command: str, date: str) -> str:
    """The page of an evaluation: scores, histograms, groups, members, best and worst pictures, failures, models.

    `report` and `highlights` must come from the same run, on the data set `source`; `command` and `date` are only
    shown.
    """
    sections = [
        _histograms(highlights),
        _reliability(report["confidence"]),
        _groups(report, by),
        _members(report),
        _pictures("Best pictures", highlights.best),
        _pictures("Worst pictures", highlights.worst),
        _failures(report["failures"]),
        _origin(report["model"], source, command, date),
    ]
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=_text(f"unprompt: preset {report['model']['preset']} on {os.path.basename(source) or source}"),
        scores=_headline(report),
        method=_text(_method(report)),
        sections="\n".join(section for section in sections if section),
    )


def _text(value: object) -> str:
    """Untrusted text as HTML: escaped, free of control characters and direction marks, and cut to a maximum length."""
    text = printable(str(value))
    return escape(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}...")


def _headline(report: Report) -> str:
    failed = len(report["failures"])
    parts = [(report["vector"], "the vector"), (report["text"], "the text")]
    scores = [
        f'<div class="score"><b>{mean["mean"]:.3f}</b>{what}{_range(mean, " ({:.3f} to {:.3f})")}</div>'
        for mean, what in parts
        if mean is not None
    ]
    counted = f"pictures{f', {failed:,} more failed' if failed else ''}"
    return "".join([*scores, f'<div class="score"><b>{report["n"]:,}</b>{counted}</div>'])


def _method(report: Report) -> str:
    made = report["intervals"]
    return (
        "Mean cosine with the true prompt in the space of all-MiniLM-L6-v2: of the predicted vector, and of the "
        f"predicted prompt's own. Intervals of 95 %: {made['method']} over {made['units']:,} {made['resampled']}, "
        f"{made['resamples']:,} resamples."
    )


def _histograms(highlights: Highlights) -> str:
    if not highlights.vector:
        return ""
    limits = axis_limits(highlights.vector, highlights.text)
    charts = [
        f'<figure class="{name}">{histogram(scores, limits, f"Histogram of the cosines of the {name}")}'
        f"<figcaption>pictures by the cosine of the {name}</figcaption></figure>"
        for name, scores in (("vector", highlights.vector), ("text", highlights.text))
        if scores
    ]
    return f'<h2>Scores</h2><div class="charts">{"".join(charts)}</div>'


def _reliability(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    chart = reliability_diagram(found["bins"], "Reliability diagram of the confidences")
    words = (
        f"Mean error {found['error']:.3f}; the mean cosine alone has {found['error_without']:.3f}. "
        f"{100 * found['coverage']:.1f} % of the true cosines are in the range, which is meant to hold 80 %. "
        f"Correlation {found['correlation']:.2f}, bias {found['bias']:+.3f}."
    )
    caption = "estimated cosine (across) and true cosine (up), a tenth of the pictures each; lines hold 80 % of them"
    return (
        f'<h2>Confidence</h2><p>{words}</p><div class="charts"><figure class="reliability">{chart}'
        f"<figcaption>{caption}</figcaption></figure></div>"
    )


def _groups(report: Report, by: str | None) -> str:
    groups: dict[str, Any] = report["groups"]
    if not groups:
        return ""
    # If there are too many, the largest are shown, still ordered by name.
    kept = sorted(groups, key=lambda name: -groups[name]["n"])[:_ROWS]
    shown = {name: group for name, group in groups.items() if name in kept}
    ends = [end for group in shown.values() for end in _ends(group["vector"])]
    limits = (min(ends), max(*ends, min(ends) + 1e-6))

    def row(name: str, means: Mapping[str, Any]) -> list[str]:
        vector = means["vector"]
        place = strip(vector["mean"], vector["low"], vector["high"], limits, report["vector"]["mean"])
        text = _cells(means["text"]) if report["text"] is not None else []
        return [name, f"{means['n']:,}", *_cells(vector), place, *text]

    rows = [*(row(_text(name), group) for name, group in shown.items()), row("all", report)]
    heads = [_text(by), "n", "vector", "95 %", "", *(["text", "95 %"] if report["text"] is not None else [])]
    return f"<h2>By {_text(by)}</h2>{_table(heads, rows)}{_more(len(groups) - len(shown), 'smaller ones')}"


def _members(report: Report) -> str:
    members: dict[str, Any] = report["members"]
    if not members:
        return ""
    rows = [[_text(name), *_cells(mean)] for name, mean in members.items()]
    return f"<h2>Members alone</h2>{_table(['member', 'vector', '95 %'], rows)}"


def _pictures(title: str, pictures: Sequence[Scored]) -> str:
    if not pictures:
        return ""
    note = '<p class="faint">by the cosine of the vector</p>'
    return f"<h2>{title}</h2>{note}{''.join(map(_picture, pictures))}"


def _picture(scored: Scored) -> str:
    score, name = scored.score, _text(scored.pair.name)
    address = thumbnail(scored.pair.picture)
    image = f'<img src="{address}" alt="">' if address else '<div class="missing faint">no longer there</div>'
    sure = "" if score.confidence is None else f" (estimated {score.confidence.estimate:.3f})"
    text = "" if score.text is None else f" &middot; text <b>{score.text:.3f}</b>"
    scores = f"vector <b>{score.vector:.3f}</b>{sure}{text}"
    predicted = _text(scored.answer.prompt) if scored.answer.prompt else '<span class="faint">none was asked for</span>'
    return (
        f'<div class="picture">{image}<h3 class="name">{scores} &middot; {name}</h3>'
        f"<div><h3>true prompt</h3><p>{_text(scored.pair.prompt)}</p></div>"
        f"<div><h3>predicted prompt</h3><p>{predicted}</p></div></div>"
    )


def _failures(failures: Sequence[Mapping[str, Any]]) -> str:
    if not failures:
        return ""
    rows = [
        [_text(failure["source"]), _text(failure["error"]["kind"]), _text(failure["error"]["message"])]
        for failure in failures[:_ROWS]
    ]
    table = _table(["picture", "kind", "what happened"], rows, "words")
    return f"<h2>Failures</h2>{table}{_more(len(failures) - len(rows), 'more')}"


def _origin(model: Mapping[str, Any], source: str, command: str, date: str) -> str:
    facts = {
        "command": command,
        "data": source,
        "date": date,
        "unprompt": model["unprompt"],
        "preset": f"{model['preset']}, {model['preset_hash']}",
        **{f"model {name}": identity for name, identity in model["models"].items()},
    }
    items = "".join(f"<dt>{_text(key)}</dt><dd><code>{_text(value)}</code></dd>" for key, value in facts.items())
    return f"<h2>What computed this</h2><dl>{items}</dl>"


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]], kind: str = "") -> str:
    """An HTML table that scrolls horizontally on narrow screens; cells are HTML."""
    head = "".join(f"<th>{cell}</th>" for cell in heads)
    lines = ("".join(f"<td>{cell}</td>" for cell in row) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return (
        f'<div class="scroll"><table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _more(count: int, what: str) -> str:
    return f'<p class="faint">and {count:,} {what}</p>' if count > 0 else ""


def _cells(mean: _Mean) -> list[str]:
    return ["-", "-"] if mean is None else [f"{mean['mean']:.4f}", _range(mean, "{:.4f} to {:.4f}") or "-"]


def _range(mean: Mapping[str, float | None], form: str) -> str:
    low, high = mean["low"], mean["high"]
    return "" if low is None or high is None else form.format(low, high)


def _ends(mean: Mapping[str, float | None]) -> list[float]:
    return [value for value in mean.values() if value is not None]
