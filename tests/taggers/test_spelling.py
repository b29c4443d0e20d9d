"""How tags are written."""

import pytest

from unprompt.taggers.spelling import Spelling, is_count, is_kaomoji

# All with an underscore that Danbooru has.
FACES = (
    *("0_0", "(o)_(o)", "+_+", "+_-", "._.", "<o>_<o>", "<|>_<|>", "=_=", ">_<", "3_3", "6_9", ">_o", "@_@", "^_^"),
    *("o_o", "u_u", "x_x", "|_|", "||_||"),
)


@pytest.mark.parametrize("name", FACES)
def test_faces_keep_their_underscore(name: str) -> None:
    assert is_kaomoji(name)
    assert Spelling().tag(name) == name


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("long_hair", {}, "long hair"),
        ("long_hair", {"spaces": False}, "long_hair"),
        ("skadi_(arknights)", {}, "skadi (arknights)"),
        ("skadi_(arknights)", {"escape": True}, r"skadi \(arknights\)"),
        ("(o)_(o)", {"escape": True}, r"\(o\)_\(o\)"),
        ("\\o/", {"escape": True}, r"\\o/"),
        ("y'all_(x)", {"spaces": False, "escape": True}, r"y'all_\(x\)"),
        ("t-shirt", {}, "t-shirt"),
    ],
)
def test_a_tag_is_spelt(name: str, options: dict[str, bool], expected: str) -> None:
    assert Spelling(**options).tag(name) == expected


def test_the_trigger_word_comes_first_and_nothing_twice() -> None:
    spelling = Spelling(trigger="shs style, ")
    assert spelling.text(["1girl", "long_hair", "long hair"]) == "shs style, 1girl, long hair"
    assert Spelling(trigger="solo").text(["1girl", "solo"]) == "solo, 1girl"
    assert spelling.text([]) == "shs style"
    assert Spelling().text([]) == ""


@pytest.mark.parametrize("name", ["1girl", "2girls", "6+boys", "1other", "solo", "multiple_girls"])
def test_counts_are_known(name: str) -> None:
    assert is_count(name)


@pytest.mark.parametrize("name", ["girl", "1girls_hat", "solo_focus", "10girl", "1_girl"])
def test_other_tags_are_no_counts(name: str) -> None:
    assert not is_count(name)
