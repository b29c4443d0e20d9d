"""Files that are written whole at the end of the work, and checks before it begins that this will be possible."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from itertools import combinations

from unprompt.display import printable
from unprompt.durable import beside, replace_file, write_errors
from unprompt.errors import DataError
from unprompt.locations.address import is_remote
from unprompt.output.files import check_no_picture


def check_writable(path: str) -> None:
    """Raise DataError if `write_document` could not write this file; leaves nothing behind."""
    check_no_picture(path)
    with write_errors(path):
        if os.path.isdir(path):
            raise DataError(f"cannot write {printable(path)}: it is a folder; name a file in it")
        if _is_special(path):
            return
        with tempfile.TemporaryFile(dir=os.path.dirname(path) or os.curdir):
            pass


def check_new(path: str | None, *, overwrite: bool, resume: bool | None = None, begun: bool = False) -> None:
    """Raise DataError if an output is there already and nobody said what becomes of it.

    `resume` says whether the run continues what an earlier one left, if there is such a thing (`begun`): a file that no
    run began would be replaced. It is None where that is not offered. Empty files, pipes and devices hold nothing that
    could be lost. Raises LocationError if a store cannot be asked.
    """
    if path is None or overwrite or (resume and begun) or not holds_something(path):
        return
    found = f"{printable(path)} is there"
    if resume:
        found += ", and nothing that an earlier run left to continue"
    ways = "--overwrite to replace it or --resume to continue it" if begun else "--overwrite to replace it"
    after = "; --resume continues what an interrupted run left" if resume is False and not begun else ""
    raise DataError(f"expected a new file to write, found that {found}; add {ways}, or name another{after}")


def is_begun(paths: Iterable[str]) -> bool:
    """Whether an earlier run left one of these files half written, for --resume; a store is not asked."""
    return any(is_remote(path) or os.path.exists(beside(path, "part")) for path in paths)


def check_apart(outputs: Iterable[str], inputs: Iterable[str]) -> None:
    """Raise DataError if two outputs are the same file, or if one would overwrite an input."""
    outputs = list(outputs)
    for output in outputs:
        if any(_same(output, path) for path in inputs):
            raise DataError(f"expected a file for the output, found {printable(output)}, which is read; name another")
    for one, other in combinations(outputs, 2):
        if _same(one, other) and not _is_special(one):
            raise DataError(f"expected a file for each output, found {printable(one)} for two; name another")


def write_document(path: str, text: str) -> None:
    """Replace a file by a text, as UTF-8; readers see the old file or the new one. Raises DataError."""
    data = text.encode("utf-8", "backslashreplace")
    if not _is_special(path):
        replace_file(path, data)
        return
    with write_errors(path), open(path, "wb") as file:
        file.write(data)


def holds_something(path: str) -> bool:
    """Whether something would be lost if the file were replaced."""
    if is_remote(path):
        from unprompt.output.placing import is_there

        return is_there(path)
    return os.path.isfile(path) and os.path.getsize(path) > 0


def _is_special(path: str) -> bool:
    """Whether it is a pipe or a device, which is written to but never replaced."""
    return os.path.exists(path) and not os.path.isfile(path)


def _same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:  # one of them does not exist
        return os.path.abspath(one) == os.path.abspath(other)
