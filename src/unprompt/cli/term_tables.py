"""The terms of a picture as tables: those of its text with what each gained, and the best ones of each list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from unprompt.cli.terminal import add_row, cell, new_table, say_failure, show
from unprompt.errors import EXIT_FINE, EXIT_SOME_FAILED

if TYPE_CHECKING:
    from rich.table import Table

    from unprompt.images.decode import Picture
    from unprompt.interrogation.interrogation import Interrogation, Settings
    from unprompt.interrogation.interrogator import Interrogator
    from unprompt.prediction import Failure, Term

_BAR = 24
"""Characters of the longest bar."""

_EIGHTHS = " ▏▎▍▌▋▊▉"
_NUMBERS = ("similarity", "gain")


def show_terms(
    interrogator: Interrogator,
    settings: Settings,
    pictures: Iterable[Picture | Failure],
    top: int,
    *,
    fail_fast: bool,
) -> int:
    """Prints the tables of each picture; returns the exit code."""
    from unprompt.prediction import Failure

    code = EXIT_FINE
    for picture in pictures:
        if not isinstance(picture, Failure):
            for table in _tables(interrogator, settings, picture, top):
                show(table)
            continue
        say_failure(picture)
        code = EXIT_SOME_FAILED
        if fail_fast:
            break
    return code


def _tables(interrogator: Interrogator, settings: Settings, picture: Picture, top: int) -> list[Table]:
    (answer,) = interrogator.interrogate_pictures([picture], settings)
    ranked = interrogator.ranked(picture, top)
    similarities = [term.similarity for terms in ranked.values() for term in terms]
    lowest, highest = min(similarities, default=0.0), max(similarities, default=0.0)
    return [
        _text_table(picture.source, answer),
        *(_list_table(name, terms, lowest, highest) for name, terms in ranked.items()),
    ]


def _text_table(source: str, answer: Interrogation) -> Table:
    table = new_table("term of the text", "list", "similarity", "gain", "", right=_NUMBERS, title=source)
    largest = max((abs(term.gain) for term in answer.terms if term.gain is not None), default=0.0)
    for term in answer.terms:
        gain = "" if term.gain is None else f"{term.gain:+.4f}"
        bar = _bar(term.gain or 0.0, 0.0, largest)
        add_row(table, term.text, term.category, f"{term.similarity:.4f}", gain, bar)
    text = answer.text if answer.similarity is None else f"{answer.text} ({answer.similarity:.4f})"
    negative = "" if answer.negative_prompt is None else f"\nNegative prompt: {cell(answer.negative_prompt)}"
    table.caption = cell(text) + negative
    table.caption_justify = "left"
    return table


def _list_table(name: str, terms: Sequence[Term], lowest: float, highest: float) -> Table:
    """Bars begin a little below the lowest score of all lists, or differences would not be seen."""
    table = new_table(name, "similarity", "", right=_NUMBERS)
    for term in terms:
        bar = _bar(term.similarity, lowest - 0.1 * (highest - lowest), highest)
        add_row(table, term.text, f"{term.similarity:.4f}", bar)
    return table


def _bar(value: float, start: float, end: float) -> str:
    share = 0.0 if end <= start else min(max((value - start) / (end - start), 0.0), 1.0)
    whole, eighth = divmod(round(share * _BAR * 8), 8)
    return ("█" * whole + _EIGHTHS[eighth]).rstrip()
