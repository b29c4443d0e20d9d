"""Vectors that lie as those of prompts do, and what brute force finds in them."""

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float16]


def clustered(count: int, seed: int = 0, spread: float = 0.6) -> Vectors:
    """Unit vectors (count, 384) float16 around centres, with lengths that fall off as those of prompts do."""
    rng = np.random.default_rng(seed)
    scale = 1 / np.sqrt(np.arange(1, 385))
    centres = rng.standard_normal((max(count // 8, 1), 384))
    raw = (centres[rng.integers(len(centres), size=count)] + spread * rng.standard_normal((count, 384))) * scale
    return (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float16)


def by_brute_force(vectors: Vectors, threshold: float) -> set[tuple[int, int]]:
    wide = vectors.astype(np.float64)
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    return {(i, j) for i, j in np.argwhere(wide @ wide.T >= threshold).tolist() if i < j}
