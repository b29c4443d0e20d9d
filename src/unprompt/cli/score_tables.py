"""What `unprompt evaluate` shows: scores, comparisons and fitted weights as tables and lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from unprompt.cli.terminal import add_row, new_table

if TYPE_CHECKING:
    from rich.table import Table

    from unprompt.evaluation.calibration import Fitted
    from unprompt.evaluation.comparison import Comparison
    from unprompt.evaluation.report import Report
    from unprompt.evaluation.weights import Fit
    from unprompt.presets import Preset


def report_table(report: Report, preset: str) -> Table:
    """The groups, all pictures, and each member alone."""
    headings = ("n", "vector", "95 %", "text", "95 %")
    table = new_table("", *headings, right=headings, title=f"Mean cosine with the true prompt, preset {preset}")
    for name, group in report["groups"].items():
        add_row(table, name, group["n"], *_cells(group["vector"]), *_cells(group["text"]))
    table.add_section()
    add_row(table, "all", report["n"], *_cells(report["vector"]), *_cells(report["text"]))
    for name, mean in report["members"].items():
        add_row(table, f"  {name} alone", "", *_cells(mean), "", "")
    return table


def words_table(report: Report) -> Table | None:
    """How many content words are right, by group; None without texts."""
    if report["words"] is None:
        return None
    headings = ("n", "precision", "recall", "F1", "95 %", "subject")
    table = new_table("", *headings, right=headings, title="Content words that are in the true prompt or its captions")
    for name, group in report["groups"].items():
        add_row(table, name, *_word_cells(group))
    table.add_section()
    add_row(table, "all", *_word_cells(report))
    return table


def confidence_table(report: Report) -> Table | None:
    """How reliable the confidences are, by group; None without any."""
    if report["confidence"] is None:
        return None
    headings = ("n", "mean error", "of the mean alone", "bias", "in the range", "correlation")
    table = new_table("", *headings, right=headings, title="Confidence, whose range is meant to hold 80 %")
    for name, group in report["groups"].items():
        if group["confidence"] is not None:
            add_row(table, name, *reliability_cells(group["confidence"]))
    table.add_section()
    add_row(table, "all", *reliability_cells(report["confidence"]))
    return table


def calibration_table(fitted: Fitted) -> Table:
    """How reliable a calibration is, and what each sign is worth in it."""
    headings = ("n", "mean error", "of the mean alone", "bias", "in the range", "correlation")
    table = new_table("", *headings, right=headings, title="Each half of the pictures, judged by a fit on the other")
    add_row(table, "all", *reliability_cells(asdict(fitted.held_out)))
    return table


def calibration_lines(fitted: Fitted) -> Iterator[str]:
    """The estimate's parts in words."""
    spec = fitted.spec
    worth = ", ".join(f"{name} {weight:.3f}" for name, (_, _, weight) in spec.signs.items()) or "none of the signs"
    yield f"Confidence: {spec.mean:.3f} on average, from {spec.low:+.3f} to {spec.high:+.3f} of it; worth: {worth}"
    low, estimate, high = spec.blank
    yield f"A picture of nothing: {estimate:.2f} ({low:.2f} to {high:.2f})"


def reliability_cells(found: Mapping[str, Any]) -> list[str]:
    """The cells of one reliability."""
    errors = f"{found['error']:.4f}", f"{found['error_without']:.4f}", f"{found['bias']:+.4f}"
    return [str(found["n"]), *errors, f"{found['coverage']:.1%}".replace("%", " %"), f"{found['correlation']:.3f}"]


def _word_cells(group: Report) -> list[str]:
    words = group["words"]
    if words is None:
        return [str(group["n"]), "-", "-", "-", "-", "-"]
    means = [f"{words[key]['mean']:.3f}" for key in ("precision", "recall", "f1", "subject")]
    return [str(group["n"]), *means[:3], _interval(words["f1"]), means[3]]


def intervals_line(report: Report) -> str:
    """How the intervals of a report or a comparison were made."""
    made = report["intervals"]
    return f"95 %: {made['method']} over {made['units']:,} {made['resampled']}, {made['resamples']:,} resamples"


def _cells(mean: dict[str, float | None] | None) -> tuple[str, str]:
    if mean is None:
        return "-", "-"
    return f"{mean['mean']:.4f}", _interval(mean)


def _interval(mean: dict[str, float | None], sign: str = "") -> str:
    """The two ends as a table shows them."""
    low, high = mean["low"], mean["high"]
    return "-" if low is None or high is None else f"{low:{sign}.4f} to {high:{sign}.4f}"


def weights_table(fit: Fit, preset: Preset) -> Table:
    """Each member's weight in the preset and as it was fitted."""
    headings = ("now", "fitted", "over the folds")
    table = new_table("", *headings, right=headings, title="Weights of the members")
    for member in preset.members:
        low, high = fit.spread[member.name]
        weights = f"{member.weight:.4f}", f"{fit.weights[member.name]:.4f}", f"{low:.4f} to {high:.4f}"
        add_row(table, member.name, *weights)
    return table


def judgement(fit: Fit, preset: Preset) -> str:
    """What the weights are worth outside, without a codebook, which the scores of a report are with."""
    low = fit.gain.low
    undrawn = " (no codebook drew the vectors)" if preset.codebook is not None else ""
    verdict = "" if low is not None and low > 0 else ": no better, as far as these pictures can tell"
    return (
        f"On held-out pictures{undrawn} the fitted weights score {fit.fitted.mean:.4f}, "
        f"those of now {fit.start.mean:.4f}, "
        f"difference {fit.gain.mean:+.4f} ({fit.gain.low:+.4f} to {fit.gain.high:+.4f}){verdict}"
    )


def comparison_table(comparison: Comparison, what: str) -> Table:
    """The groups and all pictures; `what` is "vector" or "text"."""
    headings = ("n", "A", "B", "A - B", "95 %", "A is better")
    table = new_table("", *headings, right=headings, title=f"Mean cosine with the true prompt, {what}")
    for name, group in comparison["groups"].items():
        add_row(table, name, *_compared(group, what))
    table.add_section()
    add_row(table, "all", *_compared(comparison, what))
    return table


def _compared(comparison: Comparison, what: str) -> list[str]:
    found = comparison[what]
    if found is None:
        return [str(comparison["n"]), "-", "-", "-", "-", "-"]
    return [
        str(comparison["n"]),
        f"{found['a']:.4f}",
        f"{found['b']:.4f}",
        f"{found['mean']:+.4f}",
        _interval(found, sign="+"),
        _probability(found["a_better"]),
    ]


def _probability(share: float | None) -> str:
    """A share of resamples; where all agree, no more than their number can tell."""
    if share is None:
        return "-"
    return "> 99.9 %" if share > 0.999 else "< 0.1 %" if share < 0.001 else f"{share:.1%}".replace("%", " %")
