"""Fitting the weights of a preset's members."""

from pathlib import Path

import numpy as np
import pytest
import tiny_models

from unprompt import embed, load
from unprompt.datasets.pairs import Pair
from unprompt.errors import DataError
from unprompt.evaluation.fitted_preset import preset_text
from unprompt.evaluation.scoring import Score, Scored, prompt_group
from unprompt.evaluation.weights import Ballots, Fit, assign_folds
from unprompt.images.files import Bytes
from unprompt.images.ref import ImageRef
from unprompt.prediction import EMBEDDING_SIZE, Prediction, Vector, Vote
from unprompt.presets import Preset, load_preset

NAMES = ("good", "fair", "noise")


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory) -> Preset:
    folder = tmp_path_factory.mktemp("models")
    models = [tiny_models.regressor(folder / name, seed=seed) for seed, name in enumerate(NAMES)]
    return load_preset(tiny_models.preset(folder / "tiny.toml", *models, weights=(1.0, 2.0, 2.0)))


def unit(raw: np.ndarray) -> Vector:  # type: ignore[type-arg]
    return np.asarray(raw / np.linalg.norm(raw, axis=-1, keepdims=True), np.float32)


def scored(number: int, true: Vector, votes: dict[str, Vector | None], group: int | None, prompt: str = "") -> Scored:
    pair = Pair(str(number), prompt or f"prompt {number}", ImageRef(str(number), Bytes(b"")), {"group": group})
    cast = tuple(Vote(name, 0.2, vector) for name, vector in votes.items())
    answer = Prediction(str(number), "", "prediction", true, None, (), cast, None, {})
    return Scored(pair, answer, true, Score(pair.name, pair.prompt, 1.0, None, {}, {}))


def ballots(preset: Preset, count: int = 400, groups: int | None = 40, seed: int = 0) -> Ballots:
    """Votes of a good member, a fair one, and one that knows nothing."""
    rng = np.random.default_rng(seed)
    found = Ballots(preset)
    for number in range(count):
        true, *errors = (unit(rng.standard_normal(EMBEDDING_SIZE)) for _ in range(4))
        votes: dict[str, Vector | None] = {
            "good": unit(true + 1.2 * errors[0]),
            "fair": unit(true + 1.6 * errors[1]),
            "noise": errors[2],
        }
        if number % 10 == 0:
            votes["fair"] = None
        found.add(scored(number, true, votes, None if groups is None else number % groups))
    return found


def test_weights_are_those_of_the_members_worth(preset: Preset) -> None:
    fit = ballots(preset).fit()
    assert list(fit.weights) == list(NAMES)
    assert sum(fit.weights.values()) == pytest.approx(1, abs=1e-12)
    assert fit.weights["good"] > fit.weights["fair"] > 0.3
    assert fit.weights["noise"] < 0.02
    assert (fit.n, fit.folds, fit.groups, fit.grouped_by) == (400, 5, 40, "the field group")
    assert fit.gain.low is not None
    assert fit.gain.low > 0
    assert fit.gain.mean == pytest.approx(fit.fitted.mean - fit.start.mean)
    assert all(fit.spread[name][0] - 0.05 < fit.weights[name] < fit.spread[name][1] + 0.05 for name in NAMES)


def test_the_score_is_of_pictures_that_were_not_fitted_on(preset: Preset) -> None:
    # In each group another member is right, so what is learnt on one is wrong on the other.
    found = Ballots(preset)
    axes = np.eye(EMBEDDING_SIZE, dtype=np.float32)
    for number in range(20):
        group, right, wrong = number // 10, axes[number], axes[number + 30]
        knowing, mistaken = ("good", "fair") if group else ("fair", "good")
        found.add(scored(number, right, {knowing: right, mistaken: wrong}, group))
    fit = found.fit()
    assert fit.folds == 2
    assert fit.fitted.mean == pytest.approx(0, abs=1e-6)
    assert fit.start.mean > 0.6
    assert fit.weights["good"] == pytest.approx(0.5, abs=0.001)


def test_groups_are_found_where_none_are_given(preset: Preset) -> None:
    fit = ballots(preset, count=30, groups=None).fit()
    assert (fit.groups, fit.grouped_by) == (30, "a cosine of 0.7 or more")


