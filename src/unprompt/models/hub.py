"""Files of the Hugging Face hub: from its cache or, where the network is allowed, from the hub itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from unprompt.errors import ModelError
from unprompt.models.hub_cache import cached_file, is_offline

OWN_FILE = "name a safetensors file that you have"


def hub_file(repository: str, names: Sequence[str], what: str, own: str = OWN_FILE) -> Path:
    """The first of these files that is here or, where none is, that the repository has, brought as `download` does.

    In an error they are said to hold the weights of `what`, and `own` is what to do without the hub. Nothing is
    downloaded where HF_HUB_OFFLINE is set. Raises ModelError where none of the files can be had.
    """
    from huggingface_hub import constants

    if found := cached_file(repository, names):
        return found
    if is_offline():
        raise ModelError(
            f"the weights of {what} are not here: expected {' or '.join(names)} of {repository} in "
            f"{constants.HF_HUB_CACHE}; the network is off (HF_HUB_OFFLINE): unset it once, or {own}"
        )
    from unprompt.models.hub_download import download, logged

    try:
        return download(repository, names, logged)
    except ModelError as error:
        raise ModelError(f"the weights of {what} are not here: {error}; or {own}") from error
