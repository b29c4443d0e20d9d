"""How tags are written."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_COUNT = re.compile(r"(solo|[0-9]\+?(girl|boy|other)s?|multiple_(girls|boys|others))")
_MARKED = re.compile(r"([\\()])")


@dataclass(frozen=True, slots=True)
class Spelling:
    """How tags become a text: `spaces` for underscores, a backslash before brackets (`escape`), a `trigger` word first.

    With brackets, generators' own syntax means weights. A kaomoji such as ^_^ keeps its underscore.
    """

    spaces: bool = True
    escape: bool = False
    trigger: str = ""

    def tag(self, name: str) -> str:
        """One tag, as it is written."""
        spelt = name.replace("_", " ") if self.spaces and not is_kaomoji(name) else name
        return _MARKED.sub(r"\\\1", spelt) if self.escape else spelt

    def text(self, names: Iterable[str]) -> str:
        """Tags, with commas between them, behind the trigger word; none twice."""
        spelt = (self.tag(name) for name in names)
        return ", ".join(dict.fromkeys(part for part in (self.trigger.strip(" ,"), *spelt) if part))


def is_kaomoji(name: str) -> bool:
    """Whether a tag is a face, drawn with signs around an underscore: no part of it has two letters or digits."""
    parts = name.split("_")
    return len(parts) > 1 and all(sum(map(str.isalnum, part)) < 2 for part in parts)


def is_count(name: str) -> bool:
    """Whether a tag says how many people there are, such as 1girl; these come first, as in training data."""
    return _COUNT.fullmatch(name) is not None
