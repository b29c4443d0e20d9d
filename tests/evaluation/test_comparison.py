"""Which of two runs is better."""

import numpy as np
import pytest
from scored_runs import score

from unprompt.errors import DataError, UnknownNameError
from unprompt.evaluation.comparison import compare


def test_what_both_have_is_compared() -> None:
    a = [score(str(n), 0.5 + 0.01 * n, 0.3) for n in range(6)]
    b = [score(str(n), 0.4 + 0.01 * n, None) for n in range(2, 9)]
    found = compare(a, b[::-1])
    assert (found["n"], found["only_a"], found["only_b"]) == (4, 2, 3)
    assert found["vector"] == {"a": 0.535, "b": 0.435, "mean": 0.1, "low": 0.1, "high": 0.1, "a_better": 1.0}
    assert found["text"] is None
    assert found["groups"] == {}


def test_text_where_both_have_one() -> None:
    found = compare([score("x", text=0.5), score("y", text=0.9)], [score("x", text=0.25), score("y")])
    assert (found["text"]["a"], found["text"]["mean"], found["text"]["low"]) == (0.5, 0.25, None)


def test_by_group() -> None:
    a = [score(str(n), 0.5 + 0.1 * (n % 2), kind=("photo", "drawing")[n % 2]) for n in range(8)]
    b = [score(str(n), 0.5) for n in range(8)]
    groups = compare(a, b, by="kind")["groups"]
    assert list(groups) == ["drawing", "photo"]
    assert [group["n"] for group in groups.values()] == [4, 4]
    assert groups["drawing"]["vector"]["mean"] == pytest.approx(0.1)
    assert groups["photo"]["vector"]["mean"] == 0
    with pytest.raises(UnknownNameError, match="did you mean 'kind'"):
        compare(a, b, by="knd")


def test_groups_of_prompts_are_resampled_whole() -> None:
    rng = np.random.default_rng(0)
    gains = rng.normal(0.02, 0.1, size=40)
    b = [score(f"{group}.{n}", 0.5, group=group) for group in range(40) for n in range(10)]
    a = [score(each.name, 0.5 + gains[each.fields["group"] or 0], group=each.fields["group"]) for each in b]  # type: ignore[index]
    together, apart = compare(a, b), compare([score(x.name, x.vector) for x in a], [score(x.name, x.vector) for x in b])
    assert together["intervals"]["units"] == 40
    assert together["intervals"]["resampled"] == "groups of similar prompts"
    assert apart["intervals"]["units"] == 400
    assert apart["intervals"]["resampled"] == "prompts"

    def width(found: dict[str, float]) -> float:
        return found["high"] - found["low"]

    assert width(together["vector"]) == pytest.approx(10**0.5 * width(apart["vector"]), rel=0.15)


def test_pictures_of_one_prompt_are_resampled_together() -> None:
    a = [score(str(n), 0.5 + 0.1 * (n % 2), prompt=f"prompt {n % 2}") for n in range(10)]
    assert compare(a, a)["intervals"]["units"] == 2


def test_a_run_against_itself_is_a_tie() -> None:
    a = [score(str(n), n / 10) for n in range(9)]
    found = compare(a, a)["vector"]
    assert (found["mean"], found["low"], found["high"], found["a_better"]) == (0, 0, 0, 0.5)


def test_no_picture_in_common() -> None:
    with pytest.raises(DataError, match="found none that both have, of 1 and 2"):
        compare([score("a")], [score("b"), score("c")])


def test_another_data_set_with_the_same_names() -> None:
    with pytest.raises(DataError, match="found differing true prompts for 1 of 2 pictures, such as b"):
        compare([score("a"), score("b")], [score("a"), score("b", prompt="another")])