def test_similar_prompts_are_one_group(preset: Preset) -> None:
    texts = ["a red cat on a sofa", "red cat sitting on the sofa", "blueprint of a steam engine", "a red cat on a sofa"]
    found, axis = Ballots(preset), unit(np.ones(EMBEDDING_SIZE))
    for number, (text, true) in enumerate(zip(texts, embed(texts), strict=True)):
        # The field says too little: one record lacks it.
        found.add(scored(number, true, dict.fromkeys(NAMES, axis), None if number == 3 else number, text))
    fit = found.fit()
    assert (fit.n, fit.groups, fit.folds) == (4, 2, 2)


def test_the_same_votes_get_the_same_weights(preset: Preset) -> None:
    assert ballots(preset, count=60).fit() == ballots(preset, count=60).fit()


@pytest.mark.parametrize(("count", "groups"), [(0, None), (1, None), (5, 1)])
def test_one_group_cannot_be_judged(preset: Preset, count: int, groups: int | None) -> None:
    with pytest.raises(DataError, match="expected pictures of two groups of similar prompts or more"):
        ballots(preset, count, groups).fit()


def test_one_member_has_nothing_to_be_weighed_against(tmp_path: Path) -> None:
    alone = tiny_models.preset(tmp_path / "one.toml", tiny_models.regressor(tmp_path / "linear.tiny"))
    with pytest.raises(DataError, match=r"two members or more, found 'one' with only one, 'linear\.tiny'"):
        Ballots(load_preset(alone))


def fitted(preset: Preset) -> Fit:
    return ballots(preset, count=100).fit()


def test_the_preset_is_the_same_but_for_its_weights(preset: Preset, tmp_path: Path) -> None:
    fit = fitted(preset)
    path = tmp_path / "fitted.toml"
    path.write_text(preset_text(preset, fit, source="a\nb.jsonl", date="2026-11-28"), encoding="utf-8")
    found = load_preset(path)
    kept = [name for name in NAMES if fit.weights[name] > 0]
    assert {member.name: member.weight for member in found.members} == pytest.approx({n: fit.weights[n] for n in kept})
    assert [member.model for member in found.members] == [m.model for m in preset.members if m.name in kept]
    assert found.wording == preset.wording
    head = path.read_text().split("\n\n")[0]
    assert all(line.startswith("# ") for line in head.splitlines())
    said = (f"{fit.fitted.mean:.4f}", f"{fit.gain.mean:+.4f}", "5 folds", "100 pictures", "40 groups", "2026-11-28")
    assert all(part in head for part in (*said, preset.identity, r"a\nb.jsonl"))
    load(path)


def test_a_member_of_no_weight_is_left_out_and_named(preset: Preset) -> None:
    fit = fitted(preset)
    weights = {"good": 0.75, "fair": 0.25, "noise": 0.0}
    text = preset_text(
        preset, Fit(**{**{k: getattr(fit, k) for k in Fit.__slots__}, "weights": weights}), source="d", date=""
    )
    assert "# Left out, of no weight: noise.\n" in text
    assert 'name = "noise"' not in text


def test_texts_of_all_kinds_survive(tmp_path: Path, preset: Preset) -> None:
    description = 'a "quoted" \\ path,\ttab, \x7f, \u2028, 😀'
    text = preset.text
    path = tmp_path / "odd.toml"
    path.write_text('description = "a \\"quoted\\" \\\\ path,\\ttab, \\u007f, \\u2028, 😀"\n' + text, encoding="utf-8")
    odd = load_preset(path)
    assert odd.description == description
    path.write_text(preset_text(odd, fitted(odd), source="d", date=""), encoding="utf-8")
    assert load_preset(path).description == description


@pytest.mark.parametrize(
    ("value", "group"), [(3, 3), (0, 0), (-1, None), (None, None), (True, None), ("3", None), (2.0, None)]
)
def test_what_is_a_group(value: object, group: int | None) -> None:
    assert prompt_group({"group": value}) == group
    assert prompt_group({}) is None


def test_folds_keep_groups_whole_and_are_even() -> None:
    groups = np.repeat(np.arange(40), np.arange(40) % 5 + 1).tolist()
    folds = assign_folds(groups, 5)
    assert all(len(set(folds[np.array(groups) == group])) == 1 for group in range(40))
    sizes = np.bincount(folds)
    assert len(sizes) == 5
    assert sizes.max() - sizes.min() <= 1


@pytest.mark.parametrize(("groups", "count"), [([], 0), ([3], 1), ([3, 3], 1), ([1, 2], 2), ([1, 2, 3, 4, 5, 6], 5)])
def test_no_more_folds_than_groups(groups: list[int], count: int) -> None:
    assert len(set(assign_folds(groups, 5))) == count
