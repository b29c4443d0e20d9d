"""The kinds of nodes that make numbers and yes or no: seeds, sizes, and what switches are set by."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping

from unprompt.images.metadata.comfyui.calls import Call, Rule
from unprompt.images.metadata.comfyui.values import Value

_LARGEST = 2**64
_PLAIN = ("value", "seed", "number", "int", "Number", "float", "boolean", "bool", "INT", "int_", "float_", "noise_seed")


def _is_zero_safe(function: Callable[[float, float], float]) -> Callable[[float, float], float | None]:
    return lambda a, b: function(a, b) if b else None


_OPERATIONS: Mapping[str, Callable[[float, float], float | None]] = {
    "add": operator.add,
    "+": operator.add,
    "subtract": operator.sub,
    "-": operator.sub,
    "multiply": operator.mul,
    "*": operator.mul,
    "divide": _is_zero_safe(operator.truediv),
    "/": _is_zero_safe(operator.truediv),
    "modulo": _is_zero_safe(operator.mod),
    "%": _is_zero_safe(operator.mod),
}
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "=": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


def constant(call: Call) -> int | float | None:
    """The first input that is named like a number."""
    return next((number for name in _PLAIN if (number := call.number(name)) is not None), None)


def _calculated(call: Call) -> Value:
    a, b, how = call.number("a"), call.number("b"), _OPERATIONS.get(call.plain("operation").strip())
    if a is None or b is None or how is None or max(abs(a), abs(b)) > _LARGEST:
        return None
    result = how(a, b)
    return int(result) if result is not None and "int" in call.node.name else result


def _compared(call: Call) -> Value:
    sign = re.search(r"[<>=!]+", call.plain("comparison") or call.plain("cmp") or call.plain("operation"))
    a, b = call.number("a"), call.number("b")
    if sign is None or a is None or b is None or sign[0] not in _COMPARISONS:
        return None
    return _COMPARISONS[sign[0]](a, b)


def _text_compared(call: Call) -> Value:
    """Whether one text is, begins, ends with or contains another."""
    first, second = ("string_a", "string_b") if call.has("string_a") else ("a", "b")
    if "substring" in call.raw:
        first, second = "string" if "string" in call.raw else "text", "substring"
    a, b = call.plain(first), call.plain(second)
    if not call.whole("case_sensitive", 1):
        a, b = a.lower(), b.lower()
    how = (call.plain("mode") or call.plain("operation") or "in").lower()
    tests: tuple[tuple[str, bool], ...] = (
        ("!=", a != b),
        ("==", a == b),
        ("equal", a == b),
        ("start", a.startswith(b)),
        ("begin", a.startswith(b)),
        ("end", a.endswith(b)),
        (" in ", a in b),
        ("in", b in a),
    )
    return next((result for word, result in tests if word in how), None)


def _matched(call: Call) -> Value:
    flags = re.IGNORECASE if call.whole("case_insensitive", 1) else 0
    flags |= (re.MULTILINE if call.whole("multiline") else 0) | (re.DOTALL if call.whole("dotall") else 0)
    text = call.plain("string")
    compiled = call.evaluator.pattern(call.plain("regex_pattern"), text, flags)
    return None if compiled is None else compiled.search(text) is not None


def _both(test: Callable[[bool, bool], bool]) -> Rule:
    def rule(call: Call) -> Value:
        names = [name for name in call.raw if re.search(r"(?:^|_)[ab]$", name)][:2]
        numbers = [call.number(name) for name in names]
        if len(numbers) != 2 or None in numbers:
            return None
        return test(bool(numbers[0]), bool(numbers[1]))

    return rule


def _negated(call: Call) -> Value:
    number = next((found for name in call.raw if (found := call.number(name)) is not None), None)
    return None if number is None else not number


def _length(call: Call) -> Value:
    return len(call.plain("string") or call.plain("text"))


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(
        (
            *("primitiveint", "primitivefloat", "primitiveboolean", "impactint", "impactfloat", "impactboolean"),
            *(
                "intconstant",
                "floatconstant",
                "boolconstant",
                "easyint",
                "easyfloat",
                "easyboolean",
                "easyseed",
                "seed",
            ),
            *("seedrgthree", "crseed", "crvalue", "integer", "float", "boolean", "constantnumber", "seednode"),
            *("logicboolean", "fastmutertoggle", "crindex", "seedgenerator", "globalseed"),
        ),
        constant,
    ),
    **dict.fromkeys(("easymathint", "easymathfloat", "crmathoperation", "mathoperation"), _calculated),
    **dict.fromkeys(("easycompare", "impactcompare", "logiccomparison"), _compared),
    **dict.fromkeys(("stringcontains", "stringcompare", "easymathstring", "textcontains"), _text_compared),
    **dict.fromkeys(("stringlength", "textlength", "crtextlength"), _length),
    **dict.fromkeys(("impactneg", "logicnot", "notboolean", "logicnotboolean"), _negated),
    **dict.fromkeys(("logicand", "logicalandboolean", "impactand"), _both(lambda a, b: a and b)),
    **dict.fromkeys(("logicor", "logicaloor", "impactor"), _both(lambda a, b: a or b)),
    "regexmatch": _matched,
}
"""The rule of each kind. A node that is not here hands on the input that is named like a number."""
