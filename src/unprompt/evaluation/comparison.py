"""The comparison of two runs on the pictures that both have: which is better, and how certain that is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from unprompt.display import printable
from unprompt.errors import DataError
from unprompt.evaluation.metrics import bootstrap_difference
from unprompt.evaluation.report import check_field, grouped, intervals_made, numbers
from unprompt.evaluation.scoring import Score
from unprompt.output.records import rounded

Comparison = dict[str, Any]
_Both = list[tuple[Score, Score]]


def compare(a: Sequence[Score], b: Sequence[Score], *, by: str | None = None) -> Comparison:
    """The paired comparison of two runs on the same data set.

    The result is {n, only_a, only_b, vector {a, b, mean, low, high, a_better}, text {..}, groups {value of the field
    `by`: {n, vector, text}}, intervals {..}}: the mean cosines of both runs, their difference A - B with a 95 %
    bootstrap interval, and the probability that A is better; null if nothing was scored. Pictures are matched by their
    names in the data set. Raises DataError if the runs have no picture in common or differ in a true prompt,
    UnknownNameError if no picture has the field `by`.
    """
    first, second = ({score.name: score for score in scores} for scores in (a, b))
    both = [(score, second[name]) for name, score in first.items() if name in second]
    if not both:
        raise DataError(
            f"expected two runs on the same pictures, found none that both have, of {len(a):,} and {len(b):,}; "
            "compare runs on one data set"
        )
    _check_prompts(both)
    common = [score for score, _ in both]
    check_field(by, (score.fields for score in common), "the pictures that both have")
    return {
        **_differences(both),
        "only_a": len(first) - len(both),
        "only_b": len(second) - len(both),
        "groups": {
            name: _differences([(score, second[score.name]) for score in group])
            for name, group in grouped(common, by).items()
        },
        "intervals": intervals_made(common),
    }


def _check_prompts(both: _Both) -> None:
    """Raise DataError if a picture's true prompts differ, since its scores then measure different things."""
    other = [a.name for a, b in both if a.prompt != b.prompt]
    if other:
        raise DataError(
            f"expected two runs on the same data set, found differing true prompts for {len(other):,} of {len(both):,} "
            f"pictures, such as {printable(other[0])}; evaluate one of them again"
        )


def _differences(both: _Both) -> Comparison:
    return {
        "n": len(both),
        "vector": _difference(both, lambda score: score.vector),
        "text": _difference(both, lambda score: score.text),
    }


def _difference(both: _Both, cosine: Callable[[Score], float | None]) -> dict[str, float | None] | None:
    found = [(of_a, of_b, a) for a, b in both if (of_a := cosine(a)) is not None and (of_b := cosine(b)) is not None]
    a, b = [of_a for of_a, _, _ in found], [of_b for _, of_b, _ in found]
    difference = numbers(bootstrap_difference(a, b, [score.unit for _, _, score in found]))
    return difference and {"a": rounded(sum(a) / len(a)), "b": rounded(sum(b) / len(b)), **difference}
