"""What options and arguments take: texts become numbers, paths and choices, and a wrong one is said in plain words."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer

from unprompt.display import printable
from unprompt.errors import nearest

MOST = 1_000_000_000
"""The largest number where an option names none: nothing here has so many, and C libraries take more for another."""

_WHOLE = re.compile("[+-]?[0-9]{1,18}")
_LONGEST_SHOWN = 60
"""Characters of a wrong value that an error repeats."""

_SWITCHES = {
    **dict.fromkeys(("1", "true", "t", "yes", "y", "on"), True),
    **dict.fromkeys(("0", "false", "f", "no", "n", "off", ""), False),
}
"""What a flag's variable in the environment may say."""


class Values:
    """Converts the values of one option or argument, in the place where typer keeps what does so.

    typer asks pydantic about every value, defaults too: its import takes longer than that of numpy, and its messages
    are for programmers.
    """

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value; an empty tuple where a list is missing, as typer has it. Raises typer.BadParameter."""
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        descriptor = param.type_descriptor
        least, most = descriptor.parameter_info.min, descriptor.parameter_info.max
        try:
            return _converted(descriptor.annotation, value, least, most)
        except ValueError as error:
            raise typer.BadParameter(str(error), ctx=ctx, param=param) from None


def with_values(parameters: list[Any]) -> list[Any]:
    """Put `Values` where typer keeps what converts values; a release of typer without that place stays as it is."""
    for parameter in parameters:
        if hasattr(parameter, "_runtime_param") and hasattr(parameter, "type_descriptor"):
            parameter._runtime_param = Values()
    return parameters


def bounds_in_words(least: float | None, most: float | None) -> str:
    """1, None -> "1 or more"; 0, 10 -> "0 to 10"; "" if neither is known."""
    if least is None:
        return "" if most is None else f"at most {most:,}"
    return f"{least:,} or more" if most is None else f"{least:,} to {most:,}"


def _converted(kind: Any, value: Any, least: float | None, most: float | None) -> Any:
    """The value as its type. Raises ValueError with what was expected and found."""
    origin = get_origin(kind)
    if origin is list:
        return [_converted(get_args(kind)[0], each, least, most) for each in value]
    if origin is tuple:
        return tuple(_converted(inner, each, least, most) for inner, each in zip(get_args(kind), value, strict=True))
    if origin is Literal:
        return _choice(get_args(kind), value)
    if kind is bool:
        return _switch(value)
    if kind in (int, float):
        return _number(kind, value, least, most)
    return kind(value) if kind in (str, Path) else value


def _number(kind: type, value: Any, least: float | None, most: float | None) -> Any:
    number = _parsed(kind, value)
    if number is None or not (least is None or least <= number) or not number <= (MOST if most is None else most):
        noun = "a whole number" if kind is int else "a number"
        within = bounds_in_words(least, MOST if most is None and number is not None and number > MOST else most)
        raise ValueError(f"expected {f'{noun}, {within}' if within else noun}; found {_shown(value)}")
    return number


def _parsed(kind: type, value: Any) -> Any:
    """The number; None if it is none, or not finite."""
    text = str(value).strip()
    if kind is int:
        return int(text) if _WHOLE.fullmatch(text) else None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _choice(choices: Sequence[str], value: str) -> str:
    if value in choices:
        return value
    guess = nearest(value, choices)
    advice = f"; did you mean {guess}?" if guess else ""
    raise ValueError(f"expected {', '.join(choices[:-1])} or {choices[-1]}; found {_shown(value)}{advice}")


def _switch(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if (wanted := _SWITCHES.get(str(value).strip().lower())) is None:
        raise ValueError(f"expected true or false; found {_shown(value)}")
    return wanted


def _shown(value: Any) -> str:
    text = printable(str(value))
    return repr(text) if len(text) <= _LONGEST_SHOWN else f"{len(text):,} characters"
