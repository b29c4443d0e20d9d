"""Lengths in CLIP's tokens."""

import pytest

from unprompt.text.tokenizers import CLIP_CONTENT_TOKENS, count_clip_tokens, fits_clip


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("a cat", 2),
        ("A  Cat\n", 2),
        ("a cat.", 3),
        ("it's 2024", 6),  # it 's 2 0 2 4
        ("photograph, 8k", 4),  # photograph , 8 k
    ],
)
def test_counts(text: str, count: int) -> None:
    assert count_clip_tokens(text) == count


def test_the_limit_is_exact() -> None:
    assert fits_clip("cat " * CLIP_CONTENT_TOKENS)
    assert not fits_clip("cat " * (CLIP_CONTENT_TOKENS + 1))
    assert fits_clip("." * CLIP_CONTENT_TOKENS)


@pytest.mark.parametrize(
    "text",
    [
        "x9" * 38,  # 76 letters of ASCII, a token each
        "\U0001d160" * 18,  # a note: 72 bytes, which NFC takes apart into 216
        "🐈‍⬛" * 60,
        "a" * 5000,
        "İ" * 200,
    ],
)
def test_it_fits_if_its_tokens_are_few(text: str) -> None:
    for length in range(1, len(text) + 1, max(1, len(text) // 40)):
        assert fits_clip(text[:length]) == (count_clip_tokens(text[:length]) <= CLIP_CONTENT_TOKENS)
    assert not fits_clip(text)


def test_a_lone_surrogate_counts_as_a_question_mark() -> None:
    assert count_clip_tokens("a cat \ud83d") == count_clip_tokens("a cat ?")
    assert not fits_clip("cat \ud83d " * 60)
