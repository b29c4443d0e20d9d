"""Which answers are written, by what their texts contain."""

import pytest

from unprompt.errors import DataError
from unprompt.output.filtering import TextFilter


@pytest.mark.parametrize(
    ("must_contain", "drop_if", "text", "kept"),
    [
        ([], [], "a cat", True),
        (["cat"], [], "a CAT, by night", True),
        (["cat"], [], "a category", False),
        (["red  cat"], [], "a red cat", True),
        (["cat", "night"], [], "a cat", False),
        (["1girl"], [], "(1girl:1.2), solo", True),
        ([], ["watermark"], "a cat, Watermark", False),
        ([], ["watermark", "text"], "a cat, context", True),
        ([], ["C++ (book)"], "a c++ (book) on a desk", False),
        (["cat"], ["dog"], "a cat and a dog", False),
        (["猫"], [], "猫", True),
        (["cat"], [], "", False),
    ],
)
def test_what_is_kept(must_contain: list[str], drop_if: list[str], text: str, *, kept: bool) -> None:
    assert TextFilter(must_contain, drop_if).keeps(text) == kept


@pytest.mark.parametrize(("wanted", "unwanted", "option"), [(["", "a"], [], "must-contain"), ([], [" "], "drop-if")])
def test_words_are_needed(wanted: list[str], unwanted: list[str], option: str) -> None:
    with pytest.raises(DataError, match=f"expected words after --{option}"):
        TextFilter(wanted, unwanted)
