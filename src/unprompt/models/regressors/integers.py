"""Weights in 8-bit integers that are made of those of another ONNX file, on loading, instead of being stored again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt

from unprompt.checked import Bounds, read
from unprompt.errors import DataError, ModelError, UnknownNameError
from unprompt.models.store.folder import ModelFolder

LARGEST_WEIGHT = 63
"""The largest integer of a weight: with 127, processors without VNNI would cut off sums, which they keep in 16 bits."""


@dataclass(frozen=True)
class Source:
    """Where the weights (rows, columns) lie that integers are made of: a file of the folder, and the place in it."""

    file: str
    offset: Annotated[int, Bounds(0, 1 << 40)]
    rows: Annotated[int, Bounds(1, 1 << 20)]
    columns: Annotated[int, Bounds(1, 1 << 20)]
    kind: Literal["float16", "int8"]

    def integers(self, path: Path) -> npt.NDArray[np.int8]:
        """The weights in a file as integers with one scale a column. Raises DataError if they are not there."""
        kind = np.dtype(self.kind)
        if self.offset + self.rows * self.columns * kind.itemsize > path.stat().st_size:
            raise DataError(f"{self.file} is too short for the weights")
        weights = np.memmap(path, kind, "r", self.offset, (self.rows, self.columns)).astype(np.float32)
        weights *= LARGEST_WEIGHT / np.maximum(np.abs(weights).max(axis=0), 1e-12)
        integers: npt.NDArray[np.int8] = np.rint(weights, out=weights).astype(np.int8)
        return integers


def made_integers(folder: ModelFolder, name: str, checked: Mapping[str, Path]) -> dict[str, npt.NDArray[np.int8]]:
    """The integers (rows, columns) that a JSON file of the folder describes, by their names.

    `checked` are the files, by their names, that they may be made of. Raises ModelError if the description is damaged.
    """
    try:
        described = json.loads(folder.file(name).read_text(encoding="utf-8"))
        sources = {key: read(Source, value, f"the weights {key}") for key, value in described.items()}
        if others := {source.file for source in sources.values()} - checked.keys():
            raise DataError(f"expected weights of {', '.join(checked)}, found {', '.join(sorted(others))}")
        return {key: source.integers(checked[source.file]) for key, source in sources.items()}
    except (ValueError, AttributeError, DataError, UnknownNameError) as error:
        raise ModelError(f"model {folder.name}: cannot read {name}: {error}") from None
