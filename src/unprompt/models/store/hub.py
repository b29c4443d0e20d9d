"""Files of the Hugging Face hub: from its cache or, if downloads are allowed, from the hub itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from unprompt.errors import ModelError
from unprompt.models.store.hub_cache import cached_file, is_offline


def hub_file(repository: str, names: Sequence[str], what: str) -> Path:
    """Get the first of these files that is cached or, if none is, that the repository has.

    `what` and the errors are those of `hub_files`.
    """
    return hub_files(repository, [names], what, "name a safetensors file that you have")[0]


def hub_files(repository: str, wanted: Sequence[Sequence[str]], what: str, own: str) -> list[Path]:
    """Get one file for each choice of names, the first that is cached or that the repository has; all of one commit.

    Missing files are downloaded by `bring_whole`, unless HF_HUB_OFFLINE is set. An error calls them the weights of
    `what`; `own` says what to do without the hub. Raises ModelError if any is not available.
    """
    from huggingface_hub import constants

    here = [cached_file(repository, names) for names in wanted]
    lacking = [" or ".join(names) for names, path in zip(wanted, here, strict=True) if path is None]
    if not lacking:
        return [path for path in here if path is not None]
    if is_offline():
        raise ModelError(
            f"the weights of {what} are not here: expected {', '.join(lacking)} of {repository} in "
            f"{constants.HF_HUB_CACHE}; the network is off (HF_HUB_OFFLINE): unset it once, or {own}"
        )
    from unprompt.models.store.hub_download import bring_whole, logged

    found, faults = bring_whole(repository, wanted, logged)
    if faults:
        raise ModelError(f"the weights of {what} are not here: {faults[0]}; or {own}") from faults[0]
    return found
