"""Tokens of texts put together from those of their parts, against those of the whole."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

pytestmark = pytest.mark.torch
pytest.importorskip("torch")

from unprompt.models.networks.torchvision_cure import cure_torchvision  # noqa: E402
from unprompt.towers.tokens import ClipTokens, open_tokens  # noqa: E402

cure_torchvision()

TOKENS = open_tokens("ViT-B-32", 77)
assert isinstance(TOKENS, ClipTokens)
TEXTS = (
    st.text(max_size=12)
    | st.text("ab ,.;&<>'#39tsm\t\né\u0301Ã©½ſΣς’Ⅷﬁ", max_size=12)
    | st.text("aA ,.'!", max_size=12)
)


@given(TEXTS, st.lists(TEXTS, max_size=4))
@example("tom &", ["amp; jerry"])
@example("<start_of_", ["text>"])
@example("it'", ["s"])
@example("a", ["<end_of_text>"])
@example("caf\u00c3", ["\u00a9"])
@example("", [""])
@example("!", ["!!", " "])
@example("\ud800", ["\udc00"])
def test_joined_tokens_are_those_of_the_whole(prefix: str, terms: list[str]) -> None:
    expected = [TOKENS._encode(f"{prefix}, {term}") for term in terms]
    assert TOKENS.continued(prefix, terms) == expected
    assert [TOKENS.count(f"{prefix}, {term}") for term in terms] == [len(tokens) for tokens in expected]


@given(st.text("abc d,.!'", max_size=300))
def test_rows_are_open_clips_own_without_padding(text: str) -> None:
    padded = TOKENS.padded([text])[0].tolist()
    row = TOKENS.row(text)
    assert padded[: len(row)] == row
    assert not any(padded[len(row) :])


def test_a_long_text_is_cut_to_what_is_read() -> None:
    assert TOKENS.longest == 75
    assert TOKENS.row("moon " * 100) == TOKENS.padded(["moon " * 100])[0].tolist()
    assert TOKENS.count("moon " * 100) == 100
