import pytest
from graphs import answer, node, painting

HARE = node("CLIPTextEncode", text="a hare")
OWL = node("CLIPTextEncode", text="an owl")


def with_positive(conditioning, **nodes):
    """The default graph whose sampler gets this conditioning."""
    graph = painting(n40=conditioning, n41=HARE, n42=OWL, **nodes)
    graph["3"]["inputs"]["positive"] = ["40", 0]
    return answer(graph)


def texts(found):
    return [(text.text, text.role, text.node, text.weight) for text in found.texts]


ENCODERS = {
    "SDXL, same": (node("CLIPTextEncodeSDXL", text_g="a fox", text_l="a fox", width=1024, height=1024), "a fox"),
    "SDXL, unlike": (
        node("CLIPTextEncodeSDXL", text_g="a fox", text_l="film grain", clip=["4", 1]),
        "a fox, film grain",
    ),
    "SDXL refiner": (node("CLIPTextEncodeSDXLRefiner", ascore=6.0, text="a fox", clip=["4", 1]), "a fox"),
    "Flux": (node("CLIPTextEncodeFlux", clip_l="fox", t5xxl="a fox in snow", guidance=3.5), "a fox in snow"),
    "SD3": (node("CLIPTextEncodeSD3", clip_l="a fox", clip_g="a fox", t5xxl="", empty_padding="none"), "a fox"),
    "HiDream": (node("CLIPTextEncodeHiDream", clip_l="a fox", clip_g="a fox", t5xxl="a fox", llama="a fox"), "a fox"),
    "HunyuanDiT": (node("CLIPTextEncodeHunyuanDiT", bert="a fox", mt5xl="a fox"), "a fox"),
    "PixArt": (node("CLIPTextEncodePixArtAlpha", width=1024, height=1024, text="a fox"), "a fox"),
    "Lumina": (node("CLIPTextEncodeLumina2", system_prompt="superior", user_prompt="a fox", clip=["4", 1]), "a fox"),
    "Qwen edit": (node("TextEncodeQwenImageEditPlus", prompt="a fox", clip=["4", 1], image1=["99", 0]), "a fox"),
    "advanced": (node("BNK_CLIPTextEncodeAdvanced", text="a fox", token_normalization="none"), "a fox"),
    "Inspire": (
        node("WildcardEncode //Inspire", wildcard_text="{a}", populated_text="a fox", mode="populate"),
        "a fox",
    ),
    "Impact": (node("ImpactWildcardEncode", wildcard_text="{a}", populated_text="a fox", mode=True), "a fox"),
    "rgthree": (node("Power Prompt (rgthree)", prompt="a fox", insert_lora="CHOOSE"), "a fox"),
    "WAS": (node("Text to Conditioning", text=["20", 0], clip=["4", 1]), "a fox"),
    "cutoff": (node("BNK_CutoffRegionsToConditioning", clip_regions=["43", 0], mask_token=""), "a fox, a hat"),
}


@pytest.mark.parametrize(("encoder", "expected"), ENCODERS.values(), ids=ENCODERS)
def test_the_words_of_an_encoder(encoder, expected):
    regions = {
        "n43": node("BNK_CutoffSetRegions", clip_regions=["44", 0], region_text="a hat", target_text="hat", weight=1.0),
        "n44": node("BNK_CutoffBasePrompt", text="a fox, a hat", clip=["4", 1]),
    }
    assert with_positive(encoder, **regions).prompt == expected


PASSING = {
    "guidance": node("FluxGuidance", guidance=3.5, conditioning=["6", 0]),
    "time": node("ConditioningSetTimestepRange", start=0.0, end=1.0, conditioning=["6", 0]),
    "reference": node("ReferenceLatent", conditioning=["6", 0], latent=["5", 0]),
    "style": node("StyleModelApply", conditioning=["6", 0], style_model=["99", 0], clip_vision_output=["98", 0]),
    "unCLIP": node("unCLIPConditioning", conditioning=["6", 0], clip_vision_output=["98", 0], strength=1.0),
    "ControlNet": node("ControlNetApply", conditioning=["6", 0], control_net=["99", 0], image=["98", 0], strength=1.0),
    "two sides": node(
        "ControlNetApplyAdvanced", positive=["6", 0], negative=["7", 0], control_net=["99", 0], strength=1
    ),
    "inpainting": node("InpaintModelConditioning", positive=["6", 0], negative=["7", 0], pixels=["98", 0]),
    "stack": node("Apply ControlNet Stack", positive=["6", 0], negative=["7", 0], cnet_stack=["98", 0]),
    "video": node("WanImageToVideo", positive=["6", 0], negative=["7", 0], vae=["4", 2], width=832, length=81),
    "unknown": node("Someone's Conditioning Tweak", conditioning=["6", 0], amount=0.5),
}


