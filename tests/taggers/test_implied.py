"""Tags that another one says."""

import pytest

from unprompt.taggers.implied import implied


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (["long_hair", "very_long_hair"], {"long_hair"}),
        (["shirt", "white_shirt", "collared_shirt"], {"shirt"}),
        (["baseball_bat", "holding_baseball_bat"], {"baseball_bat"}),
        (["cat_ears", "animal_ears"], {"animal_ears"}),
        (["katana", "sword", "weapon"], {"sword", "weapon"}),
        (["hat", "no_hat"], set()),
        (["hair", "hair_ornament"], set()),  # the last word is the thing: this one is no hair
        (["hair", "chair"], set()),  # a part of a word is no word
        (["girl", "1girl"], set()),
        (["^_^", "^"], {"^"}),
        ([], set()),
    ],
)
def test_what_another_tag_says_is_found(tags: list[str], expected: set[str]) -> None:
    assert implied(tags) == expected


def test_many_words_are_read_in_one_pass() -> None:
    assert implied(["_".join(["a"] * 150)]) == set()
