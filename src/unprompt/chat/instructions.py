"""Instructions: what a chat server is asked about a picture. A text with fields in braces, one file for each style.

    {tags}     the tags that a tagger gave the picture
    {written}  what the picture's file says, if it is asked about all the same
    {folder}   the name of the picture's folder
    {name}     the name of the picture's file, without its ending

A line of which every field is empty is left out. Braces around anything but a word stand for themselves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from unprompt.display import one_line
from unprompt.errors import DataError, UnknownNameError
from unprompt.images.decode import Picture
from unprompt.prediction import WrittenPrompt

INSTRUCTIONS = Path(__file__).with_suffix("")
FIELDS = ("tags", "written", "folder", "name")

TAGS = "tags"
"""The field that a tagger fills."""

_SUFFIX = ".txt"
_LIMIT = 20_000
_VALUE_LIMIT = 2_000
"""The most characters of a field: what a stranger's file says may be long."""

_FIELD = re.compile(r"\{([A-Za-z_]{1,40})\}")
_PARTS = re.compile(r"::|[/\\]")


@dataclass(frozen=True, slots=True)
class Instruction:
    """An instruction, and its name or that of its file."""

    name: str
    text: str

    @property
    def fields(self) -> frozenset[str]:
        """The fields that occur in it."""
        return frozenset(_FIELD.findall(self.text))

    def about(self, values: Mapping[str, str]) -> str:
        """The text with these values in place of its fields; those that are not named are empty."""
        lines = []
        for line in self.text.splitlines():
            fields = _FIELD.findall(line)
            if not fields or any(values.get(field) for field in fields):
                lines.append(_FIELD.sub(lambda found: values.get(found[1], ""), line))
        return "\n".join(lines).strip()


def instruction_names() -> tuple[str, ...]:
    """The names of the instructions in the package."""
    return tuple(sorted(path.stem for path in INSTRUCTIONS.glob(f"*{_SUFFIX}")))


def read_instruction(name_or_file: str) -> Instruction:
    """Read an instruction by its name, or from a file whose name ends in .txt.

    Raises UnknownNameError for an unknown name or field, DataError for a file that cannot be read, is empty or has more
    than 20,000 characters.
    """
    path = _path(name_or_file)
    try:
        text = path.read_bytes()[: 4 * _LIMIT + 1].decode("utf-8")
    except OSError as error:
        raise DataError(f"expected an instruction (text) at {path}: {error.strerror}; check the path") from error
    except UnicodeDecodeError as error:
        raise DataError(f"expected an instruction in UTF-8 at {path}, found other bytes; save it as UTF-8") from error
    if not text.strip() or len(text) > _LIMIT:
        raise DataError(f"expected an instruction of 1 to {_LIMIT:,} characters at {path}, found {len(text):,}")
    instruction = Instruction(path.stem, text.strip())
    for field in sorted(instruction.fields - set(FIELDS)):
        raise UnknownNameError(f"field in the instruction {name_or_file}", field, FIELDS)
    return instruction


def values_of(picture: Picture) -> dict[str, str]:
    """The values of all fields but the tags."""
    folder, name = _place(picture.source)
    told = {"written": _written(picture.written), "folder": folder, "name": name}
    return {field: one_line(value)[:_VALUE_LIMIT] for field, value in told.items()}


def _path(name_or_file: str) -> Path:
    if name_or_file.endswith(_SUFFIX):
        return Path(name_or_file)
    names = instruction_names()
    if name_or_file not in names:
        raise UnknownNameError("instruction", name_or_file, (*names, f"FILE{_SUFFIX}"))
    return INSTRUCTIONS / f"{name_or_file}{_SUFFIX}"


def _written(written: WrittenPrompt | None) -> str:
    if written is None:
        return ""
    others = (text.text for text in written.texts if text.role not in ("negative", "instruction"))
    return written.prompt or ", ".join(others)


def _place(source: str) -> tuple[str, str]:
    """The names of a picture's folder and file; of an address without what follows "?"."""
    parts = [part for part in _PARTS.split(source.partition("?")[0] if "://" in source else source) if part]
    folder, name = parts[-2:] if len(parts) > 1 else ("", parts[0] if parts else "")
    return folder, name.rpartition(".")[0] or name
