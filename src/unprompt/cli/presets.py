"""`unprompt presets`: which there are, and what one says."""

from __future__ import annotations

from typing import Annotated

import typer

from unprompt.cli.terminal import quiet_pipe, show

app = typer.Typer(no_args_is_help=True)


@app.callback()
def presets() -> None:
    """List and show presets."""


@app.command("list")
def list_presets() -> None:
    """List the presets of the package."""
    from rich.table import Table

    from unprompt.presets import load_preset, preset_names

    table = Table("preset", "members", "extras", "description")
    for name in preset_names():
        preset = load_preset(name)
        members = ", ".join(f"{member.name} {member.weight:.2f}" for member in preset.members)
        table.add_row(name, members, ", ".join(preset.requires) or "-", preset.description)
    show(table)


@app.command("show")
def show_preset(
    preset: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A preset's name, or a .toml file.")],
) -> None:
    """Print a preset as the TOML that it is, checked; the start of one of your own."""
    from unprompt.presets import load_preset

    checked = load_preset(preset)
    with quiet_pipe():
        print(checked.text, end="", flush=True)
