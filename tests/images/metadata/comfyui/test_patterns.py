import re

import pytest

from unprompt.images.metadata.comfyui.patterns import bounded

WORDS = "a red fox,  sitting in the snow, at dawn, " * 10


@pytest.mark.parametrize(
    "pattern",
    [
        *(
            "fox",
            r"\s+",
            r"\s*,\s*",
            r"[^,]+",
            r"<lora:[^>]+>",
            r"^.*?:",
            r"(red|grey) fox",
            r"(?:red )?fox",
            r"(?i)FOX",
        ),
        *(r"(\w+) (\w+)", r"(?P<animal>fox)", r"\bfox\b", r"\d{1,3}", r"^a|b$", r"[\]a]+", r"\(.*\)", r"(?:ab)+"),
    ],
)
def test_patterns_of_everyday_are_run(pattern):
    assert bounded(pattern, WORDS, 0, 10**6)[0].sub("", WORDS) == re.sub(pattern, "", WORDS)


@pytest.mark.parametrize(
    "pattern",
    [
        *("(a+)+b", "(a|a)*b", "(a|ab)+c", r"(\w+\s?)*x", "((a*)b)*", r"(a)\1", "(?=a)", "(?!a)", "(?<=a)b", "(?<!a)b"),
        *(
            "(?P=x)",
            "(",
            "[",
            "a" * 301,
            "[[a]]",
            "(?(1)a|b)",
            "a**",
            "a{2,1}",
            "[^[a]",
            "[a--b]",
            "fox(?i)",
            ".*.*.*x",
            r"\s*\s*\s*\s*\s*\s*$" * 3,
        ),
    ],
)
def test_what_could_take_long_or_is_broken_is_refused(pattern):
    assert bounded(pattern, "a " * 500 + WORDS, 0, 10**6)[0] is None


def test_the_same_pattern_is_run_on_a_text_that_it_cannot_be_slow_on():
    assert bounded(r"\s*\s*,", WORDS, 0, 10**6)[0] is not None
    assert bounded(r"\s*\s*,", " " * 1_000, 0, 10**6)[0] is None
