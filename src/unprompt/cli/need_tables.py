"""What presets and models need on the disk, as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from unprompt.errors import UnpromptError

if TYPE_CHECKING:
    from rich.table import Table

    from unprompt.models.needed_files import Need, NeededFile
    from unprompt.presets import MemberSpec, Preset


def needs_table(preset: Preset) -> tuple[Table, list[Need], list[str]]:
    """Each member with its weight and its files, and what comes after them; all needs; a line for each unknown one."""
    from rich.table import Table

    from unprompt.members.needs import codebook_needs, wording_needs

    table = Table("member", "weight", "model")
    table.add_column("file", overflow="fold")
    table.add_column("size", justify="right")
    for heading in ("licence", "state", "place", "sha256"):
        table.add_column(heading, overflow="fold")
    everything: list[Need] = []
    faults: list[str] = []
    for spec in preset.members:
        needs, fault = _needs(spec)
        faults += [fault] if fault else []
        everything += needs
        head = (_kind(spec), f"{spec.weight:.4f}")
        for row in _rows(needs) or [(spec.model, "-", "-", "-", fault and "unknown", "-", "-")]:
            table.add_row(*map(plain, (*head, *row)))
            head = ("", "")
        table.add_section()
    for step, needs in (("codebook", codebook_needs(preset)), ("wording", wording_needs(preset))):
        everything += needs
        for number, row in enumerate(_rows(needs)):
            table.add_row(*map(plain, ("" if number else step, "", *row)))
        table.add_section()
    return table, everything, faults


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


def plain(value: object) -> str:
    """A cell without markup and control characters: names and configs come from elsewhere."""
    from rich.markup import escape

    from unprompt.images.sources import printable

    return escape(printable(str(value)))


def _needs(spec: MemberSpec) -> tuple[list[Need], str]:
    """What a member needs, or why that cannot be told."""
    from unprompt.members.needs import needs_of

    try:
        return needs_of(spec), ""
    except UnpromptError as error:
        return [], f"{spec.name}: {error}"


def _kind(spec: MemberSpec) -> str:
    return spec.name if spec.name == spec.kind else f"{spec.name} ({spec.kind})"


def _rows(needs: Sequence[Need]) -> list[tuple[str, ...]]:
    return [row for need in needs for row in _need_rows(need)]


def _need_rows(need: Need) -> Iterator[tuple[str, ...]]:
    name, licence = need.name, need.licence or "-"
    for file in need.files:
        yield name, file.name, size_of(file.size, exact=file.exact), licence, _state(file), str(file.place), _hash(file)
        name = licence = ""


def _state(file: NeededFile) -> str:
    return "here" if file.here else "missing"


def _hash(file: NeededFile) -> str:
    return f"{file.sha256[:12]}..." if file.sha256 else "-"
