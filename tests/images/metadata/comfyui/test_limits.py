"""Graphs that would take for ever: cycles, long chains, knots of links, texts that double, costly patterns."""

import pytest
from graphs import answer, node, painting

JOIN = "StringConcatenate"


def chain(kind, name, count, end, **inputs):
    """A chain of nodes of a kind, each linked to the next; the last has `end`."""
    nodes = {f"c{n}": node(kind, **{name: [f"c{n + 1}", 0]}, **inputs) for n in range(count)}
    return nodes | {f"c{count}": end}


def written(nodes, **changes):
    return answer(painting(**changes) | nodes)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *(("Reroute", "x"), ("StringTrim", "string"), ("ShowText|pysssss", "text"), ("TextGenerate", "prompt")),
        *(("Someone's Text", "text"), ("Any Switch (rgthree)", "any_01"), ("ImpactSwitch", "input1")),
    ],
)
def test_a_chain_of_texts_is_followed_for_a_while(kind, name):
    end = node("PrimitiveString", value="a fox")
    more = {"select": 1} if kind == "ImpactSwitch" else {}
    assert written(chain(kind, name, 50, end, **more), n20=node("Reroute", x=["c0", 0])).prompt == "a fox"
    long = written(chain(kind, name, 3_000, end, **more), n20=node("Reroute", x=["c0", 0]))
    assert long is None or long.prompt != "a fox"


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("FluxGuidance", "conditioning"),
        ("ControlNetApplyAdvanced", "positive"),
        ("Someone's Conditioning", "conditioning"),
        ("EditBasicPipe", "basic_pipe"),
        ("CFGGuider", "positive"),
        ("Any Switch (rgthree)", "any_01"),
    ],
)
def test_a_chain_of_conditionings_is_followed_for_a_while(kind, name):
    sampler = painting()["3"]["inputs"] | {"positive": ["c0", 0]}
    end = node("CLIPTextEncode", text="a fox") if name != "basic_pipe" else node("ToBasicPipe", positive="a fox")
    assert written(chain(kind, name, 50, end), n3=node("KSampler", **sampler)).prompt == "a fox"
    assert written(chain(kind, name, 3_000, end), n3=node("KSampler", **sampler)) is None


def test_a_chain_of_pictures_is_followed_for_long():
    nodes = chain("ImageScale", "image", 5_000, node("VAEDecode", samples=["3", 0]))
    assert written(nodes, n8=node("Reroute", x=["c0", 0])).prompt == "a fox"


@pytest.mark.parametrize(
    "kind", [JOIN, "Text Concatenate", "Someone's Joiner", "ConditioningCombine", "LatentComposite"]
)
def test_a_knot_in_which_all_link_to_all_ends(kind):
    names = {JOIN: "string_{}", "ConditioningCombine": "conditioning_{}", "LatentComposite": "samples_{}"}.get(
        kind, "text_{}"
    )
    letters = "abcdefghij"
    knot = {
        f"c{n}": node(
            kind,
            delimiter=",",
            **{names.format(letter): [f"c{(n * 7 + i) % 200}", 0] for i, letter in enumerate(letters)},
        )
        for n in range(200)
    }
    target = {"ConditioningCombine": ("3", "positive"), "LatentComposite": ("8", "samples")}.get(kind, ("6", "text"))
    nodes = painting() | knot
    nodes[target[0]]["inputs"][target[1]] = ["c0", 0]
    assert (answer(nodes) is None) == (kind != "LatentComposite")  # nothing was saved: the sampler speaks


def test_tens_of_thousands_of_links():
    wide = {
        f"c{n}": node("ConditioningCombine", **{f"cond{i}": [f"c{n + 1 + i}", 0] for i in range(45)})
        for n in range(500)
    }
    sampler = painting()["3"]["inputs"] | {"positive": ["c0", 0]}
    nodes = painting(n3=node("KSampler", **sampler)) | wide
    assert answer(nodes) is None
    nodes["c40"] = node("CLIPTextEncode", text="a hare")
    assert answer(nodes).prompt == "a hare"


def test_texts_that_double_end():
    double = {
        f"c{n}": node(JOIN, string_a=[f"c{n + 1}", 0], string_b=[f"c{n + 1}", 0], delimiter="") for n in range(60)
    }
    double["c60"] = node("PrimitiveString", value="fox ")
    assert written(double, n20=node("Reroute", x=["c0", 0])) is None
    assert written(double, n20=node("Reroute", x=["c58", 0])).prompt == "fox fox fox fox"


