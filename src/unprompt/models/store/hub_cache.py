"""The Hugging Face hub's cache on this disk: its files and folders. Never uses the network."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

_TRUE = ("1", "ON", "YES", "TRUE")
_SHA256 = re.compile("[0-9a-f]{64}")


def cached_file(repository: str, names: Sequence[str]) -> Path | None:
    """The first of these files of a repository that is in the cache, or None."""
    from huggingface_hub import try_to_load_from_cache

    found = (try_to_load_from_cache(repository, name) for name in names)
    return next((Path(path) for path in found if isinstance(path, str) and Path(path).is_file()), None)


def cache_place(repository: str) -> Path:
    """The cache's folder for the files of a repository."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"


def promised_sha256(path: Path) -> str:
    """The sha256 by which the cache names a large file; empty for small files and for files outside the cache."""
    blob = path.resolve()
    return blob.name if blob.parent.name == "blobs" and _SHA256.fullmatch(blob.name) else ""


def go_offline() -> None:
    """Forbid every download in this process and its children."""
    os.environ["HF_HUB_OFFLINE"] = "1"


@contextlib.contextmanager
def cache_alone(*modules: ModuleType) -> Iterator[None]:
    """Has the hub's library, and others that keep its switch in a module, look into the cache alone."""
    from huggingface_hub import constants

    with contextlib.ExitStack() as restored:
        for module in (constants, *modules):
            switch = vars(module)
            restored.callback(switch.__setitem__, "HF_HUB_OFFLINE", switch["HF_HUB_OFFLINE"])
            switch["HF_HUB_OFFLINE"] = True
        yield


def is_offline() -> bool:
    """Whether HF_HUB_OFFLINE forbids downloads, now or when the hub's library read it, at its import."""
    from huggingface_hub import constants

    return constants.HF_HUB_OFFLINE or os.environ.get("HF_HUB_OFFLINE", "").upper() in _TRUE
