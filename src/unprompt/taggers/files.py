"""The files of a tagger: in the hub's cache, on the hub, or in a folder of the user's."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unprompt.errors import ModelError
from unprompt.models.store.folder import file_sha256
from unprompt.models.store.hub import hub_files
from unprompt.taggers.families import Family


@dataclass(frozen=True, slots=True)
class TaggerFiles:
    """The weights, the list of tags, and the thresholds if there is a file of them."""

    weights: Path
    tags: Path
    thresholds: Path | None = None

    def identity(self) -> str:
        """A short hash that changes with any of the files: the hub's commit, or a hash over them."""
        folder = self.weights.parent
        if folder.parent.name == "snapshots":
            return folder.name[:12]
        digest = hashlib.sha256()
        for file in filter(None, (self.weights, self.tags, self.thresholds)):
            digest.update(f"{file.name} {file_sha256(file)}\n".encode())
        return digest.hexdigest()[:12]


def wanted_files(family: Family) -> list[tuple[str, ...]]:
    """The names of each file that a repository of the family has, the usual one first."""
    return [family.weights, family.tags, *([(family.threshold_file,)] if family.threshold_file else [])]


def hub_tagger(name: str, repository: str, family: Family) -> TaggerFiles:
    """The files of a repository, downloaded if necessary; with HF_HUB_OFFLINE set, nothing is. Raises ModelError."""
    found = hub_files(repository, wanted_files(family), name, "name a folder that you have (local:FOLDER)")
    return TaggerFiles(*found)


def local_tagger(folder: Path, family: Family) -> TaggerFiles:
    """The files in a folder. Raises ModelError if the weights or the tags are missing; thresholds may be."""
    weights, tags, *thresholds = [_first(folder, names) for names in wanted_files(family)]
    if weights is None or tags is None:
        lacking = [names[0] for names, path in ((family.weights, weights), (family.tags, tags)) if path is None]
        raise ModelError(
            f"{folder} is no whole tagger of the family {family.name}: expected {' and '.join(lacking)}, found none; "
            "copy it there from the model's repository"
        )
    return TaggerFiles(weights, tags, *thresholds)


def _first(folder: Path, names: Sequence[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)
