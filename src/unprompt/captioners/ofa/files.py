"""The files of a published OFA checkpoint, in a folder or a repository of the hub."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from unprompt.errors import ModelError
from unprompt.models.store.hub import hub_files

CONFIG, VOCABULARY, MERGES = "config.json", "vocab.json", "merges.txt"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""The first that exists is read."""

NEEDED = ((CONFIG,), (VOCABULARY,), (MERGES,), WEIGHTS)
"""One file of each group, in the order of `CheckpointFiles`."""


@dataclass(frozen=True, slots=True)
class CheckpointFiles:
    """The paths of a checkpoint's files."""

    config: Path
    vocabulary: Path
    merges: Path
    weights: Path


def find_files(folder: Path) -> CheckpointFiles:
    """The files in a folder. Raises ModelError, which names all that are missing."""
    found = [next((folder / name for name in names if (folder / name).is_file()), None) for names in NEEDED]
    lacking = [" or ".join(names) for names, path in zip(NEEDED, found, strict=True) if path is None]
    if lacking:
        raise ModelError(
            f"expected a checkpoint of OFA at {folder}, whose files have their published names; it lacks "
            f"{', '.join(lacking)}"
        )
    return CheckpointFiles(*(path for path in found if path is not None))


def bring_files(repository: str, name: str) -> CheckpointFiles:
    """The files of a repository (OWNER/NAME), called `name` in messages. Raises what `hub_files` raises."""
    return CheckpointFiles(*hub_files(repository, NEEDED, name, "name a folder that you have (local:FOLDER)"))
