"""Configuration, read into dataclasses: the one place where keys, types and bounds are checked.

A field's annotation says what its value may be: a text, a number, true or false, `Literal` choices, a tuple, a
`Mapping` of texts to values, another dataclass, `X | None`, or any of these as `Annotated[X, Bounds(...)]`. A field
without a default must be there; a key without a field is a fault, unless the dataclass has `other_keys = True`. What no
annotation can say, such as one number being less than another, is checked by the `__post_init__` of the dataclass.
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
"""What a user calls a value of a type, and several."""

_WHOLE_LIMIT = 1 << 63
"""TOML promises whole numbers below it. Longer ones may have thousands of digits, which Python refuses to show."""

_LONGEST_SHOWN = 100
"""Characters of a wrong value that a message repeats."""


@dataclass(frozen=True)
class Bounds:
    """From which to which value a number may go; one of the two may itself be excluded."""

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
    """How many characters a text may have."""

    most: int

    def __contains__(self, text: str) -> bool:
        return len(text) <= self.most

    def __str__(self) -> str:
        return f"of up to {self.most:,} characters"


@dataclass(frozen=True)
class Pattern:
    """A regular expression that the whole of a text matches, and what that means in `words`."""

    expression: str
    words: str

    def __contains__(self, text: str) -> bool:
        return re.fullmatch(self.expression, text) is not None

    def __str__(self) -> str:
        return self.words


class Faults:
    """Collects what is wrong with one file, so that a user hears of all of it at once.

    Each `with faults:` block ends at its first error, which is kept; `raise_any` raises what was kept.
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
        """Raises a lone fault as it is, several as one `error`; an `error` other than DataError takes a lone one too.

        Does nothing where no fault was found.
        """
        if len(self._errors) == 1 and error is DataError:
            raise self._errors[0]
        if self._errors:
            raise error("; ".join(map(str, self._errors)))


def read(kind: type[Kind], table: object, where: str, *, error: type[UnpromptError] = DataError) -> Kind:
    """The dataclass `kind` that a parsed table (TOML, JSON) holds; `where` names the table in messages.

    Raises one `error` that says every fault of the table: keys that are unknown or missing, values of another type or
    out of bounds. A lone unknown name is an UnknownNameError where no other `error` is asked for.
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
    """Two dataclasses whose keys lie in one table, such as what all kinds of members have and the options of one."""
    one, other = _read((first, second), table, where, error)
    return one, other


def check(instance: object) -> None:
    """The same for a dataclass that was made in Python; for its `__post_init__`. Raises as `read` does."""
    faults = Faults()
    kind: Any = type(instance)
    for name, hint in _hints(kind).items():
        with faults:
            _value(hint, getattr(instance, name), name, "")
    faults.raise_any()


def shown(value: Any) -> str:
    """A wrong value as a message repeats it: on one line and of bounded length."""
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
    except UnpromptError as error:  # of its own rules, which do not know where the values come from
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
    """The value as its field declares it. Raises DataError, or UnknownNameError for a choice that there is not."""
    try:
        return _fitted(hint, value, key, where)
    except (ValueError, OverflowError):
        at = f"{where}: " if where else ""
        raise DataError(f"{at}expected {key} to be {_wanted(hint)}, found {shown(value)}") from None


def _fitted(hint: Any, value: Any, key: str, where: str) -> Any:
    """Raises ValueError or OverflowError for a value that is not what is wanted, and UnpromptError for one within."""
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
    if origin is not None:
        return _mapping(hint, value, key, where)
    if dataclasses.is_dataclass(hint):
        return _section(hint, value, f"[{key}] of {where}")
    return value if hint is Any else _plain(hint, value)


def _require(fits: bool) -> None:
    if not fits:
        raise ValueError


def _plain(kind: type, value: Any) -> Any:
    """A text or a number of that type; whole numbers pass for others, true and false for none."""
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
    """A list as a tuple; the entries are all of one type."""
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
    """A table whose keys may be any, and whose values are all of one type."""
    _require(isinstance(value, Mapping))
    kind = get_args(hint)[1]
    faults = Faults()
    found = {}
    for name, inner in value.items():
        with faults:
            found[name] = _value(kind, inner, f"{key}.{printable(name)}", where)
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
    """What a value should have been, in the words of a message."""
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
