"""What the workers of one run have to agree on, in a file of its folder that the first of them makes."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from unprompt.display import printable
from unprompt.errors import DataError
from unprompt.scale.places import PARTS as PARTS
from unprompt.scale.places import THEN as THEN
from unprompt.scale.places import Where, place_at

RUN_FILE = "run.json"
_KIND = "unprompt run"
_FORMAT = 1
_AGREED = ("shards", "lease_s", "pictures", "listing", "model", "options")
_PACKAGES = ("numpy", "onnxruntime", "pillow", "tokenizers", "torch")
_SHOWN = 5
"""Differences that are named, of however many there are."""


@dataclass(frozen=True)
class Run:
    """One run, as all its workers know it.

    `shards` is their number; None where parts hold records in any order. `pictures` and `listing`, a hash, say what is
    answered. `model` is as in `Prediction.model`; `options` is what else decides a record. `lease_s` is how long a
    claim lasts without a heartbeat, in seconds. `command` computes a shard when `--shard I` is added to it. Versions
    of libraries may differ, for they change no more than the last bits.
    """

    shards: int | None
    lease_s: float
    pictures: int
    listing: str
    model: Mapping[str, Any]
    options: Mapping[str, Any]
    command: Sequence[str] = ()
    versions: Mapping[str, str] = field(default_factory=lambda: _versions())

    def to_json(self) -> bytes:
        """The content of its file."""
        table = {"kind": _KIND, "format": _FORMAT, **asdict(self)}
        return (json.dumps(table, indent=2) + "\n").encode()  # ASCII: names may hold what is no UTF-8

    def positions(self, shard: int) -> range:
        """The positions of a shard's pictures: every Nth, so that neighbours, which are alike, are spread evenly."""
        assert self.shards is not None
        return range(shard, self.pictures, self.shards)


def check_folder(where: Where) -> None:
    """Raise DataError if a folder cannot be that of a run: a file, or one with files of something else."""
    place = place_at(where)
    if (stranger := place.stranger()) is not None and place.read(RUN_FILE) is None:
        raise DataError(
            f"expected a new or empty folder, or one with a {RUN_FILE}, found {printable(stranger)} in {place}; choose "
            "another -o"
        )


def join_run(where: Where, run: Run) -> list[str]:
    """Begin a run in a folder, or join the same one that another worker began there.

    Returns the differences in versions of libraries. Raises DataError if the folder holds another run, saying what
    differs, or cannot be written to.
    """
    place = place_at(where)
    check_folder(place)
    if place.create(RUN_FILE, run.to_json()):
        return []
    found = read_run(place)
    if differences := _differences(found, run):
        more = f", and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
        raise DataError(
            f"{place} holds another run: {'; '.join(differences[:_SHOWN])}{more}; give the same pictures and options "
            "to join it, or another -o"
        )
    return [
        f"{name} {printable(str(found.versions.get(name)))} there, {version} here"
        for name, version in run.versions.items()
        if found.versions.get(name) != version
    ]


def read_run(where: Where) -> Run:
    """Read what the run in a folder is. Raises DataError if it holds none."""
    place = place_at(where)
    if (run := find_run(place)) is None:
        raise DataError(
            f"expected the folder of a run in parts, found no {RUN_FILE} in {place}; name the -o of a command with "
            "--shards"
        )
    return run


def find_run(where: Where) -> Run | None:
    """Read what the run in a folder is; None if it holds none. Raises DataError if it cannot be read."""
    place = place_at(where)
    content = place.read(RUN_FILE)
    if content is None:
        return None
    shown = f"{RUN_FILE} in {place}"
    try:
        table = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"expected JSON in {shown}, found: {error}; is it from another tool?") from error
    return _checked(table, shown)


def _checked(table: Any, where: str) -> Run:
    if not isinstance(table, dict) or table.get("kind") != _KIND:
        raise DataError(f"expected a run of unprompt in {where}, found something else; choose another folder")
    if table.get("format") != _FORMAT:
        raise DataError(
            f"expected a run of format {_FORMAT} in {where}, found {printable(str(table.get('format')))}; use the "
            "unprompt that began it"
        )
    with contextlib.suppress(KeyError, TypeError):
        run = Run(**{each.name: table[each.name] for each in fields(Run)})
        if _is_whole(run):
            return run
    raise DataError(f"{where} is damaged; restore it, or begin anew in another folder")


def _is_whole(run: Run) -> bool:
    kinds = (
        (run.shards, (int, type(None))),
        (run.lease_s, (int, float)),
        (run.pictures, int),
        (run.listing, str),
        (run.model, dict),
        (run.options, dict),
        (run.versions, dict),
        (run.command, list),
    )
    return (
        all(isinstance(value, kind) and not isinstance(value, bool) for value, kind in kinds)
        and (run.shards is None or run.shards > 0)
        and run.pictures >= 0
        and run.lease_s > 0
        and all(isinstance(part, str) for part in run.command)
    )


def _differences(found: Run, mine: Run) -> list[str]:
    if (found.shards is None) != (mine.shards is None):
        return [f"{_way(found)} there, {_way(mine)} here"]
    there = dict(_flat("", {name: getattr(found, name) for name in _AGREED}))
    here = dict(_flat("", {name: getattr(mine, name) for name in _AGREED}))
    differing = [name for name in {**here, **there} if there.get(name) != here.get(name)]
    if "listing" in differing:
        differing = [name for name in differing if name not in ("listing", "pictures")]
        said = [f"its input is another, or in another order ({found.pictures:,} there, {mine.pictures:,} here)"]
    else:
        said = []
    return said + [f"{name} {_shown(there.get(name))} there, {_shown(here.get(name))} here" for name in differing]


def _way(run: Run) -> str:
    return "one of a cluster" if run.shards is None else f"one in {run.shards:,} shards"


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Every value of nested tables by its dotted name, in two levels below the first; what is deeper is one value."""
    if isinstance(value, Mapping) and prefix.count(".") < 3:
        for name, inner in value.items():
            yield from _flat(f"{prefix}.{name}" if prefix else str(name), inner)
    else:
        yield prefix, value


def _shown(value: Any) -> str:
    text = printable(str(value))
    return text if len(text) <= 80 else f"{text[:77]}..."


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions
