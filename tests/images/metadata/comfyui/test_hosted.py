import pytest
from graphs import answer, node, painting

PROMPT, NEGATIVE = "a fox in snow", "mud"

# One node of each provider, as its package names the inputs. What makes videos is saved as a video.
PROVIDERS = {
    "OpenAI, GPT": node("OpenAIGPTImage1", prompt=PROMPT, seed=1, quality="low", background="auto", size="auto", n=1),
    "OpenAI, DALL-E": node(
        "OpenAIDalle3", prompt=PROMPT, seed=1, quality="standard", style="natural", size="1024x1024"
    ),
    "OpenAI, video": node("OpenAIVideoSora2", model="sora-2", prompt=PROMPT, size="1280x720", duration=8, seed=1),
    "Google, image": node(
        "GeminiImageNode", prompt=PROMPT, model="gemini-2.5-flash-image", seed=1, aspect_ratio="auto"
    ),
    "Google, image 2": node("GeminiImage2Node", prompt=PROMPT, model="m", seed=1, system_prompt="You are an artist."),
    "Google, video": node("Veo3VideoGenerationNode", prompt=PROMPT, negative_prompt=NEGATIVE, seed=1, model="veo-3.0"),
    "Black Forest Labs": node("FluxProUltraImageNode", prompt=PROMPT, prompt_upsampling=False, seed=1, raw=False),
    "Black Forest Labs, edit": node("FluxKontextProImageNode", prompt=PROMPT, input_image=["1", 0], steps=50, seed=1),
    "Ideogram": node("IdeogramV3", prompt=PROMPT, aspect_ratio="1:1", magic_prompt_option="AUTO", seed=1),
    "Ideogram, negative": node("IdeogramV2", prompt=PROMPT, negative_prompt=NEGATIVE, style_type="NONE", seed=1),
    "Recraft": node("RecraftTextToImageNode", prompt=PROMPT, size="1024x1024", n=1, seed=1, recraft_style=["1", 0]),
    "Stability": node(
        "StabilityStableImageUltraNode", prompt=PROMPT, style_preset="None", seed=1, negative_prompt=NEGATIVE
    ),
    "Luma": node("LumaImageNode", prompt=PROMPT, model="photon-1", aspect_ratio="16:9", seed=1, style_image_weight=1.0),
    "Luma, video": node("LumaVideoNode", prompt=PROMPT, model="ray-2", duration="5s", loop=False, seed=1),
    "Runway": node("RunwayTextToImageNode", prompt=PROMPT, ratio="1920:1080"),
    "Kling": node("KlingTextToVideoNode", prompt=PROMPT, negative_prompt=NEGATIVE, cfg_scale=1.0, mode="std"),
    "Kling, image": node("KlingImageGenerationNode", prompt=PROMPT, negative_prompt=NEGATIVE, image_type="subject"),
    "MiniMax": node("MinimaxTextToVideoNode", prompt_text=PROMPT, model="T2V-01", seed=1),
    "MiniMax, Hailuo": node("MinimaxHailuoVideoNode", prompt_text=PROMPT, seed=1, prompt_optimizer=True, duration=6),
    "PixVerse": node("PixverseTextToVideoNode", prompt=PROMPT, seed=1, negative_prompt=NEGATIVE, motion_mode="normal"),
    "ByteDance": node("ByteDanceSeedreamNode", model="seedream-4-0", prompt=PROMPT, size_preset="2048x2048", seed=1),
    "ByteDance, video": node(
        "ByteDanceTextToVideoNode", model="seedance-1-0", prompt=PROMPT, resolution="1080p", seed=1
    ),
    "Moonvalley": node("MoonvalleyTxt2VideoNode", prompt=PROMPT, negative_prompt=NEGATIVE, seed=1, steps=33),
    "Vidu": node("ViduTextToVideoNode", model="viduq1", prompt=PROMPT, duration=5, seed=1, aspect_ratio="16:9"),
    "Wan": node(
        "WanTextToImageApi", model="wan2.5", prompt=PROMPT, negative_prompt=NEGATIVE, prompt_extend=True, seed=1
    ),
    "Wan, inputs of the chosen model": node(
        "Wan2TextToVideoApi", **{"model": "wan2.7", "model.prompt": PROMPT, "model.negative_prompt": NEGATIVE}, seed=1
    ),
    "Pika": node("PikaTextToVideoNode2_2", prompt_text=PROMPT, negative_prompt=NEGATIVE, seed=1, resolution="1080p"),
    "Grok": node("GrokImageNode", model="grok-imagine", prompt=PROMPT, aspect_ratio="1:1", seed=1),
    "Reve": node("ReveImageCreateNode", prompt=PROMPT, aspect_ratio="3:2", version="latest"),
    "LTX": node("LtxvApiTextToVideo", model="ltx-2", prompt=PROMPT, duration="8", resolution="1920x1080"),
    "fal": node("FluxPro11_fal", prompt=PROMPT, image_size="landscape_4_3", num_images=1, safety_tolerance="2"),
    "Replicate": node("Replicate black-forest-labs/flux-schnell", prompt=PROMPT, go_fast=True, num_outputs=1),
    "unknown, text": node("My Text to Image", text=PROMPT, width=1024),
    "unknown, prompt": node("Someone's Generator", positive_prompt=PROMPT, negative_prompt=NEGATIVE),
}


