"""Shows what a file says: one picture as a page, many as a table. All text from files is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from unprompt.display import cut, printable, width, wrapped

if TYPE_CHECKING:
    from unprompt.output.formats import Stream
    from unprompt.output.records import Record

COLUMNS = 100
"""The width of what is written to no terminal."""

NO_PROMPT = "no prompt is written"

_FEWEST_COLUMNS = 40
_LABELS = 11  # columns: "other texts"
_GAP = "  "
_LONGEST_NAME = 24
_VALUE_LIMIT = 500
"""Characters of a setting that a page shows; some tools write a whole workflow or a list of models into one."""

_HELD_ROWS = 24
"""Rows that a table waits for before it is written, to be as wide as they need."""

_USUAL_WIDTHS = (24, 14)
"""Columns for the names and tools of a table that goes on after the rows that it waited for."""

_HEAD = ("picture", "tool", "prompt")

_CERTAINTY = {
    "written": "written: the tool itself states it",
    "computed": "computed: it follows from the graph in the file",
    "ambiguous": "ambiguous: the file does not say for sure what the prompt was",
}

_Pair: TypeAlias = tuple[str, str]


def metadata_page(record: Record, columns: int = COLUMNS) -> str | None:
    """Show all that a file says, in lines of at most so many columns. None for a failure."""
    if "error" in record:
        return None
    room = max(columns, _FEWEST_COLUMNS) - _LABELS - len(_GAP)
    lines = [printable(record["source"])]
    for label, part in _parts(record, room):
        for place, line in enumerate(part):
            lines.append(f"{'' if place else label:<{_LABELS}}{_GAP}{line}".rstrip())
    return "\n".join(lines)


def metadata_part(record: Record) -> str | None:
    """Show a page and an empty line, for a file of many pages. None for a failure."""
    page = metadata_page(record)
    return None if page is None else page + "\n"


def _parts(record: Record, room: int) -> Iterator[tuple[str, Iterable[str]]]:
    """The label and the lines of each part of a page."""
    if record["tool"] is not None:
        yield "tool", _lines(record["tool"], room)
    if "certainty" in record:
        yield "certainty", _lines(_CERTAINTY[record["certainty"]], room)
    yield "prompt", _lines(record["prompt"] or NO_PROMPT, room)
    for other in record.get("candidates", ())[1:]:
        yield "or", _lines(other["text"], room)
    if "negative_prompt" in record:
        yield "negative", _lines(record["negative_prompt"], room)
    settings = record.get("settings", {}).items()
    yield "settings", _aligned([(name, cut(str(value), _VALUE_LIMIT)) for name, value in settings], room)
    yield "resources", _aligned([(each["kind"], _resource(each)) for each in record.get("resources", ())], room)
    yield "other texts", _aligned([(each["role"], _text(each)) for each in _other_texts(record)], room)
    if "note" in record:
        yield "note", _lines(record["note"], room)


def _lines(text: str, room: int) -> list[str]:
    return wrapped(printable(text), room)


def _aligned(pairs: Iterable[_Pair], room: int) -> Iterator[str]:
    """Names on the left, values on the right."""
    pairs = [(printable(name), printable(value)) for name, value in pairs]
    names = min(max((width(name) for name, _ in pairs), default=0), _LONGEST_NAME, room // 2)
    for name, value in pairs:
        first, *others = wrapped(value, room - names - len(_GAP))
        yield _filled(cut(name, names), names) + _GAP + first
        yield from (f"{' ' * names}{_GAP}{line}" for line in others)


def _resource(resource: Record) -> str:
    own = [f"{name} {resource[name]}" for name in ("weight", "hash") if name in resource]
    return ", ".join(filter(None, [resource["name"], *own]))


def _text(text: Record) -> str:
    own = [text["node"]] if "node" in text else []
    own += [f"weight {text['weight']}"] if "weight" in text else []
    return f"{text['text']} ({', '.join(own)})" if own else str(text["text"])


def _other_texts(record: Record) -> Iterator[Record]:
    """The texts that the page does not show as the prompt, the negative one, or what the prompt could be."""
    shown = {("positive", record["prompt"]), ("negative", record.get("negative_prompt"))}
    shown |= {("positive", other["text"]) for other in record.get("candidates", ())}
    return (text for text in record.get("texts", ()) if (text["role"], text["text"]) not in shown)


class MetadataTable:
    """Writes a page if there is one record alone, and else a row for each, cut to so many columns.

    The first rows are held back, for the table to be as wide as they need.
    """

    def __init__(self, stream: Stream, columns: int = COLUMNS) -> None:
        self._stream, self._columns = stream, max(columns, _FEWEST_COLUMNS)
        self._held: list[Record] | None = []
        self._widths = (0, 0)  # of pictures' names and tools
        self._count = 0

    def write(self, record: Record) -> None:
        """Write a record; nothing for a failure."""
        self._count += 1
        if "error" in record:
            return
        if self._held is None:
            self._put(self._row(*_cells(record)))
            return
        self._held.append(record)
        if len(self._held) == _HELD_ROWS:
            self._begin(self._held, _USUAL_WIDTHS)

    def close(self) -> None:
        """Write what is held back."""
        if self._held and self._count == 1:
            self._put(metadata_page(self._held[0], self._columns) or "")
        elif self._held:
            self._begin(self._held)

    def _begin(self, held: list[Record], least: tuple[int, int] = (0, 0)) -> None:
        """Write the head of the table and the first rows; `least` are widths of the names and tools."""
        rows = [_HEAD, *map(_cells, held)]
        names, tools, _prompts = (max(map(width, column)) for column in zip(*rows, strict=True))
        self._widths = (
            min(max(names, least[0]), self._columns * 2 // 5),
            min(max(tools, least[1]), self._columns // 5),
        )
        self._held = None
        self._put("\n".join(self._row(*row) for row in rows))

    def _row(self, name: str, tool: str, prompt: str) -> str:
        names, tools = self._widths
        fixed = _filled(cut(name, names, keep_end=True), names) + _GAP + _filled(cut(tool, tools), tools) + _GAP
        return fixed + cut(prompt, self._columns - width(fixed))

    def _put(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()


def _cells(record: Record) -> tuple[str, str, str]:
    prompt = record["prompt"] or NO_PROMPT
    if record.get("certainty") == "ambiguous":
        prompt = f"(ambiguous) {prompt}"
    return printable(record["source"]), printable(record["tool"] or "-"), printable(prompt)


def _filled(text: str, columns: int) -> str:
    return text + " " * (columns - width(text))
