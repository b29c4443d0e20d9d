"""What an installation has, what it lacks, and which presets could run now: what `unprompt doctor` says.

Nothing is downloaded and no model is loaded. Servers of presets and the hub are asked for a connection at most, each
within seconds; the hub not at all when downloads are forbidden.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, TypeAlias

from unprompt.answer.needs import codebook_needs, wording_needs
from unprompt.display import first_line, printable
from unprompt.errors import UnpromptError
from unprompt.images.formats import PLUGINS
from unprompt.locations.hub_reach import ask
from unprompt.members.kinds import needs_of
from unprompt.models.store.hub_cache import is_offline
from unprompt.models.store.needs import Need
from unprompt.models.store.registry import models_folder
from unprompt.presets import Preset, load_preset, preset_names
from unprompt.threads import core_count
from unprompt.version import __version__

HUB_S = 5.0
"""The time for the hub's answer."""

NOT_FOR_USERS = ("dev", "docs", "fuzz")
"""Extras of those who work on unprompt itself."""

_PACKAGE = "unprompt"

State: TypeAlias = Literal["ready", "after a download", "no"]
Reach: TypeAlias = Literal["reachable", "out of reach", "not asked: the network is off"]


@dataclass(frozen=True, slots=True)
class Package:
    """A package that is wanted; `version` is empty if it is not installed, `fits` if it is the wanted one."""

    name: str
    wanted: str
    version: str
    fits: bool


@dataclass(frozen=True, slots=True)
class Extra:
    """An extra and its packages. `way` is the line that brings what is missing, empty if nothing is."""

    name: str
    packages: tuple[Package, ...]
    way: str


@dataclass(frozen=True, slots=True)
class Engine:
    """What runs models, and where; `fault` says why it does not work."""

    name: str
    version: str
    devices: tuple[str, ...]
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Hub:
    """The hub, and where its files and ours are kept. `has_token`: whether a token is set, whose value stays unread."""

    address: str
    state: Reach
    fault: str
    has_token: bool
    cache: str
    models: str
    free_gb: float | None


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a preset could run now. `download_mb` is approximate; `lacks` says what else is missing, and its cure."""

    preset: str
    state: State
    download_mb: int
    lacks: tuple[str, ...]
    way: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All of it."""

    version: str
    python: str
    system: str
    cores: int
    memory_gb: float | None
    packages: tuple[Package, ...]
    extras: tuple[Extra, ...]
    engines: tuple[Engine, ...]
    formats: Mapping[str, bool]
    hub: Hub
    presets: tuple[Readiness, ...] = field(default=())

    def to_record(self) -> Mapping[str, Any]:
        """The same as a JSON object."""
        return asdict(self)


def diagnose() -> Diagnosis:
    """Look at this installation. Raises nothing that an installation can cause."""
    wanted = _requirements()
    return Diagnosis(
        version=__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        cores=core_count(),
        memory_gb=_memory_gb(),
        packages=wanted.get("", ()),
        extras=tuple(_extra(name, packages) for name, packages in wanted.items() if name),
        engines=(_onnxruntime(), *([_torch()] if _is_installed("torch") else [])),
        formats={name: importlib.util.find_spec(module) is not None for name, module in PLUGINS.items()},
        hub=_hub(),
        presets=tuple(_readiness(name) for name in preset_names()),
    )


def readiness(preset: Preset) -> Readiness:
    """Whether a preset could run now."""
    lacks: list[str] = []
    needs: list[Need] = [*codebook_needs(preset), *wording_needs(preset)]
    try:
        preset.check_extras()
    except UnpromptError as error:
        lacks.append(str(error))
    for spec in preset.members:
        try:
            needs += needs_of(spec)
        except UnpromptError as error:
            lacks.append(str(error))
    missing = [need for need in needs if not need.is_here]
    lacks += [str(need.absence()) for need in missing if need.hub is None]
    files = {file.place: file.size for need in missing if need.hub is not None for file in need.missing}
    state: State = "no" if lacks else "after a download" if files else "ready"
    way = f"unprompt models fetch --preset {preset.name}" if files else ""
    return Readiness(preset.name, state, round(sum(files.values()) / 1e6), _told(lacks), way)


def _readiness(name: str) -> Readiness:
    try:
        return readiness(load_preset(name))
    except UnpromptError as error:
        return Readiness(name, "no", 0, (printable(str(error)),))


def _told(sentences: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(printable, sentences)))


def _requirements() -> dict[str, tuple[Package, ...]]:
    """The packages of each extra, those of the core under "", as the installed metadata says."""
    from packaging.requirements import Requirement  # comes with huggingface_hub

    try:
        told = metadata.distribution(_PACKAGE)
    except metadata.PackageNotFoundError:  # run from a checkout that is not installed
        return {}
    extras = [name for name in told.metadata.get_all("Provides-Extra") or () if name not in NOT_FOR_USERS]
    found: dict[str, list[Package]] = {"": [], **{name: [] for name in sorted(extras)}}
    for line in told.requires or ():
        requirement = Requirement(line)
        is_core = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        for extra in [""] if is_core else extras:
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                version = _version(requirement.name)
                fits = bool(version) and requirement.specifier.contains(version, prereleases=True)
                found[extra].append(Package(requirement.name, str(requirement.specifier), version, fits))
    return {name: tuple(packages) for name, packages in found.items()}


def _extra(name: str, packages: tuple[Package, ...]) -> Extra:
    is_here = all(package.fits for package in packages)
    return Extra(name, packages, "" if is_here else f"pip install '{_PACKAGE}[{name}]'")


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _onnxruntime() -> Engine:
    """The engine of the models that need no torch; ours run on its CPU provider."""
    try:
        import onnxruntime

        others = [name for name in onnxruntime.get_available_providers() if name != "CPUExecutionProvider"]
    except Exception as error:  # a broken installation may raise anything
        return Engine("onnxruntime", _version("onnxruntime"), (), first_line(error))
    return Engine("onnxruntime", str(onnxruntime.__version__), ("CPU", *(f"{name} (not used)" for name in others)))


def _torch() -> Engine:
    try:
        import torch

        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        devices = [torch.cuda.get_device_properties(number) for number in range(count)]
    except Exception as error:  # a broken installation may raise anything
        return Engine("torch", _version("torch"), (), first_line(error))
    named = (f"{printable(device.name)}, {device.total_memory / 1e9:.0f} GB" for device in devices)
    return Engine("torch", str(torch.__version__), (*named, "CPU"))


def _memory_gb() -> float | None:
    """The machine's memory in 10^9 bytes, where the system says it."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, ValueError, OSError):
        return None


def _hub() -> Hub:
    from huggingface_hub import constants, get_token

    state, fault = _hub_state(constants.ENDPOINT)
    cache = Path(constants.HF_HUB_CACHE)
    return Hub(
        address=constants.ENDPOINT,
        state=state,
        fault=fault,
        has_token=bool(get_token()),
        cache=str(cache),
        models=str(models_folder()),
        free_gb=_free_gb(cache),
    )


def _hub_state(address: str) -> tuple[Reach, str]:
    """Whether the hub answers, whatever it answers."""
    if is_offline():
        return "not asked: the network is off", ""
    fault = ask(address, HUB_S)
    return ("out of reach", fault) if fault else ("reachable", "")


def _free_gb(folder: Path) -> float | None:
    """What the disk of a folder has left, in 10^9 bytes; the folder may not be there yet."""
    place = next((path for path in (folder, *folder.parents) if path.exists()), None)
    try:
        return None if place is None else round(shutil.disk_usage(place).free / 1e9, 1)
    except OSError:
        return None
