"""Which tags are chosen, by probabilities that are given."""

from __future__ import annotations

import numpy as np
import pytest

from unprompt.taggers.choosing import DEFAULT_CHOICE, Choice, Chooser, Tags
from unprompt.taggers.families import Category
from unprompt.taggers.tag_files import TagList

# (category, probability)
FOUND: dict[str, tuple[Category, float]] = {
    "general": ("rating", 0.3),
    "sensitive": ("rating", 0.6),
    "solo": ("general", 0.8),
    "1girl": ("general", 0.7),
    "shirt": ("general", 0.95),
    "white_shirt": ("general", 0.5),
    "just_enough": ("general", 0.3501),
    "not_enough": ("general", 0.3499),
    "simple_background": ("general", 0.9),
    "miku": ("character", 0.86),
    "someone_else": ("character", 0.8499),
    "vocaloid": ("copyright", 0.4),
    "a_painter": ("artist", 0.99),
    "highres": ("meta", 0.99),
    "2024": ("year", 0.99),
}
TAGS = TagList(
    tuple(FOUND),
    tuple(category for category, _ in FOUND.values()),
    {"miku": ("vocaloid", "project_diva"), "someone_else": ("somewhere",)},
)
THRESHOLDS: dict[Category, float] = {"general": 0.35, "character": 0.85}


def chosen(choice: Choice = DEFAULT_CHOICE) -> Tags:
    probabilities = np.array([probability for _, probability in FOUND.values()], np.float32)
    return Chooser(TAGS, THRESHOLDS, choice).choose(probabilities)


def names(**options: object) -> list[str]:
    return [tag.name for tag in chosen(Choice(**options)).chosen]  # type: ignore[arg-type]


DEFAULT = ["solo", "1girl", "miku", "project_diva", "vocaloid", "simple_background", "white_shirt", "just_enough"]


def test_each_category_has_its_threshold_and_its_place() -> None:
    assert names() == DEFAULT


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"thresholds": {"character": 0.5}},
            [*DEFAULT[:3], "someone_else", "project_diva", "somewhere", *DEFAULT[4:]],
        ),
        ({"thresholds": {"general": 0.75}}, ["solo", "miku", "project_diva", "vocaloid", "shirt", "simple_background"]),
        ({"drop_implied": False}, [*DEFAULT[:5], "shirt", *DEFAULT[5:]]),
        ({"max_tags": 3}, ["miku", "project_diva", "simple_background"]),
        ({"blacklist": ("Simple Background", "white_*")}, [*DEFAULT[:5], "shirt", "just_enough"]),
        ({"blacklist": ("project_diva", "miku")}, ["solo", "1girl", "vocaloid", *DEFAULT[5:]]),
        ({"categories": ("general",)}, ["solo", "1girl", *DEFAULT[5:]]),
        ({"categories": ("rating", "character")}, ["sensitive", "miku"]),
        ({"categories": ("artist", "year", "meta")}, ["a_painter", "2024", "highres"]),
    ],
)
def test_the_choice_follows_the_settings(options: dict[str, object], expected: list[str]) -> None:
    assert names(**options) == expected


def test_a_series_is_as_probable_as_its_likeliest_character() -> None:
    series = {tag.name: tag.probability for tag in chosen(Choice(thresholds={"character": 0.8})).of("copyright")}
    assert series == pytest.approx({"project_diva": 0.86, "vocaloid": 0.4, "somewhere": 0.8499})


def test_the_rating_is_the_most_probable_one() -> None:
    rating = chosen().rating
    assert rating is not None
    assert (rating.name, rating.category, rating.probability) == ("sensitive", "rating", pytest.approx(0.6))
    assert chosen().of("rating") == ()


def test_a_list_without_ratings_has_none() -> None:
    tags = TagList(("a", "b"), ("general", "general"))
    found = Chooser(tags, THRESHOLDS, Choice()).choose(np.array([0.1, 0.9], np.float32))
    assert found.rating is None
    assert [tag.name for tag in found.chosen] == ["b"]