@pytest.mark.parametrize(
    "maker",
    [
        node("StringReplace", string="a" * 50_000, find="a", replace="b" * 50_000),
        node("RegexReplace", string="a" * 50_000, regex_pattern="a", replace="b" * 50_000),
        node("RegexReplace", string="a" * 50_000, regex_pattern="(a+)", replace=r"\1" * 100),
        node("Text Find and Replace Input", text="a" * 50_000, find="a", replace="aa" * 5_000),
        node("CR Text Blacklist", text="a" * 90_000, blacklist_words="a\n" * 50_000, replacement_text="b" * 50_000),
        node("JoinStringMulti", inputcount=2**40, string_1="x" * 90_000),
        node("Text String Truncate", text="x" * 200_000, truncate_to=-(10**20)),
        node("StringSubstring", string="x" * 200_000, start=10**25, end=-(10**25)),
    ],
)
def test_what_would_grow_or_count_too_far_stays_small(maker):
    found = answer(painting(n20=maker))
    assert found is None or len(found.prompt) <= 100_000


def test_costly_patterns_are_run_a_few_times_only():
    text = "ab" * 1_000
    parts = {f"c{n}": node("RegexReplace", string=text, regex_pattern=f".*x{n}", replace="") for n in range(400)}
    nodes = {f"d{n}": node("Text List", **{f"text_{i}": [f"c{n * 20 + i}", 0] for i in range(20)}) for n in range(20)}
    lists = {f"list_{n}": [f"d{n}", 0] for n in range(20)}
    joined = node("Text List to Text", delimiter="", text_list=["e", 0])
    found = written(parts | nodes | {"e": node("Text List Concatenate", **lists)}, n20=joined)
    assert found is None or found.certainty == "ambiguous"


def test_random_choices_of_a_huge_seed():
    for seed in (10**29, -(10**29), 1.5, True):
        assert answer(painting(n20=node("Text Random Line", text="a fox\na fox", seed=seed))).prompt == "a fox"


@pytest.mark.parametrize(
    "value", [[], {}, None, [1], [["a"], 0], ["20"], ["20", None], ["20", "0"], [None, 0], {"__value__": {}}, 1e300]
)
@pytest.mark.parametrize(
    "kind", ["Reroute", "StringReplace", "ImpactSwitch", "ShowText|pysssss", "TextGenerate", "X", "Text Random Line"]
)
def test_inputs_of_odd_types(kind, value):
    names = ("text", "string", "select", "input1", "seed", "find", "replace", "prompt", "source", "delimiter")
    assert answer(painting(n20=node(kind, **dict.fromkeys(names, value)))) is None or True


@pytest.mark.parametrize("output", [-1, 2**70, 1.5, 99])
def test_outputs_that_a_node_does_not_have(output):
    kinds = ("UnzipPrompt //Inspire", "Text String", "CR Split String", "easy stylesSelector", "Efficient Loader")
    for kind in kinds:
        nodes = painting(n21=node(kind, text="a fox", positive="a fox", delimiter=","))
        nodes["6"]["inputs"]["text"] = ["21", output]
        assert answer(nodes) is None or answer(nodes).prompt == "a fox"


def test_long_names_are_left_out():
    nodes = painting(n20=node("X" * 100_000, **{"text": "a fox", "_" * 100_000: "a hare"}))
    found = answer(nodes)
    assert (found.prompt, len(found.texts[0].node) < 300) == ("a fox", True)


def test_hundreds_of_saved_pictures_and_samplers():
    nodes = painting()
    for n in range(400):
        nodes[f"s{n}"] = node(
            "KSampler", seed=n, positive=[f"t{n}", 0], latent_image=[f"s{n - 1}" if n else "5", 0], denoise=0.5
        )
        nodes[f"t{n}"] = node("CLIPTextEncode", text=f"word {n}")
        nodes[f"o{n}"] = node("SaveImage", images=[f"s{n}", 0])
    found = answer(nodes)
    assert (found.prompt, found.certainty) == ("a fox", "ambiguous")
    assert len(found.candidates) <= 100
