"""`unprompt doctor`: what is installed, which presets could run now, what is missing and what brings it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from unprompt.cli.options import Offline, Quiet
from unprompt.cli.progress import announced
from unprompt.cli.terminal import add_row, new_table, print_lines, show
from unprompt.errors import EXIT_USAGE

if TYPE_CHECKING:
    from unprompt.diagnosis import Diagnosis, Engine, Extra, Hub, Readiness


def doctor(
    *,
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    offline: Offline = False,
    quiet: Quiet = False,
) -> None:
    """Say what is installed, which engines and devices there are, which presets could run now, and what is missing.

    Nothing is downloaded. The hub is asked whether it answers, for five seconds at most, and with --offline not at all.
    The exit code is 2 if not even the default preset could run.
    """
    from unprompt.diagnosis import diagnose
    from unprompt.output.jsonl import to_json
    from unprompt.presets import DEFAULT_PRESET

    with announced("looking at what is installed and asking the hub", quiet=quiet):
        found = diagnose()
    if json:
        print_lines(to_json(found.to_record(), indent=2))
    else:
        _show(found)
    if not any(preset.preset == DEFAULT_PRESET and preset.state == "ready" for preset in found.presets):
        raise typer.Exit(EXIT_USAGE)


def _show(found: Diagnosis) -> None:
    print_lines(*_head(found), *map(_extra, found.extras), *_hub_lines(found.hub))
    table = new_table("preset", "could run now", "to download", right=("to download",))
    for preset in found.presets:
        state = "yes" if preset.state == "ready" else preset.state
        add_row(table, preset.preset, state, f"about {preset.download_mb:,} MB" if preset.download_mb else "-")
    show(table)
    if missing := list(_missing(found.presets)):
        print_lines("What is missing, and what brings it:", *missing)


def _head(found: Diagnosis) -> Iterator[str]:
    memory = "" if found.memory_gb is None else f", {found.memory_gb:g} GB of memory"
    yield f"unprompt {found.version}, Python {found.python}, {found.system}, {found.cores} cores{memory}"
    unfit = [f"{package.name} {package.version or 'missing'}" for package in found.packages if not package.fits]
    yield f"core packages: {', '.join(unfit) if unfit else f'all {len(found.packages)} are here'}"
    yield from map(_engine, found.engines)
    for name, is_here in found.formats.items():
        yield f"{name} pictures: {'can be read' if is_here else 'not without the extra [formats]'}"


def _extra(extra: Extra) -> str:
    packages = ", ".join(f"{package.name} {package.version or 'missing'}" for package in extra.packages)
    return f"extra [{extra.name}]: {f'not installed: {extra.way}' if extra.way else 'installed'} ({packages})"


def _engine(engine: Engine) -> str:
    told = f"does not work: {engine.fault}" if engine.fault else ", ".join(engine.devices)
    return f"{engine.name} {engine.version}: {told}"


def _hub_lines(hub: Hub) -> Iterator[str]:
    yield f"hub {hub.address}: {hub.state}{f' ({hub.fault})' if hub.fault else ''}; a token is {_set(hub.has_token)}"
    room = "" if hub.free_gb is None else f", {hub.free_gb:g} GB free"
    yield f"downloads are kept in {hub.cache}{room}; own models in {hub.models}"


def _set(is_set: bool) -> str:
    return "set" if is_set else "not set"


def _missing(presets: Sequence[Readiness]) -> Iterator[str]:
    """What presets lack, once, each with the presets that lack it, and what brings the rest."""
    lacking: dict[str, list[str]] = {}
    for preset in presets:
        for lack in preset.lacks:
            lacking.setdefault(lack, []).append(preset.preset)
    yield from (f"- {lack} ({', '.join(names)})" for lack, names in lacking.items())
    yield from (f"- {preset.way}" for preset in presets if preset.way)
