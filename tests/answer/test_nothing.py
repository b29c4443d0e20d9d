"""What is said of pictures of nothing: what their pixels are, and no more."""

import numpy as np

from unprompt.prediction import Prediction
from unprompt.unprompter import load


def test_a_picture_of_nothing_is_described_and_nothing_is_invented() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    red, grains = load(threads=1).predict([np.full((96, 96, 3), (215, 30, 30), np.uint8), noise])
    assert isinstance(red, Prediction)
    assert isinstance(grains, Prediction)
    assert (red.prompt, grains.prompt) == ("a plain red background", "grey noise")
    assert red.concepts == grains.concepts == ()
    assert [candidate.origin for candidate in red.candidates] == ["pixels"]
    assert red.confidence is not None
    assert red.confidence.estimate < 0.4
