"""The terms of a picture as tables: those of its text with what each gained, and the best ones of each list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from unprompt.cli.terminal import say_failure, show
from unprompt.errors import EXIT_FINE, EXIT_SOME_FAILED

if TYPE_CHECKING:
    from rich.table import Table

    from unprompt.images.decode import Picture
    from unprompt.images.ref import ImageRef
    from unprompt.interrogation.interrogation import Interrogation, Settings
    from unprompt.interrogation.interrogator import Interrogator
    from unprompt.prediction import Term

_BAR = 24
"""Characters of the longest bar."""

_EIGHTHS = " ▏▎▍▌▋▊▉"


class Limits(NamedTuple):
    """What one picture may have and take; see `decode`."""

    pixel_limit_mp: float
    memory_limit_mb: float


def show_terms(
    interrogator: Interrogator,
    settings: Settings,
    refs: Iterable[ImageRef],
    top: int,
    limits: Limits,
    *,
    fail_fast: bool,
) -> int:
    """Prints the tables of each picture; the exit code."""
    from unprompt.images.decode import decode
    from unprompt.prediction import Failure

    code = EXIT_FINE
    for ref in refs:
        picture = decode(ref, shorter_side=interrogator.shorter_side, read_metadata=False, **limits._asdict())
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
    table = _table(source, "term of the text", "list", "similarity", "gain", "")
    largest = max((abs(term.gain) for term in answer.terms if term.gain is not None), default=0.0)
    for term in answer.terms:
        gain = "" if term.gain is None else f"{term.gain:+.4f}"
        cells = (_plain(term.text), term.category, f"{term.similarity:.4f}", gain)
        table.add_row(*cells, _bar(term.gain or 0.0, 0.0, largest))
    text = answer.text if answer.similarity is None else f"{answer.text} ({answer.similarity:.4f})"
    negative = "" if answer.negative_prompt is None else f"\nNegative prompt: {answer.negative_prompt}"
    table.caption = _plain(text) + _plain(negative)
    table.caption_justify = "left"
    return table


def _list_table(name: str, terms: Sequence[Term], lowest: float, highest: float) -> Table:
    """Bars begin a little below the lowest score of all lists, or differences would not be seen."""
    table = _table("", name, "similarity", "")
    for term in terms:
        cells = (_plain(term.text), f"{term.similarity:.4f}")
        table.add_row(*cells, _bar(term.similarity, lowest - 0.1 * (highest - lowest), highest))
    return table


def _table(title: str, *headings: str) -> Table:
    from rich.table import Table

    table = Table(title=_plain(title) or None, title_justify="left")
    for heading in headings:
        table.add_column(heading, justify="right" if heading in ("similarity", "gain") else "left")
    return table


def _bar(value: float, start: float, end: float) -> str:
    share = 0.0 if end <= start else min(max((value - start) / (end - start), 0.0), 1.0)
    whole, eighth = divmod(round(share * _BAR * 8), 8)
    return ("█" * whole + _EIGHTHS[eighth]).rstrip()


def _plain(text: str) -> str:
    from rich.markup import escape

    from unprompt.display import printable

    return escape(printable(text))
