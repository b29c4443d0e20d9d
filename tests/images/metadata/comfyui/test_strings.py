import random

import pytest
from graphs import answer, node, painting, prompt_of

FOX = node("PrimitiveString", value="a red fox in snow")
LINES = "a fox\na hare\nan owl"
ZIPPED = "positive: a fox\nnegative: grass\n---\npositive: a hare\nin corn\nnegative: mud\nname: two\n---\n"


def string(value):
    return node("PrimitiveString", value=value)


CORE = {
    "concatenate": (node("StringConcatenate", string_a="a fox", string_b=["21", 0], delimiter=", "), "a fox, a hare"),
    "substring": (node("StringSubstring", string="a red fox", start=2, end=-4), "red"),
    "upper": (node("CaseConverter", string="a fox", mode="UPPERCASE"), "A FOX"),
    "title": (node("CaseConverter", string="a fox", mode="Title Case"), "A Fox"),
    "capitalize": (node("CaseConverter", string="a FOX", mode="Capitalize"), "A fox"),
    "trim": (node("StringTrim", string="  a fox ", mode="Both"), "a fox"),
    "replace": (node("StringReplace", string="a {x} in {x}", find="{x}", replace=["21", 0]), "a a hare in a hare"),
    "replace, mtb": (node("String Replace (mtb)", string="a {x}", old="{x}", new="hare"), "a hare"),
    "replace nothing": (node("StringReplace", string="a fox", find="", replace="hare"), "a fox"),
    "regex replace": (node("RegexReplace", string="a  fox,,", regex_pattern=r"\s+|,+$", replace=" "), "a fox"),
    "regex groups": (node("RegexReplace", string="fox red", regex_pattern=r"(\w+) (\w+)", replace=r"\2 \1"), "red fox"),
    "regex count": (node("RegexReplace", string="cat cat", regex_pattern="CAT", replace="fox", count=1), "fox cat"),
    "regex case": (
        node("RegexReplace", string="Cat cat", regex_pattern="cat", replace="fox", case_insensitive=False),
        "Cat fox",
    ),
    "extract": (node("RegexExtract", string="1: fox\n2: hare", regex_pattern=r"\d: (\w+)", mode="First Group"), "fox"),
    "extract second": (
        node("RegexExtract", string="fox=red", regex_pattern=r"(\w+)=(\w+)", mode="First Group", group_index=2),
        "red",
    ),
    "extract all": (
        node("RegexExtract", string="fox 1 hare 2", regex_pattern=r"[a-z]+", mode="All Matches"),
        "fox hare",
    ),
    "format": (
        node("StringFormat", f_string="a {a} and {b}", **{"values.a": "fox", "values.b": ["21", 0]}),
        "a fox and a hare",
    ),
    "primitive": (node("PrimitiveStringMultiline", value="a fox\nin snow"), "a fox in snow"),
    "prefix": (node("AddTextPrefix", texts="fox", prefix="a "), "a fox"),
}
PACKAGES = {
    "Text Concatenate": (
        node(
            "Text Concatenate", delimiter=", ", clean_whitespace="true", text_c="owl", text_a=" fox ", text_b=["21", 0]
        ),
        "fox, a hare, owl",
    ),
    "Text Concatenate, empty": (
        node("Text Concatenate", delimiter="\\n", clean_whitespace="true", text_a="", text_b="fox"),
        "fox",
    ),
    "Text Concatenate of 2023": (node("Text Concatenate", linebreak_addition="false", text_a="fo", text_b="x"), "fox"),
    "Text Multiline": (node("Text Multiline", text="# not this\na fox"), "a fox"),
    "Text String": (node("Text String", text="a fox", text_b="a hare"), "a fox"),
    "Text Find and Replace": (
        node("Text Find and Replace", text="a c.t, a cat", find="c.t", replace="fox"),
        "a fox, a fox",
    ),
    "Text Find and Replace Input": (
        node("Text Find and Replace Input", text="a __x__", find="__x__", replace=["21", 0]),
        "a a hare",
    ),
    "Text Load Line From File": (
        node("Text Load Line From File", file_path="x.txt", mode="index", index=1, multiline_text=LINES),
        "a hare",
    ),
    "Text String Truncate": (
        node("Text String Truncate", text="a red fox", truncate_by="words", truncate_from="beginning", truncate_to=2),
        "a red",
    ),
    "Text List to Text": (
        node("Text List to Text", delimiter=", ", text_list=["22", 0]),
        "fox, a hare",
    ),
    "CR Text": (node("CR Text", text="a fox"), "a fox"),
    "CR Prompt Text": (node("CR Prompt Text", prompt="a fox"), "a fox"),
    "CR Text Concatenate": (node("CR Text Concatenate", text1="fox", text2=["21", 0], separator="; "), "fox; a hare"),
    "CR Text Replace": (
        node("CR Text Replace", text="a cat", find1="cat", replace1="fox", find2="", replace2="x"),
        "a fox",
    ),
    "CR Text Operation": (node("CR Text Operation", text=" A Fox", operation="lowercase"), "a fox"),
    "CR Text Blacklist": (node("CR Text Blacklist", text="a nasty fox", blacklist_words="nasty \nbad"), "a fox"),
    "CR Split String": (node("CR Split String", text="fox, hare", delimiter=","), "fox"),
    "CR Combine Prompt": (node("CR Combine Prompt", part1="fox", part2="snow", separator=", "), "fox, snow"),
    "CR Multiline Text": (node("CR Multiline Text", text="#no\na fox"), "a fox"),
    "easy positive": (node("easy positive", positive="a fox"), "a fox"),
    "easy promptConcat": (node("easy promptConcat", prompt1="fox", prompt2="snow", separator=", "), "fox, snow"),
    "easy promptReplace": (node("easy promptReplace", prompt="a cat", find1="cat", replace1="fox"), "a fox"),
    "easy promptLine": (node("easy promptLine", prompt=LINES, start_index=1, max_rows=1), "a hare"),
    "easy stringJoinLines": (node("easy stringJoinLines", string=LINES, delimiter=" | "), "a fox | a hare | an owl"),
    "ImpactStringSelector": (node("ImpactStringSelector", strings=LINES, multiline=False, select=4), "a hare"),
    "ImpactStringSelector, paragraphs": (
        node("ImpactStringSelector", strings="#a fox\nin snow\n#a hare", multiline=True, select=0),
        "a fox in snow",
    ),
    "ImpactWildcardProcessor": (
        node("ImpactWildcardProcessor", wildcard_text="a {cat|fox}", populated_text="a fox", mode=True),
        "a fox",
    ),
    "JoinStrings": (node("JoinStrings", string1="fox", string2=["21", 0], delimiter=" & "), "fox & a hare"),
    "JoinStringMulti": (
        node("JoinStringMulti", inputcount=2, string_2="hare", string_1="fox", string_3="owl", delimiter=", "),
        "fox, hare",
    ),
    "StringConstant": (node("StringConstant", string="a fox"), "a fox"),
    "WidgetToString": (node("WidgetToString", id=21, widget_name="value", return_all=False), "a hare"),
    "SomethingToString": (node("SomethingToString", input=["21", 0], prefix="<", suffix=">"), "<a hare>"),
    "StringFunction, append": (
        node("StringFunction|pysssss", action="append", tidy_tags="yes", text_a="fox", text_b="", text_c="snow"),
        "fox, snow",
    ),
    "StringFunction, replace": (
        node("StringFunction|pysssss", action="replace", tidy_tags="no", text_a="a cat", text_b="/c.t/", text_c="fox"),
        "a fox",
    ),
    "LoadSinglePromptFromFile": (node("UnzipPrompt //Inspire", zipped_prompt=["23", 0]), "a hare in corn"),
    "SDXLPromptStyler": (node("SDXLPromptStyler", text_positive="a fox", text_negative="mud", style="base"), "a fox"),
    "unknown join": (node("My Text Joiner", text_1="fox", text_2=["21", 0], separator=" + "), "fox + a hare"),
    "unknown text": (node("Someone's Prompt Box", prompt="a fox"), "a fox"),
}
MORE = {
    "n21": string("a hare"),
    "n22": node("Text List", text_a="fox", text_b=["21", 0]),
    "n23": node("LoadSinglePromptFromFile //Inspire", prompt_file="x.txt", index=1, text_data_opt=ZIPPED),
}


