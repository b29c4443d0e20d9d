import pytest
from graphs import answer, node, painting, prompt_of

FOX, HARE, OWL = ["21", 0], ["22", 0], ["23", 0]
TEXTS = {
    "n21": node("PrimitiveString", value="a fox"),
    "n22": node("PrimitiveString", value="a hare"),
    "n23": node("PrimitiveString", value="an owl"),
}

SWITCHES = {
    "core, no": (node("ComfySwitchNode", switch=False, on_false=HARE, on_true=FOX), "a hare"),
    "core, one side alone": (node("ComfySwitchNode", switch=False, on_true=FOX), "a fox"),
    "core, soft": (node("ComfySoftSwitchNode", switch=True, on_false=HARE, on_true=FOX), "a fox"),
    "Impact": (node("ImpactSwitch", select=2, sel_mode=False, input1=FOX, input2=HARE, input3=OWL), "a hare"),
    "Impact, branch": (node("ImpactConditionalBranch", cond=True, tt_value=FOX, ff_value=HARE), "a fox"),
    "Comfyroll": (node("CR Text Input Switch", Input=2, text1=FOX, text2=HARE), "a hare"),
    "Comfyroll, four": (node("CR Text Input Switch (4 way)", Input=3, text1=FOX, text2=HARE, text3=OWL), "an owl"),
    "Easy-Use, index": (node("easy anythingIndexSwitch", index=0, value0=FOX, value1=HARE), "a fox"),
    "Easy-Use, texts": (node("easy textIndexSwitch", index=1, text0=FOX, text1=HARE), "a hare"),
    "Easy-Use, text": (node("easy textSwitch", input=2, text1=FOX, text2=HARE), "a hare"),
    "Easy-Use, if": (node("easy ifElse", boolean=False, on_true=FOX, on_false=HARE), "a hare"),
    "WAS": (node("Text Input Switch", text_a=FOX, text_b=HARE, boolean=["40", 0]), "a hare"),
    "rgthree": (node("Any Switch (rgthree)", any_02=HARE, any_01=["99", 0], any_03=OWL), "a hare"),
    "rgthree, in order of names": (node("Any Switch (rgthree)", any_02=HARE, any_01=FOX), "a fox"),
    "KJNodes": (node("LazySwitchKJ", switch=True, on_false=HARE, on_true=FOX), "a fox"),
    "Crystools": (node("Switch any [Crystools]", boolean=True, on_true=FOX, on_false=HARE), "a fox"),
    "Logic": (node("If ANY return A else B", ANY=["41", 0], IF_TRUE=FOX, IF_FALSE=HARE), "a fox"),
    "unknown, numbered": (node("My Text Switch", select=2, text_1=FOX, text_2=HARE), "a hare"),
    "by name": (node("CR Img2Img Process Switch", Input="img2img", txt2img=FOX, img2img=HARE), "a hare"),
    "a literal branch": (node("CR Text Input Switch", Input=1, text1="a crow", text2=HARE), "a crow"),
    "inversed": (node("ImpactInversedSwitch", select=1, input=FOX), "a fox"),
    "reroute": ({"class_type": "Reroute", "inputs": {"": FOX}}, "a fox"),
    "reroute of a primitive": (node("ReroutePrimitive|pysssss", value=FOX), "a fox"),
    "select is computed": (node("ImpactSwitch", select=["42", 0], input1=FOX, input2=HARE), "a hare"),
    "yes is computed": (node("ComfySwitchNode", switch=["43", 0], on_false=FOX, on_true=HARE), "a hare"),
}
NUMBERS = {
    "n40": node("PrimitiveBoolean", value=False),
    "n41": node("ImpactInt", value=1),
    "n42": node("easy mathInt", a=1, b=["41", 0], operation="add"),
    "n43": node("StringContains", string=["22", 0], substring="HARE", case_sensitive=False),
}


@pytest.mark.parametrize(("switch", "expected"), SWITCHES.values(), ids=SWITCHES)
def test_the_branch_that_was_taken(switch, expected):
    found = answer(painting(n20=switch, **TEXTS, **NUMBERS))
    assert (found.prompt, found.certainty, found.candidates) == (expected, "computed", ())


@pytest.mark.parametrize(
    "switch",
    [
        node("ImpactSwitch", select=["99", 0], input1=FOX, input2=HARE),
        node("ComfySwitchNode", switch=["50", 0], on_true=FOX, on_false=HARE),
        node("Any Input Switcher", in_1=FOX, in_2=HARE),
    ],
)
def test_a_branch_that_the_file_does_not_tell(switch):
    found = answer(painting(n20=switch, n50=node("IsDaytime", image=["8", 0]), **TEXTS))
    assert (found.prompt, found.certainty, found.candidates) == ("a fox", "ambiguous", ("a fox", "a hare"))