@pytest.mark.parametrize("conditioning", PASSING.values(), ids=PASSING)
def test_what_passes_a_conditioning_on(conditioning):
    assert with_positive(conditioning).prompt == "a fox"


def test_the_output_decides_which_side_is_meant():
    graph = painting(n40=node("ControlNetApplyAdvanced", positive=["6", 0], negative=["7", 0], control_net=["99", 0]))
    graph["3"]["inputs"] |= {"positive": ["40", 1], "negative": ["40", 0]}
    assert (answer(graph).prompt, answer(graph).negative_prompt) == ("blurry", "a fox")


@pytest.mark.parametrize(
    ("conditioning", "expected"),
    [
        (node("ConditioningCombine", conditioning_1=["41", 0], conditioning_2=["6", 0]), "a hare, a fox"),
        (node("ConditioningConcat", conditioning_from=["6", 0], conditioning_to=["41", 0]), "a hare, a fox"),
        (
            node(
                "ConditioningMultiCombine",
                inputcount=3,
                conditioning_1=["6", 0],
                conditioning_2=["42", 0],
                conditioning_3=["41", 0],
            ),
            "a fox, an owl, a hare",
        ),
    ],
)
def test_combined_conditionings_keep_their_order(conditioning, expected):
    assert with_positive(conditioning).prompt == expected


def test_an_average_gives_each_text_its_share():
    mixed = node(
        "ConditioningAverage", conditioning_to=["6", 0], conditioning_from=["41", 0], conditioning_to_strength=0.75
    )
    assert texts(with_positive(mixed))[:2] == [
        ("a fox", "positive", "6 CLIPTextEncode", 0.75),
        ("a hare", "positive", "41 CLIPTextEncode", 0.25),
    ]


@pytest.mark.parametrize(
    "area",
    [
        node("ConditioningSetArea", conditioning=["41", 0], width=64, height=64, x=0, y=0, strength=0.5),
        node("ConditioningSetMask", conditioning=["41", 0], mask=["99", 0], strength=0.5, set_cond_area="default"),
        node("ConditioningSetAreaPercentage", conditioning=["41", 0], width=0.5, height=0.5, strength=0.5),
    ],
)
def test_a_text_of_an_area_is_a_region_with_its_strength(area):
    found = with_positive(node("ConditioningCombine", conditioning_1=["6", 0], conditioning_2=["43", 0]), n43=area)
    assert found.prompt == "a fox, a hare"
    assert texts(found)[:2] == [
        ("a fox", "positive", "6 CLIPTextEncode", 1.0),
        ("a hare", "region", "41 CLIPTextEncode", 0.5),
    ]


def test_a_text_box_adds_a_region():
    boxed = node("GLIGENTextBoxApply", conditioning_to=["6", 0], clip=["4", 1], text="a hat", width=64, x=0)
    assert [entry[:2] for entry in texts(with_positive(boxed))][:2] == [("a fox", "positive"), ("a hat", "region")]


def test_a_conditioning_without_content_has_no_words():
    graph = painting(n40=node("ConditioningZeroOut", conditioning=["6", 0]))
    graph["3"]["inputs"]["negative"] = ["40", 0]
    assert answer(graph).negative_prompt is None


GUIDERS = {
    "BasicGuider": (node("BasicGuider", model=["4", 0], conditioning=["6", 0]), None),
    "CFGGuider": (node("CFGGuider", model=["4", 0], positive=["6", 0], negative=["7", 0], cfg=4.5), "blurry"),
    "DualCFGGuider": (
        node("DualCFGGuider", model=["4", 0], cond1=["6", 0], cond2=["41", 0], negative=["7", 0], cfg_conds=5.0),
        "blurry",
    ),
    "PerpNegGuider": (
        node("PerpNegGuider", positive=["6", 0], negative=["7", 0], empty_conditioning=["41", 0], cfg=4.5),
        "blurry",
    ),
}


@pytest.mark.parametrize(("guider", "negative"), GUIDERS.values(), ids=GUIDERS)
def test_guiders(guider, negative):
    sampler = node("SamplerCustomAdvanced", noise=["31", 0], guider=["40", 0], sampler=["32", 0], latent_image=["5", 0])
    found = answer(painting(n3=sampler, n40=guider, n41=HARE, n31=node("RandomNoise", noise_seed=42)))
    assert (found.prompt, found.negative_prompt, found.settings["noise_seed"]) == ("a fox", negative, 42)
