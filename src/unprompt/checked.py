"""Configuration, read into dataclasses: the one place where keys, types and bounds are checked.

A field's annotation says which values it takes: `str`, `int`, `float`, `bool`, `Any`, `Literal` of texts, a tuple of
one type, `Mapping[str, X]`, another dataclass, `X | None`, or one of these with limits, as in
`Annotated[int, Bounds(1, 64)]`. Annotations are evaluated, so the names in them must be imported at run time.

A field without a default is required. A key without a field is a fault, unless the dataclass sets `other_keys = True`.
What no annotation can say, such as one number being less than another, belongs in the `__post_init__`.
"""

from __future__ import annotations

import dataclasses
import math
import re
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from unprompt.display import printable
from unprompt.errors import DataError, UnknownNameError, UnpromptError

Kind = TypeVar("Kind")
Other = TypeVar("Other")

_WORDS: Mapping[Any, tuple[str, str]] = {
    str: ("a text", "texts"),
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    bool: ("true or false", "true or false"),
}
"""The words for one value of a type and for several, in messages."""

_WHOLE_LIMIT = 1 << 63
"""TOML promises 64 bits. Larger numbers may have thousands of digits, which Python refuses to print."""

_LONGEST_SHOWN = 100
"""The number of characters of a wrong value that a message repeats."""


@dataclass(frozen=True)
class Bounds:
    """The smallest and the largest value of a number; `exclusive` names the one that is itself excluded."""

    least: float
    most: float = math.inf
    exclusive: Literal["", "least", "most"] = ""

    def __contains__(self, number: float) -> bool:
        above = self.least < number if self.exclusive == "least" else self.least <= number
        return above and (number < self.most if self.exclusive == "most" else number <= self.most)

    def __str__(self) -> str:
        if self.most == math.inf:
            return f"above {self.least:,}" if self.exclusive == "least" else f"of {self.least:,} or more"
        if self.exclusive == "least":
            return f"above {self.least:,} and at most {self.most:,}"
        return f"from {self.least:,} to {'below ' if self.exclusive else ''}{self.most:,}"


@dataclass(frozen=True)
class Length:
    """The largest number of characters of a text."""

    most: int

    def __contains__(self, text: str) -> bool:
        return len(text) <= self.most

    def __str__(self) -> str:
        return f"of up to {self.most:,} characters"


@dataclass(frozen=True)
class Pattern:
    """A regular expression that a whole text must match; `words` say the same in messages."""

    expression: str
    words: str

    def __contains__(self, text: str) -> bool:
        return re.fullmatch(self.expression, text) is not None

    def __str__(self) -> str:
        return self.words


class Faults:
    """Collects the faults of one file, so that they are reported together.

    A `with faults:` block ends at its first UnpromptError, which is kept; `raise_any` raises everything that was kept.
    """

    def __init__(self) -> None:
        self._errors: list[UnpromptError] = []

    def __enter__(self) -> Faults:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if isinstance(error, UnpromptError):
            self._errors.append(error)
            return True
        return False

    def raise_any(self, error: type[UnpromptError] = DataError) -> None:
        """Raise several faults as one `error`. A single fault is raised as it is, unless `error` is not DataError.

        Does nothing if there are no faults.
        """
        if len(self._errors) == 1 and error is DataError:
            raise self._errors[0]
        if self._errors:
            raise error("; ".join(map(str, self._errors)))


def read(kind: type[Kind], table: object, where: str, *, error: type[UnpromptError] = DataError) -> Kind:
    """Read a parsed TOML or JSON table into the dataclass `kind`; `where` names the table in messages.

    Raises one `error` that lists every fault of the table: unknown keys, missing keys, values of a wrong type or out of
    bounds. With the default `error`, a single unknown name is an UnknownNameError.
    """
    return _read((kind,), table, where, error)[0]  # type: ignore[no-any-return]


def read_both(
    first: type[Kind],
    second: type[Other],
    table: object,
    where: str,
    *,
    error: type[UnpromptError] = DataError,
) -> tuple[Kind, Other]:
    """Read one table into two dataclasses, as `read` does: what all kinds of members have, and the options of one."""
    one, other = _read((first, second), table, where, error)
    return one, other


def check(instance: object) -> None:
    """Check the fields of a dataclass that was created in Python. Called by its `__post_init__`; raises like `read`."""
    faults = Faults()
    kind: Any = type(instance)
    for name, hint in _hints(kind).items():
        with faults:
            _value(hint, getattr(instance, name), name, "")
    faults.raise_any()


def shown(value: Any) -> str:
    """A wrong value for a message: one line of bounded length."""
    if isinstance(value, str) and len(value) > _LONGEST_SHOWN:
        return f"{len(value):,} characters"
    try:
        text = repr(value)
    except ValueError:  # TOML has hexadecimal numbers, and Python shows none that has thousands of digits
        return "numbers of thousands of digits"
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _read(kinds: Iterable[Any], table: object, where: str, error: type[UnpromptError]) -> list[Any]:
    if not isinstance(table, Mapping):
        raise error(f"expected {where} to be a table of keys and values, found {shown(table)}")
    hints = {name: hint for kind in kinds for name, hint in _hints(kind).items()}
    faults = Faults()
    tolerant = any(getattr(kind, "other_keys", False) for kind in kinds)
    for key in table:
        with faults:
            if key not in hints and not tolerant:
                raise UnknownNameError(f"key in {where}", key, hints)
    with faults:
        if missing := [repr(name) for kind in kinds for name in _needed(kind) if name not in table]:
            raise DataError(f"{where} lacks {', '.join(missing)}")
    values = {}
    for name, hint in hints.items():
        with faults:
            if name in table:
                values[name] = _value(hint, table[name], name, where)
    faults.raise_any(error)
    instances = []
    for kind in kinds:
        with faults:
            instances.append(_made(kind, values, where))
    faults.raise_any(error)
    return instances


