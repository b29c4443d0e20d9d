import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unprompt.images.metadata.cleaning import clean, differs, tidy


@pytest.mark.parametrize(
    ("raw", "prompt"),
    [
        ("a fox in snow", "a fox in snow"),
        ("a fox,  red\nin snow", "a fox, red in snow"),
        ("<lora:snow_v2:0.8>a fox, <lyco:x:1>, <hypernet:y:1.0> red", "a fox, red"),
        ("(fox:1.2), ((snow)), [cold]", "fox, snow, cold"),
        ("((fox:1.1) snow:1.3)", "fox snow"),
        (r"fox \(animal\), a\\b", r"fox (animal), a\b"),
        ("a fox BREAK in snow", "a fox in snow"),
        ("[cat:fox:0.5] in snow", "fox in snow"),
        ("[fox::0.5] in snow", "fox in snow"),
        ("[fox:0.5] in snow", "fox in snow"),
        ("[cat:(red fox:1.2):12] in snow", "red fox in snow"),
        ("[fox|cat] in snow", "fox in snow"),
        ("{fox|cat} in {{deep}} snow", "fox in deep snow"),
        ("1.2::red fox::, 0.5::cat, hat::, snow", "red fox, cat, hat, snow"),
        ("1.2::red fox::, -0.5::cat, hat::, snow", "red fox, snow"),
        ("fox, -1::hat", "fox"),
        ("fox, -1::hat, 1.5::snow::, .5::moon::", "fox, snow, moon"),
        ("a fox, (hat:-1), (cat:0), (snow:0.5)", "a fox, snow"),
        ("a fox AND snow", "a fox, snow"),
        ("a fox :1.2 AND snow :0.5", "a fox, snow"),
        ("a fox AND_PERP a hat :-1 AND_SALT snow", "a fox, snow"),
        ("a sign that says SALT AND PEPPER", "a sign that says SALT AND PEPPER"),
        ("{2$$fox|cat} in {1-2$$, $$snow|ice}", "fox in snow"),
        (r"embedding:Easy\(v2\), a fox", "a fox"),
        ("long_hair, ^_^, >_<, looking_at_viewer", "long_hair, ^_^, >_<, looking_at_viewer"),
        ('{"a fox": [1, "(red:1.2)"],\n  "b": {"c|d": 1}}', '{"a fox": [1, "(red:1.2)"], "b": {"c|d": 1}}'),
        ('[{"subject": "a fox"}]', '[{"subject": "a fox"}]'),
        ("{'subject': 'a {red} fox'}", "{'subject': 'a {red} fox'}"),
        ("(red fox)1.3 in (snow)++ and ice++, (fog)-", "red fox in snow and ice, fog"),
        ("embedding:EasyPic, a fox, (embedding:x.pt:1.2)", "a fox"),
        ("a __animal__ in snow", "a in snow"),
        ("a fox: red, 16:9, (photo: a fox)", "a fox: red, 16:9, photo: a fox"),
        ("a fox (in snow", "a fox in snow"),
        ("a fox) in snow :)", "a fox) in snow :)"),
        ("([fox) snow]", "fox snow"),
        ("a fox --ar 16:9 --v 5 C++11, cat::2", "a fox --ar 16:9 --v 5 C++11, cat::2"),
        ("1,000 foxes", "1,000 foxes"),
    ],
)
def test_marks_go_and_words_stay(raw, prompt):
    assert clean(raw) == prompt


def test_weighted_means_more_than_white_space_and_idle_commas():
    assert not differs("a fox, ,\n red ,", clean("a fox, ,\n red ,"))
    assert differs("(a fox)", clean("(a fox)"))


def test_terminal_escapes_and_controls_go():
    assert tidy("a \x1b[31mred\x1b[0m\x00 fox\x9b2J\u202e\r\nin\tsnow\x1b]0;title\x07\x7f") == "a red fox in snow"
    assert tidy("lone \ud800 surrogate") == "lone \ufffd surrogate"


@pytest.mark.parametrize(
    "unit",
    [
        "(",
        "[",
        ")",
        "[a:",
        "((",
        "\\",
        "1",
        "1:",
        "::",
        "<lora:",
        "1::",
        "-1::",
        ":: ",
        " AND ",
        " :1 AND ",
        "$$",
        "{1$$",
        "__",
        "+",
        "-",
        ",",
        " ,",
        "\x1b[",
        "(a)1",
        "a|",
    ],
)
def test_time_is_linear(unit):
    """A quadratic pass takes a minute of CPU here, so the bound of ten seconds is no stopwatch."""
    start = time.process_time()
    clean(unit * (40_000 // len(unit)))
    assert time.process_time() - start < 10


@given(st.text(alphabet=st.sampled_from("ab 1.,:|()[]{}\\+-_<>\n\x1b"), max_size=60))
def test_clean_text_is_one_line_without_controls(raw):
    prompt = clean(raw)
    assert prompt == tidy(prompt)
    assert prompt == prompt.strip(" ,")
