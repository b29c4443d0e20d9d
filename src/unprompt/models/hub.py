"""Files of the Hugging Face hub: from its cache or, where the network is allowed, from the hub itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from unprompt.errors import ModelError
from unprompt.models.hub_cache import cached_file, is_offline


def hub_file(repository: str, names: Sequence[str], what: str) -> Path:
    """The first of these files that the repository has; in an error it is said to hold the weights of `what`.

    Nothing is downloaded where HF_HUB_OFFLINE is set. Where the hub cannot be reached, what is in its cache is taken.
    Raises ModelError where none of the files can be had.
    """
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import RemoteEntryNotFoundError

    faults: list[Exception] = []
    for name in () if is_offline() else names:
        try:
            return Path(hf_hub_download(repository, name))
        except RemoteEntryNotFoundError as error:
            faults.append(error)
        except (OSError, ValueError) as error:  # the hub's own errors are among these
            faults.append(error)
            break  # the next name may be of other weights, and waits as long again for a hub that does not answer
    if found := cached_file(repository, names):
        return found
    if is_offline():
        way = "the network is off (HF_HUB_OFFLINE): unset it once"
    else:
        way = f"the hub gave none ({'; '.join(map(str, faults))}): try again"
    raise ModelError(
        f"the weights of {what} are not here: expected {' or '.join(names)} of {repository} in "
        f"{constants.HF_HUB_CACHE}; {way}, or name a safetensors file that you have"
    )