def test_both_texts_of_an_ambiguous_switch_go_through_what_follows():
    nodes = {
        "n20": node("StringConcatenate", string_a=["30", 0], string_b=" in snow", delimiter=""),
        "n30": node("ComfySwitchNode", switch=["99", 0], on_true=FOX, on_false=HARE),
    }
    assert answer(painting(**nodes, **TEXTS)).candidates == ("a fox in snow", "a hare in snow")


@pytest.mark.parametrize(
    ("switch", "expected"),
    [
        (node("ImpactSwitch", select=2, input1=["6", 0], input2=["51", 0]), "a hare"),
        (node("CR Conditioning Input Switch", Input=1, conditioning1=["51", 0], conditioning2=["6", 0]), "a hare"),
        (node("Conditioning Input Switch", conditioning_a=["6", 0], conditioning_b=["51", 0], boolean=False), "a hare"),
        (node("easy conditioningIndexSwitch", index=1, cond0=["6", 0], cond1=["51", 0]), "a hare"),
        (node("Any Switch (rgthree)", any_01=["51", 0], any_02=["6", 0]), "a hare"),
    ],
)
def test_a_switch_of_conditionings(switch, expected):
    nodes = painting(n50=switch, n51=node("CLIPTextEncode", text="a hare"))
    nodes["3"]["inputs"]["positive"] = ["50", 0]
    assert (answer(nodes).prompt, answer(nodes).certainty) == (expected, "computed")


def test_a_switch_of_conditionings_that_the_file_does_not_tell():
    nodes = painting(
        n50=node("ImpactSwitch", select=["99", 0], input1=["6", 0], input2=["51", 0]),
        n51=node("CLIPTextEncode", text="a hare"),
    )
    nodes["3"]["inputs"]["positive"] = ["50", 0]
    found = answer(nodes)
    assert (found.certainty, found.candidates) == ("ambiguous", ("a fox", "a hare"))


def test_a_switch_of_pictures_decides_which_sampler_it_was():
    other = painting()["3"]["inputs"] | {"positive": ["51", 0]}
    nodes = painting(
        n8=node("VAEDecode", samples=["50", 0]),
        n50=node("CR Latent Input Switch", Input=2, latent1=["3", 0], latent2=["52", 0]),
        n51=node("CLIPTextEncode", text="a hare"),
        n52=node("KSampler", **other),
    )
    assert answer(nodes).prompt == "a hare"


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (node("PrimitiveInt", value=2), "a hare"),
        (node("INTConstant", value=2), "a hare"),
        (node("CR Seed", seed=1), "a fox"),
        (node("easy mathInt", a=5, b=2, operation="modulo"), "a fox"),
        (node("StringLength", string="xy"), "a hare"),
        (node("PrimitiveString", value="2"), "a hare"),
        (node("Someone's number", int=2), "a hare"),
    ],
)
def test_a_number_selects(number, expected):
    switch = node("ImpactSwitch", select=["30", 0], input1=FOX, input2=HARE)
    assert prompt_of(n20=switch, n30=number, **TEXTS) == expected


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        (node("StringCompare", string_a="A fox", string_b="a", mode="Starts With", case_sensitive=False), True),
        (node("StringCompare", string_a="a fox", string_b="fox", mode="Ends With", case_sensitive=True), True),
        (node("StringCompare", string_a="a", string_b="A", mode="Equal", case_sensitive=True), False),
        (node("RegexMatch", string="a fox", regex_pattern="F.X", case_insensitive=True), True),
        (node("RegexMatch", string="a fox", regex_pattern="F.X", case_insensitive=False), False),
        (node("easy compare", a=1, b=2, comparison="a < b"), True),
        (node("ImpactCompare", cmp="a > b", a=1, b=2), False),
        (node("ImpactNeg", value=True), False),
        (node("easy mathString", a="fox", b="a fox", operation="a IN b", case_sensitive=True), True),
    ],
)
def test_yes_and_no_are_computed(test, expected):
    switch = node("ComfySwitchNode", switch=["30", 0], on_true=FOX, on_false=HARE)
    found = answer(painting(n20=switch, n30=test, **TEXTS))
    assert (found.prompt, found.certainty) == ("a fox" if expected else "a hare", "computed")
