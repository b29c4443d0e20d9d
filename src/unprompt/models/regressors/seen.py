"""What a regressor's engine returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unprompt.prediction import Vector


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What a model sees in pictures: unit vectors (batch, 384), and probabilities of its concepts (batch, concepts)."""

    vectors: Vector
    concepts: npt.NDArray[np.float32]
