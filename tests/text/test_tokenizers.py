"""Lengths in CLIP's tokens."""

import random

import hypothesis
import hypothesis.strategies as st
import pytest

from unprompt.text.tokenizers import (
    CLIP_CONTENT_TOKENS,
    count_clip_tokens,
    cut_to_tokens,
    fits_clip,
    load_clip_tokenizer,
)


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


@pytest.mark.parametrize(
    "text", ["don't", "<|startoftext|>A<|endoftext|>", "x" * 64, "x" * 65, "'Sunset's", "~~--!?!", "a1b2"]
)
def test_ascii_is_counted_as_by_the_tokenizer(text: str) -> None:
    assert count_clip_tokens(text) == len(load_clip_tokenizer().encode(text, add_special_tokens=False))


@hypothesis.given(text=st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_any_ascii_is_counted_as_by_the_tokenizer(text: str) -> None:
    assert count_clip_tokens(text) == len(load_clip_tokenizer().encode(text, add_special_tokens=False))


@pytest.mark.parametrize("word", ["é", "İstanbul\u0301's ", "猫 ", "a1b2\n", "x" * 70 + "\t", "\x1c!\x1f ~~"])
def test_a_long_text_is_counted_in_parts_as_in_one(word: str) -> None:
    text = f"{word}{' ' * 40} " * (25_000 // len(word)) + "the end"
    assert count_clip_tokens(text) == len(load_clip_tokenizer().encode(text, add_special_tokens=False))


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


@pytest.mark.parametrize(
    ("text", "limit", "cut"),
    [
        ("a cat, a dog", 5, "a cat, a dog"),
        ("a cat, a dog", 4, "a cat"),
        ("a cat , a dog", 2, "a cat"),
        ("a black cat, a dog", 2, "a black"),
        ("a cat", 0, ""),
        ("photographically", 1, ""),
        (", a cat", 2, ""),
        ("猫" * 9, 3, ""),
    ],
)
def test_cuts(text: str, limit: int, cut: str) -> None:
    assert cut_to_tokens(text, limit) == cut


def test_what_stands_around_it_counts() -> None:
    assert cut_to_tokens("a cat, a dog", 6, before="my ", after=" !") == "a cat"
    assert cut_to_tokens("a cat, a dog", 7, before="my ", after=" !") == "a cat, a dog"


def test_no_longer_cut_would_fit() -> None:
    choice = random.Random(0)
    words = ["cat", "(red:1.2)", "oil-painting", "4k", "by", "'x'", "...", "!!", "é", "猫", "<lora:a:1>", "a_b"]
    for _ in range(50):
        parts = [" ".join(choice.choices(words, k=choice.randint(0, 6))) for _ in range(choice.randint(1, 30))]
        text = choice.choice([", ", ",", " , "]).join(parts)
        for limit in (CLIP_CONTENT_TOKENS, 20, 3):
            expected = text
            while count_clip_tokens(expected) > limit:
                before, comma, _ = expected.rpartition(",")
                expected = before.rstrip() if comma else expected.rpartition(" ")[0]
            assert cut_to_tokens(text, limit) == expected


@hypothesis.given(text=st.text(), limit=st.integers(0, 9))
def test_any_text_can_be_cut(text: str, limit: int) -> None:
    cut = cut_to_tokens(text, limit)
    assert count_clip_tokens(cut) <= limit
    assert text.startswith(cut)
