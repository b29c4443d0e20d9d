"""`unprompt presets`: which there are, what one says, and what it needs."""

from __future__ import annotations

from typing import Annotated

import typer

from unprompt.cli.terminal import add_row, fits, new_table, print_lines, quiet_pipe, say, show

app = typer.Typer(no_args_is_help=True)


@app.callback()
def presets() -> None:
    """List and show presets."""


@app.command("list")
def list_presets() -> None:
    """List the presets of the package."""
    from unprompt.presets import load_preset, preset_names

    table = new_table("preset", "members", "extras", "description")
    for name in preset_names():
        preset = load_preset(name)
        members = ", ".join(f"{member.name} {member.weight:.2f}" for member in preset.members)
        add_row(table, name, members, ", ".join(preset.requires) or "-", preset.description)
    show(table)


@app.command("show")
def show_preset(
    preset: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A preset's name, or a .toml file.")],
    toml: Annotated[bool, typer.Option("--toml", help="Print the preset's TOML, a start for your own.")] = False,
) -> None:
    """Show a preset's members, and each file that they need: its size, its licence, and whether it is here.

    Sizes of files that are here are exact, other sizes approximate. Nothing is downloaded.
    """
    from unprompt.cli.need_tables import needs_lines, needs_table, parts_of, summary, ways
    from unprompt.presets import load_preset

    checked = load_preset(preset)
    if toml:
        with quiet_pipe():
            print(checked.text, end="", flush=True)
        return
    parts = parts_of(checked)
    table = needs_table(parts)
    needs = [need for part in parts for need in part.needs]
    if fits(table):
        show(table)
    print_lines(*([] if fits(table) else needs_lines(parts)), summary(needs))
    for line in [*ways(needs), *(part.fault for part in parts if part.fault)]:
        say(line)
