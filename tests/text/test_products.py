"""The products of an answer: what BLAS gives, and none of its threads."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np

from unprompt.text.products import products


def test_they_are_the_inner_products() -> None:
    draw = np.random.default_rng(0)
    vectors, others = (draw.standard_normal((count, 384)).astype(np.float32) for count in (3, 70))
    found = products(vectors, others)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, vectors.astype(np.float64) @ others.T.astype(np.float64), atol=1e-4)
    np.testing.assert_allclose(products(found, others.T), found @ others, rtol=1e-4, atol=1e-2)


def test_a_row_is_the_same_whatever_stands_beside_it() -> None:
    draw = np.random.default_rng(1)
    vectors, others = (draw.standard_normal((count, 384)).astype(np.float32) for count in (5, 2000))
    assert np.array_equal(products(vectors, others)[2:3], products(vectors[2:3], others))


def test_the_threads_of_blas_change_nothing() -> None:
    program = (
        "import numpy as np; from unprompt.text.products import products; draw = np.random.default_rng(2); "
        "a, b = (draw.standard_normal((count, 384)).astype(np.float32) for count in (1, 6000)); "
        "print(products(products(a, b), b.T).tobytes().hex())"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2", "4")
    }
    assert len(answers) == 1
