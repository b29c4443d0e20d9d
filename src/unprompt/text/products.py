"""Products of small matrices on one thread."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def products(vectors: npt.NDArray[np.floating], others: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """The inner products (m, n) of vectors (m, size) with others (n, size).

    Computed without BLAS, whose idle threads spin on the cores that the models need: on two cores that took a fifth of
    the time of a folder, with sentences or without.
    """
    found: npt.NDArray[np.floating] = np.einsum("ms,ns->mn", vectors, others)
    return found
