"""What presets and models need on the disk, as tables and, where there is no room for these, as lines."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unprompt.cli.terminal import add_row, new_table
from unprompt.errors import UnpromptError

if TYPE_CHECKING:
    from rich.table import Table

    from unprompt.models.store.needs import Need, NeededFile
    from unprompt.presets import Preset


@dataclass(frozen=True, slots=True)
class Part:
    """A member of a preset or a step after its members, and what it needs; `fault`: why that cannot be told."""

    name: str
    weight: str
    needs: Sequence[Need]
    model: str = ""
    fault: str = ""


def parts_of(preset: Preset) -> list[Part]:
    """Each member, and what comes after them."""
    from unprompt.answer.needs import codebook_needs, wording_needs
    from unprompt.members.kinds import needs_of

    parts = []
    for spec in preset.members:
        name = spec.name if spec.name == spec.kind else f"{spec.name} ({spec.kind})"
        weight = f"{spec.weight:.4f}"
        try:
            parts.append(Part(name, weight, needs_of(spec), spec.model))
        except UnpromptError as error:
            parts.append(Part(name, weight, (), spec.model, f"{spec.name}: {error}"))
    steps = [Part("codebook", "", codebook_needs(preset)), Part("wording", "", wording_needs(preset))]
    return [*parts, *(step for step in steps if step.needs)]


def needs_table(parts: Iterable[Part]) -> Table:
    """All of it, a line a file."""
    headings = ("member", "weight", "model", "file", "size", "licence", "state", "place", "sha256")
    table = new_table(*headings, right=("size",))
    for part in parts:
        head = (part.name, part.weight)
        no_files = (part.model, "-", "-", "-", "unknown" if part.fault else "-", "-", "-")
        for row in _rows(part.needs) or [no_files]:
            add_row(table, *head, *row)
            head = ("", "")
        table.add_section()
    return table


def needs_lines(parts: Sequence[Part]) -> Iterator[str]:
    """The same for a terminal that is too narrow for the table: names are whole, and a place is said once."""
    from unprompt.display import printable

    files = [file for part in parts for need in part.needs for file in need.files]
    name_width = max((len(printable(file.name)) for file in files), default=0)
    size_width = max((len(_size(file)) for file in files), default=0)
    for part in parts:
        yield printable(f"{part.name}, weight {part.weight}" if part.weight else part.name)
        if not part.needs:
            yield printable(f"  {part.model}: {'unknown' if part.fault else 'no files'}")
        for need in part.needs:
            yield printable(f"  {need.name}, licence: {need.licence}" if need.licence else f"  {need.name}")
            for place, inside in itertools.groupby(need.files, lambda file: file.place.parent):
                for file in inside:
                    name, size, state = printable(file.name), _size(file), _state(file)
                    line = f"    {name:{name_width}}  {size:>{size_width}}  {state:7}  {_hash(file, '')}"
                    yield printable(line.rstrip())
                yield printable(f"    in {place}")


def summary(needs: Sequence[Need]) -> str:
    """What is here and what is missing, in a line."""
    files = {file.place: file for need in needs for file in need.files}.values()
    here, missing = [file for file in files if file.here], [file for file in files if not file.here]
    line = f"here: {len(here)}, {size_of(sum(file.size for file in here), exact=True)}"
    if not missing:
        return f"{line}; nothing is missing"
    return f"{line}; missing: {len(missing)}, {size_of(sum(file.size for file in missing), exact=False)}"


def ways(needs: Sequence[Need]) -> list[str]:
    """For each thing that is missing what brings it, once."""
    return list(dict.fromkeys(str(need.absence()) for need in needs if not need.is_here))


def size_of(size: int, *, exact: bool) -> str:
    """A size as people read it; "?" where nobody knows it."""
    if not size:
        return "?"
    number = (
        f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
    )
    return number if exact else f"about {number}"


def _rows(needs: Sequence[Need]) -> list[tuple[str, ...]]:
    return [row for need in needs for row in _need_rows(need)]


def _need_rows(need: Need) -> Iterator[tuple[str, ...]]:
    name, licence = need.name, need.licence or "-"
    for file in need.files:
        yield name, file.name, _size(file), licence, _state(file), str(file.place), _hash(file, "-")
        name = licence = ""


def _size(file: NeededFile) -> str:
    return size_of(file.size, exact=file.exact)


def _state(file: NeededFile) -> str:
    return "here" if file.here else "missing"


def _hash(file: NeededFile, none: str) -> str:
    return f"{file.sha256[:12]}..." if file.sha256 else none
