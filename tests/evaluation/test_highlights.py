"""The best and the worst pictures of a run."""

import numpy as np
import pytest
from scored_runs import score

from unprompt.datasets.pairs import Pair
from unprompt.evaluation.highlights import SHOWN, Highlights, thumbnail
from unprompt.evaluation.scoring import Scored, Unscored
from unprompt.images.files import Bytes
from unprompt.images.ref import ImageRef
from unprompt.prediction import EMBEDDING_SIZE, Failure, Prediction


def outcome(name: str, vector: float) -> Scored:
    picture = ImageRef(name, Bytes(b""))
    axis = np.eye(EMBEDDING_SIZE, dtype=np.float32)[0]
    answer = Prediction(name, "", "prediction", axis, None, (), (), None, {})
    return Scored(Pair(name, "p", picture, {}), answer, axis, score(name, vector))


def highlights(vectors: list[float]) -> Highlights:
    found = Highlights()
    for number, vector in enumerate(vectors):
        found.add(outcome(str(number), vector))
    return found


def names(outcomes: list[Scored]) -> list[str]:
    return [each.score.name for each in outcomes]


def test_they_are_those_of_the_sorted_list() -> None:
    vectors = np.random.default_rng(0).random(200)
    found, order = highlights(vectors.tolist()), np.argsort(vectors)
    assert names(found.worst) == [str(n) for n in order[:SHOWN]]
    assert names(found.best) == [str(n) for n in order[::-1][:SHOWN]]
    assert found.vector == vectors.tolist()


def test_of_equals_the_first_stand() -> None:
    found = highlights([0.5] * 50)
    assert names(found.best) == [str(n) for n in range(SHOWN)]
    assert names(found.worst) == [str(n) for n in range(SHOWN)]


@pytest.mark.parametrize(("count", "best", "worst"), [(0, 0, 0), (1, 1, 0), (2, 1, 1), (5, 3, 2), (25, 12, 12)])
def test_none_of_a_few_is_both(count: int, best: int, worst: int) -> None:
    found = highlights([n / 100 for n in range(count)])
    assert (len(found.best), len(found.worst)) == (best, worst)
    assert not set(names(found.best)) & set(names(found.worst))


def test_failures_have_no_score() -> None:
    found = Highlights()
    found.add(Unscored(Pair("a", "p", ImageRef("a", Bytes(b"")), {}), Failure("a", "not-found", "gone")))
    assert (found.vector, found.best, found.worst) == ([], [], [])


def test_what_is_no_picture_has_no_thumbnail() -> None:
    assert thumbnail(ImageRef("a", Bytes(b"no picture"))) is None
