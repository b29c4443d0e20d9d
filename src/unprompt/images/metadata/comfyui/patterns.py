"""Regular expressions out of an untrusted graph, run only if their work is bounded.

Python's `re` tries again from each place, and for each repetition with fewer characters. The most tries are the product
of the longest runs in this text that the repeated characters can match; with few enough, the pattern is run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_PATTERN_LIMIT_CHARS = 300
_TOKENS = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?:\?(?::|P<\w+>|[aimsu]{1,5}\)))?|\)|[*+?]\??|\{\d*,?\d*\}\??|\||.", re.DOTALL
)
_REPEAT = re.compile(r"[*+?]|\{(\d*)(,?)(\d*)\}")
# What Python warns of: sets in sets, and flags that do not come first.
_WARNED_OF = re.compile(r"\[\^?\[|--|&&|~~|\|\||.\(\?[aimsu]+\)", re.DOTALL)


def bounded(pattern: str, text: str, flags: int, work_limit: int) -> tuple[re.Pattern[str] | None, int]:
    """Compile a pattern whose work on this text is within a limit, and say how much work that is.

    The pattern is None if it is too much or broken. Repeated groups may not repeat or choose inside; references back
    and looks around are refused.
    """
    work = max(1, len(text))
    if len(pattern) > _PATTERN_LIMIT_CHARS or _WARNED_OF.search(pattern):
        return None, 0
    try:
        compiled = re.compile(pattern, flags)
        for factor in _factors(pattern, text, flags):
            work *= factor
            if work > work_limit:
                return None, len(text)
    except (re.error, RecursionError, OverflowError, ValueError):
        return None, len(text)
    return (compiled, work) if work <= work_limit else (None, len(text))


def _factors(pattern: str, text: str, flags: int) -> Iterator[int]:
    """For each repetition and choice, how many ways there are to match it; raises ValueError at what has no bound."""
    groups: list[bool] = []  # for each open group, whether it repeats or chooses inside
    atom, simple = "", True
    for token in _TOKENS.findall(pattern):
        if repeat := _REPEAT.fullmatch(token.rstrip("?") or "?") if atom else None:
            if not simple and repeat[0] != "?":
                raise ValueError("a repeated group repeats inside")
            if groups:
                groups[-1] = True
            yield _ways(repeat, atom, text, flags)
            atom = ""
        elif token.startswith("("):
            if token == "(" and "(?" in pattern and _looks_around(pattern):
                raise ValueError("a look around")
            if not token.endswith(")"):
                groups.append(False)
            atom = ""
        elif token == ")":
            simple = not groups.pop()
            if groups and not simple:
                groups[-1] = True
            atom = "("
        elif token == "|":
            if groups:
                groups[-1] = True
            atom = ""
            yield 2
        elif re.fullmatch(r"\\[1-9]", token):
            raise ValueError("a reference back")
        else:
            atom, simple = token, True


def _looks_around(pattern: str) -> bool:
    return re.search(r"\(\?(?![:aimsu]|P<)", pattern) is not None


def _ways(repeat: re.Match[str], atom: str, text: str, flags: int) -> int:
    if repeat[0] == "?":
        return 2
    if atom == "(":
        return max(2, len(text))
    if atom in "^$":
        return 2
    # Flags inside of the pattern may add these two; a set that excludes matches more without IGNORECASE.
    variants = (flags | re.DOTALL, flags | re.DOTALL | re.IGNORECASE)
    runs = (run for variant in variants for run in re.compile(f"(?:{atom})+", variant).findall(text))
    return 1 + max(map(len, runs), default=0)
