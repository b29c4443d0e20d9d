"""Vectors in a safetensors file whose label and checksum must match before any of it is used.

The file holds one tensor, "vectors", float16. Its header names the model and the texts, and holds the CRC-32 of the
tensor's bytes, which detects damage in half the time of a hash. A reader knows the whole header but the checksum in
advance, and compares it instead of interpreting it, so a forged header does no harm.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from unprompt.display import printable
from unprompt.durable import replacing_file, write_errors
from unprompt.errors import DataError

Half = npt.NDArray[np.float16]

SUFFIX = ".safetensors"

_LAYOUT = "unprompt terms 2"
_NUMBER = np.dtype("<f2")
_NO_NUMBER = 0x7C00  # float16 bits, without the sign, from which on a number is infinite or NaN
_READ_AT_ONCE = 1 << 20
_ALIGNED = 64


@dataclass(frozen=True, slots=True)
class Label:
    """What a file's vectors belong to: a model, by name and hash, and the texts of a list, by its hash.

    `shape` is (texts, size). `first` is the index in the list of the first text: a long list is stored in several
    parts.
    """

    model: str
    model_identity: str
    list_identity: str
    shape: tuple[int, int]
    first: int = 0

    def header(self, checksum: int) -> bytes:
        """The bytes of a safetensors file before its tensor, for a tensor with this checksum."""
        metadata = {
            "layout": _LAYOUT,
            "model": self.model,
            "model_identity": self.model_identity,
            "list_identity": self.list_identity,
            "first": str(self.first),
            "crc32": f"{checksum:08x}",
        }
        tensor = {"dtype": "F16", "shape": self.shape, "data_offsets": (0, self.size_bytes)}
        text = json.dumps({"__metadata__": metadata, "vectors": tensor}).encode()
        text += b" " * (-(8 + len(text)) % _ALIGNED)
        return len(text).to_bytes(8, "little") + text

    @property
    def size_bytes(self) -> int:
        """The size of the tensor."""
        return self.shape[0] * self.shape[1] * _NUMBER.itemsize


def write(path: Path, label: Label, parts: Sequence[Half]) -> None:
    """Write vectors, given in one or several parts, to a file that is replaced as a whole.

    Several processes may write the same file at once; the last one wins. Raises DataError if it cannot be written.
    """
    with write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing_file(path) as file:
        file.write(label.header(0))
        checksum = 0
        for part in parts:
            content = np.ascontiguousarray(part, _NUMBER).data.cast("B")
            checksum = zlib.crc32(content, checksum)
            file.write(content)
        file.seek(0)
        file.write(label.header(checksum))


def read(path: Path, label: Label) -> Half | None:
    """Verify the vectors of a file and memory-map them; None if there is no such file.

    Raises DataError if the file is damaged or does not match `label`, OSError if it cannot be read.
    """
    if not path.is_file():
        return None
    with path.open("rb") as file:
        length = len(label.header(0))
        expected, found = length + label.size_bytes, os.fstat(file.fileno()).st_size
        if found != expected:
            raise DataError(f"expected {expected:,} bytes in {printable(str(path))}, found {found:,}")
        header, checksum = file.read(length), _finite_checksum(file)
        if checksum is None or header != label.header(checksum):
            raise DataError(
                f"expected vectors of {printable(label.model)} in {printable(str(path))}, found damaged or other ones"
            )
        return np.asarray(np.memmap(file, _NUMBER, "r", offset=length, shape=label.shape))


def _finite_checksum(file: BinaryIO) -> int | None:
    """The CRC-32 of the rest of the file; None if any number in it is not finite."""
    checksum = 0
    while content := file.read(_READ_AT_ONCE):
        checksum = zlib.crc32(content, checksum)
        numbers = np.frombuffer(content, "<u2", len(content) // 2)
        if len(numbers) and (numbers & 0x7FFF).max() >= _NO_NUMBER:  # ten times as fast as comparing all
            return None
    return checksum