def _made(kind: type, values: Mapping[str, Any], where: str) -> Any:
    try:
        return kind(**{name: values[name] for name in _hints(kind) if name in values})
    except UnpromptError as error:  # raised by its __post_init__, which does not know the file
        raise DataError(f"{where}: {error}") from error


@cache
def _hints(kind: Any) -> Mapping[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _needed(kind: type) -> list[str]:
    """The fields without a default."""
    return [
        field.name
        for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]


def _value(hint: Any, value: Any, key: str, where: str) -> Any:
    """The value, converted to the type of its field. Raises DataError, or UnknownNameError for an unknown choice."""
    try:
        return _fitted(hint, value, key, where)
    except (ValueError, OverflowError):
        at = f"{where}: " if where else ""
        raise DataError(f"{at}expected {key} to be {_wanted(hint)}, found {shown(value)}") from None


def _fitted(hint: Any, value: Any, key: str, where: str) -> Any:
    """The converted value. Raises ValueError or OverflowError if it does not fit, UnpromptError for faults inside."""
    origin = get_origin(hint)
    if origin is Annotated:
        found = _fitted(hint.__origin__, value, key, where)
        _require(all(found in limit for limit in hint.__metadata__))
        return found
    if origin in (Union, types.UnionType):
        return None if value is None else _fitted(_of_optional(hint), value, key, where)
    if origin is Literal:
        return _choice(hint, value, key, where)
    if origin is tuple:
        return _entries(hint, value, key, where)
    if origin is Mapping:
        return _mapping(hint, value, key, where)
    if dataclasses.is_dataclass(hint):
        return _section(hint, value, f"[{key}] of {where}")
    if hint not in (*_WORDS, Any):
        raise TypeError(f"the field {key} is annotated as {hint}, which unprompt.checked does not read")
    return value if hint is Any else _plain(hint, value)


def _require(fits: bool) -> None:
    if not fits:
        raise ValueError


def _plain(kind: type, value: Any) -> Any:
    """A text, a number or a bool. A whole number is accepted as a float, a bool is not accepted as a number."""
    _require(kind is bool or not isinstance(value, bool))
    if kind is float and isinstance(value, int):
        value = float(value)
    _require(isinstance(value, kind))
    _require(kind is not int or abs(value) < _WHOLE_LIMIT)
    _require(kind is not float or math.isfinite(value))
    return value


def _choice(hint: Any, value: Any, key: str, where: str) -> Any:
    _require(isinstance(value, str))
    if value not in get_args(hint):
        raise UnknownNameError(f"{key} in {where}" if where else key, value, get_args(hint))
    return value


def _entries(hint: Any, value: Any, key: str, where: str) -> tuple[Any, ...]:
    """A list, converted to a tuple; all entries have one type."""
    kind, *others = get_args(hint)
    _require(isinstance(value, (list, tuple)) and (others == [...] or len(value) == 1 + len(others)))
    if not dataclasses.is_dataclass(kind):
        return tuple(_fitted(kind, entry, key, where) for entry in value)
    faults = Faults()
    entries = []
    for number, entry in enumerate(value, start=1):
        with faults:
            entries.append(_section(kind, entry, f"[[{key}]] {number} of {where}"))
    faults.raise_any()
    return tuple(entries)


def _mapping(hint: Any, value: Any, key: str, where: str) -> Mapping[str, Any]:
    """A table with arbitrary keys; all values have one type."""
    _require(isinstance(value, Mapping))
    kind = get_args(hint)[1]
    faults = Faults()
    found = {}
    for name, inner in value.items():
        with faults:
            found[name] = _value(kind, inner, f"{key}.{printable(str(name))}", where)
    faults.raise_any()
    return found


def _section(kind: Any, value: Any, where: str) -> Any:
    if isinstance(value, kind):
        return value
    _require(isinstance(value, Mapping))
    return read(kind, value, where)


def _of_optional(hint: Any) -> Any:
    """The X of `X | None`."""
    return next(kind for kind in get_args(hint) if kind is not types.NoneType)


def _wanted(hint: Any, many: bool = False) -> str:
    """The values that an annotation allows, in words."""
    origin = get_origin(hint)
    if origin is Annotated:
        return f"{_wanted(hint.__origin__, many)} {' and '.join(map(str, hint.__metadata__))}"
    if origin in (Union, types.UnionType):
        return _wanted(_of_optional(hint), many)
    if origin is Literal:
        return f"{'some' if many else 'one'} of {', '.join(get_args(hint))}"
    if origin is tuple:
        kind, *others = get_args(hint)
        count = "" if others == [...] else f"{1 + len(others)} "
        return f"a list of {count}{_wanted(kind, many=True)}"
    return _WORDS.get(hint, ("a table", "tables"))[many]