@pytest.mark.parametrize(("maker", "expected"), [*CORE.values(), *PACKAGES.values()], ids=[*CORE, *PACKAGES])
def test_what_a_node_makes_of_its_inputs(maker, expected):
    found = answer(painting(n20=maker, **MORE))
    assert (found.prompt, found.certainty) == (expected, "computed")


def test_each_output_of_a_node_has_its_own_text():
    both = painting(n20=node("UnzipPrompt //Inspire", zipped_prompt=["23", 0]), **MORE)
    both["7"]["inputs"]["text"] = ["20", 1]
    assert (answer(both).prompt, answer(both).negative_prompt) == ("a hare in corn", "mud")
    second = painting(n20=node("Text String", text="a fox", text_b="a hare"))
    second["6"]["inputs"]["text"] = ["20", 1]
    assert answer(second).prompt == "a hare"


@pytest.mark.parametrize("outputs", [(0, 1), (1, 2), (3, 4)])
def test_a_node_of_an_unknown_kind_that_has_both_sides_is_asked_for_one(outputs):
    nodes = painting(n21=node("Someone's Styler", positive_prompt="a fox", negative_prompt="mud", style="ink"))
    for encoder, output in zip(("6", "7"), outputs, strict=True):
        nodes[encoder]["inputs"]["text"] = ["21", output]
    assert (answer(nodes).prompt, answer(nodes).negative_prompt) == ("a fox", "mud")


