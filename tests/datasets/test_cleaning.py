"""The cleaning rules, one by one and in their order."""

from dataclasses import replace

import pytest

from unprompt.datasets.cleaning import CHANGES, DROPS, Cleaner, CleaningRules

NO_RULES = CleaningRules(spaces=False, marks=False, least_words=0, latin=False, copies=False, starts=0, ends=0)


def cleaned(rules: CleaningRules, *prompts: str) -> tuple[list[str | None], dict[str, int]]:
    cleaner = Cleaner(rules)
    return [cleaner.clean(prompt) for prompt in prompts], {name: n for name, n in cleaner.counts.items() if n}


@pytest.mark.parametrize(
    ("rules", "prompt", "expected", "counts"),
    [
        (NO_RULES, "a  \n猫", "a  \n猫", {"kept": 1}),
        (NO_RULES, " \t", None, {"empty": 1}),
        (replace(NO_RULES, spaces=True), " a\tcat\x00 \n", "a cat", {"spaces": 1, "kept": 1}),
        (replace(NO_RULES, spaces=True), "a (cat:1.2)", "a (cat:1.2)", {"kept": 1}),
        (replace(NO_RULES, marks=True), "a (cat:1.2) <lora:x:1>", "a cat", {"marks": 1, "kept": 1}),
        (replace(NO_RULES, marks=True), "<lora:x:1>", None, {"marks": 1, "empty": 1}),
        (replace(NO_RULES, least_words=3), "a cat", None, {"short": 1}),
        (replace(NO_RULES, least_words=3), "a red cat", "a red cat", {"kept": 1}),
        (replace(NO_RULES, latin=True), "a cat, 猫", None, {"characters": 1}),
        (replace(NO_RULES, latin=True), "кот", None, {"characters": 1}),
        (replace(NO_RULES, latin=True), "a cat 🐈", None, {"characters": 1}),
        (replace(NO_RULES, latin=True), "a\tcat", None, {"characters": 1}),
        (
            replace(NO_RULES, latin=True),
            "Bär, “naïve” – cafe\u0301 … (8k) #1 & 50%",
            "Bär, “naïve” – cafe\u0301 … (8k) #1 & 50%",
            {"kept": 1},
        ),
    ],
)
def test_a_rule(rules: CleaningRules, prompt: str, expected: str | None, counts: dict[str, int]) -> None:
    assert cleaned(rules, prompt) == ([expected], counts)


def test_copies_are_dropped_or_kept() -> None:
    prompts = ("a red cat", "a dog", "a red cat")
    assert cleaned(replace(NO_RULES, copies=True), *prompts)[1] == {"kept": 2, "copies": 1}
    # Copies that stay are not told from what they copy by their ends.
    assert cleaned(replace(NO_RULES, starts=5, ends=5), *prompts)[1] == {"kept": 3}


def test_starts_and_ends_are_those_of_kept_prompts() -> None:
    rules = replace(NO_RULES, starts=4, ends=4, least_words=2)
    prompts = ["one cat sits", "one dog runs", "two cat sits", "abcd", "abcd efgh", "efgh", "xyz abcd"]
    kept, counts = cleaned(rules, *prompts)
    assert kept == ["one cat sits", None, None, None, "abcd efgh", None, "xyz abcd"]
    assert counts == {"kept": 3, "starts": 1, "ends": 1, "short": 2}


def test_every_prompt_is_counted_once() -> None:
    prompts = ["a (red:1.3) cat in a  hat"] * 2 + [
        "",
        "猫 " * 5,
        "short",
        "a red cat in a boat",
        "one red cat in a hat",
    ]
    cleaner = Cleaner(CleaningRules())
    for prompt in prompts:
        cleaner.clean(prompt)
    counts = cleaner.counts
    assert counts["kept"] + sum(counts[name] for name in DROPS) == len(prompts)
    assert {name: counts[name] for name in CHANGES} == {"spaces": 2 + 1, "marks": 2}
    assert {counts[name] for name in DROPS} == {1}


def test_what_was_cleaned_is_clean() -> None:
    first = Cleaner(CleaningRules())
    once = [first.clean(text) for text in ("a [red|blue] cat, in a hat", "((a)) dog of some kind, ")]
    again = Cleaner(CleaningRules())
    assert [again.clean(text) for text in once if text] == once
    assert again.counts["marks"] == again.counts["spaces"] == 0