@pytest.mark.parametrize("maker", PROVIDERS.values(), ids=PROVIDERS)
@pytest.mark.parametrize(
    "save", [node("SaveImage", images=["2", 0]), node("SaveVideo", video=["2", 0])], ids=["image", "video"]
)
def test_the_node_that_feeds_what_was_saved(maker, save):
    found = answer({"1": node("LoadImage", image="x.png"), "2": maker, "3": save})
    negative = NEGATIVE if {"negative_prompt", "model.negative_prompt"} & maker["inputs"].keys() else None
    assert (found.tool, found.prompt, found.negative_prompt) == ("ComfyUI", PROMPT, negative)
    assert (found.certainty, found.note, found.texts[0].node) == ("computed", "", f"2 {maker['class_type']}")


def test_words_come_through_links_and_settings_from_the_node():
    found = answer(
        {
            "1": node("StringConcatenate", string_a="a fox", string_b="in snow", delimiter=" "),
            "2": node("OpenAIGPTImage1", prompt=["1", 0], seed=5, quality="high", size="1024x1024", n=1),
            "3": node("SaveImage", images=["4", 0]),
            "4": node("ImageScale", image=["2", 0], width=64, height=64),
        }
    )
    assert found.prompt == PROMPT
    assert {"seed": 5, "quality": "high", "size": "1024x1024"}.items() <= found.settings.items()


def test_what_a_model_is_told_beside_the_prompt_has_its_role():
    found = answer({"2": PROVIDERS["Google, image 2"], "3": node("SaveImage", images=["2", 0])})
    assert [(text.text, text.role) for text in found.texts] == [
        (PROMPT, "positive"),
        ("You are an artist.", "instruction"),
    ]


def test_the_last_edit_of_a_chain_has_the_word():
    edit = node("FluxKontextProImageNode", prompt="make it night", input_image=["2", 0], steps=50, seed=1)
    found = answer({"2": PROVIDERS["Black Forest Labs"], "3": edit, "4": node("SaveImage", images=["3", 0])})
    assert found.prompt == "make it night"
    assert PROMPT in [text.text for text in found.texts]


@pytest.mark.parametrize(
    "upscaler",
    [
        node("StabilityUpscaleConservativeNode", image=["2", 0], prompt="sharp", creativity=0.35, seed=1),
        node("KlingLipSyncTextToVideoNode", video=["2", 0], text="hello there", voice="Melody"),
        node("CR Overlay Text", image=["2", 0], text="hello", font_name="x.ttf"),
    ],
)
def test_what_works_over_a_picture_leaves_the_word_to_its_maker(upscaler):
    found = answer({"2": PROVIDERS["Luma"], "3": upscaler, "4": node("SaveImage", images=["3", 0])})
    assert found.prompt == PROMPT


def test_a_sampler_behind_a_node_that_segments_by_words():
    segment = node("GroundingDinoSAMSegment (segment anything)", image=["8", 0], prompt="face", threshold=0.3)
    nodes = painting(n30=segment)
    nodes["9"]["inputs"]["images"] = ["30", 0]
    assert answer(nodes).prompt == "a fox"


def test_a_stream_of_data_with_its_words_at_the_start():
    found = answer(
        {
            "1": node("SeargeTextInputV2", prompt="a fox"),
            "2": node("SeargeTextInputV2", prompt="in snow"),
            "3": node("SeargeTextInputV2", prompt="woodcut"),
            "4": node("SeargeTextInputV2", prompt="mud"),
            "5": node("SeargePromptAdapterV2", main_prompt=["1", 0], secondary_prompt=["2", 0], style_prompt=["3", 0],
                      negative_main_prompt=["4", 0], negative_style_prompt=["4", 0]),
            "6": node("SeargeGenerationParameters", seed=9, steps=30, cfg=5, sampler_name="euler", data=["5", 0]),
            "7": node("SeargePipelineStart", wf_version="4.3", data=["6", 0]),
            "8": node("SeargeMagicBox", stage="image saving", data=["7", 0]),
        }
    )  # fmt: skip
    assert (found.prompt, found.negative_prompt) == ("a fox, in snow", "mud")
    assert [(text.text, text.role) for text in found.texts if text.role == "style"] == [("woodcut", "style")]
    assert (found.settings["seed"], found.settings["sampler_name"]) == (9, "euler")
