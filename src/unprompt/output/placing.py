"""Output files in object stores: they grow on this machine and are put there when they are complete.

An object cannot be appended to, and replacing it for every answer would write a million answers a million times. So
the object is either the old one or the whole new one; what a run has answered until then is in the parts of its journal
(`stored_journal.py`).
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping

from unprompt.errors import DataError
from unprompt.locations.address import is_remote, parted, shown
from unprompt.locations.location import folder_at
from unprompt.output.files import check_no_picture

_BESIDE = {".npy": ".sources.jsonl"}
"""What a file brings with it: the order of vectors."""


@contextlib.contextmanager
def placed(outputs: Mapping[str, str | None]) -> Iterator[dict[str, str]]:
    """Give a path on this machine for each output that has an address; the files are put there when the block ends.

    If the block raises, nothing is put there. Raises LocationError if a store cannot be written.
    """
    addresses = {name: output for name, output in outputs.items() if output is not None and is_remote(output)}
    if not addresses:
        yield {}
        return
    for address in addresses.values():
        check_object(address)
    with tempfile.TemporaryDirectory(prefix="unprompt-") as folder:
        paths = {name: os.path.join(folder, name, parted(address)[1]) for name, address in addresses.items()}
        for path in paths.values():
            os.mkdir(os.path.dirname(path))
        yield paths
        for name, address in addresses.items():
            _put(paths[name], address)


@contextlib.contextmanager
def placed_file(output: str | None) -> Iterator[str | None]:
    """Like `placed`, for one output, which may be a path on this machine or standard output as well."""
    with placed({"output": output}) as paths:
        yield paths.get("output", output)


def check_object(address: str) -> None:
    """Raise DataError if there can be no output at an address."""
    if not parted(address)[1]:
        raise DataError(f"expected a file to write, found the folder {shown(address)}; add its name, as in out.jsonl")
    check_no_picture(address)
    folder_at(parted(address)[0])


def is_there(address: str) -> bool:
    """Whether a store holds an object at an address. Raises as `check_object` does, and if it cannot be asked."""
    check_object(address)
    folder, name = parted(address)
    return folder_at(folder).entry(name) is not None


def _put(path: str, address: str) -> None:
    stem, suffix = os.path.splitext(path)
    beside = _BESIDE.get(suffix)
    if beside is not None:
        _put(stem + beside, os.path.splitext(address)[0] + beside)
    if os.path.exists(path):
        folder, name = parted(address)
        folder_at(folder).upload(name, path)