@pytest.mark.parametrize("names", [({"Constant": "fox"}, {"Constant": "fox"}), ({}, {})])
def test_a_value_that_is_set_and_got_by_name(names):
    setting, getting = (node(kind, **inputs) for kind, inputs in zip(("SetNode", "GetNode"), names, strict=True))
    setting["inputs"]["STRING"], setting["_meta"], getting["_meta"] = ["22", 0], {"title": "Set_a"}, {"title": "Get_a"}
    assert prompt_of(n20=getting, n21=setting, n22=string("a fox")) == "a fox"


def test_a_random_line_follows_from_its_seed():
    seed = 224713950115468
    expected = random.Random(seed).choice(LINES.split("\n"))
    assert prompt_of(n20=node("Text Random Line", text=LINES, seed=["30", 0]), n30=node("Seed", seed=seed)) == expected


def test_tokens_that_other_nodes_set():
    nodes = {
        "n20": node("Text Parse Tokens", text=["21", 0]),
        "n21": node("Text Multiline", text="a [animal] in snow"),
        "n22": node("Text Add Token by Input", token_name="[animal]", token_value="fox"),
    }
    assert prompt_of(**nodes) == "a fox in snow"


@pytest.mark.parametrize(
    ("maker", "expected"),
    [
        (node("easy promptLine", prompt=LINES, start_index=0, max_rows=3), ("a fox", "a hare", "an owl")),
        (node("CR Text List", multiline_text=LINES, start_index=1, max_rows=9), ("a hare", "an owl")),
        (node("Text Load Line From File", mode="automatic", multiline_text=LINES), ("a fox", "a hare", "an owl")),
        (node("Text Random Line", text=LINES, seed=["99", 0]), ("a fox", "a hare", "an owl")),
    ],
)
def test_lines_of_which_the_file_does_not_tell_one_are_candidates(maker, expected):
    found = answer(painting(n20=maker))
    assert (found.certainty, found.candidates) == ("ambiguous", expected)


@pytest.mark.parametrize(
    "maker",
    [
        node("DPRandomGenerator", text="a {copper|silver} snail", seed=1),
        node("easy wildcards", text="a __metal__ snail", seed=1),
        node("RegexReplace", string="a" * 3_000, regex_pattern="a*a*a*b", replace=""),
    ],
)
def test_what_cannot_be_computed_is_ambiguous_and_says_why(maker):
    found = answer(painting(n20=maker))
    assert (found.certainty, found.note) == ("ambiguous", "A part was chosen at random when the picture was made.")


def test_a_template_without_choices_is_certain():
    assert answer(painting(n20=node("DPRandomGenerator", text="a fox", seed=1))).certainty == "computed"


def test_words_in_another_file_are_missing_and_said_to_be():
    nodes = {
        "n20": node("StringConcatenate", string_a="a fox", string_b=["21", 0], delimiter=""),
        "n21": node("Load Text File", file_path="words.txt"),
    }
    found = answer(painting(**nodes))
    assert (found.prompt, found.certainty, found.note) == (
        "a fox",
        "ambiguous",
        "Words from outside the file are missing.",
    )
