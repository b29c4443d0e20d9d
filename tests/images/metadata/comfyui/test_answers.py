import json

import pytest
from layouts import DESCRIPTION, MAKE, MODEL, pillow_exif, png, text, webp_exif

from unprompt.images.metadata import read


def node(kind, **inputs):
    return {"class_type": kind, "inputs": inputs}


def graph(**changes):
    """ComfyUI's default graph."""
    nodes = {
        "3": node(
            "KSampler",
            seed=156680208700286,
            steps=20,
            cfg=8.0,
            sampler_name="euler",
            scheduler="normal",
            denoise=1.0,
            model=["4", 0],
            positive=["6", 0],
            negative=["7", 0],
            latent_image=["5", 0],
        ),
        "4": node("CheckpointLoaderSimple", ckpt_name="v1-5-pruned.safetensors"),
        "5": node("EmptyLatentImage", width=512, height=512, batch_size=1),
        "6": node("CLIPTextEncode", text="a glass (bottle:1.1) galaxy", clip=["4", 1]),
        "7": node("CLIPTextEncode", text="text, watermark", clip=["4", 1]),
        "9": node("SaveImage", filename_prefix="ComfyUI", images=["8", 0]),
    }
    return nodes | changes


def written(nodes):
    return read(png(text("prompt", json.dumps(nodes)), text("workflow", '{"nodes": []}')))


def test_default_graph():
    found = written(graph())
    assert found.tool == "ComfyUI"
    assert found.prompt == "a glass bottle galaxy"
    assert found.raw == "a glass (bottle:1.1) galaxy"
    assert found.negative_prompt == "text, watermark"
    assert found.settings == {
        "seed": 156680208700286,
        "steps": 20,
        "cfg": 8.0,
        "sampler_name": "euler",
        "scheduler": "normal",
        "denoise": 1.0,
        "width": 512,
        "height": 512,
        "ckpt_name": "v1-5-pruned.safetensors",
    }


@pytest.mark.parametrize(("tag", "prefix"), [(MODEL, "prompt:"), (MAKE, "Prompt:"), (DESCRIPTION, "prompt:")])
def test_webp_keeps_the_graph_in_exif(tag, prefix):
    other = DESCRIPTION if tag != DESCRIPTION else MAKE
    tags = {tag: prefix + json.dumps(graph()), other: 'workflow:{"nodes": []}'}
    assert read(webp_exif(pillow_exif(tags))).prompt == "a glass bottle galaxy"


def test_sdxl_encoders_with_one_text_or_two():
    one = node("CLIPTextEncodeSDXL", text_g="a fox", text_l="a fox", width=1024, clip=["4", 1])
    two = node("CLIPTextEncodeSDXL", text_g="a fox", text_l="film grain", clip=["4", 1])
    assert written(graph(**{"6": one})).prompt == "a fox"
    assert written(graph(**{"6": two})).prompt == "a fox, film grain"


def test_flux_with_guider():
    found = written(
        {
            "5": node("EmptyLatentImage", width=8, height=8),
            "6": node("CLIPTextEncodeFlux", clip_l="fox", t5xxl="a red fox in snow", guidance=3.5, clip=["11", 0]),
            "10": node("UNETLoader", unet_name="flux1-dev.safetensors"),
            "11": node("DualCLIPLoader", clip_name1="t5xxl_fp16.safetensors", clip_name2="clip_l.safetensors"),
            "13": node(
                "SamplerCustomAdvanced",
                noise=["25", 0],
                guider=["22", 0],
                sampler=["16", 0],
                sigmas=["17", 0],
                latent_image=["5", 0],
            ),
            "16": node("KSamplerSelect", sampler_name="euler"),
            "17": node("BasicScheduler", scheduler="simple", steps=20, denoise=1.0, model=["10", 0]),
            "22": node("BasicGuider", model=["10", 0], conditioning=["26", 0]),
            "25": node("RandomNoise", noise_seed=42),
            "26": node("FluxGuidance", guidance=3.5, conditioning=["6", 0]),
        }
    )
    assert (found.prompt, found.negative_prompt) == ("a red fox in snow", None)
    expected = {"noise_seed": 42, "steps": 20, "sampler_name": "euler", "unet_name": "flux1-dev.safetensors"}
    assert expected.items() <= found.settings.items()


def test_cfg_guider_has_both_sides_and_sd3_three_encoders():
    found = written(
        graph(
            **{
                "3": node("SamplerCustomAdvanced", guider=["20", 0], latent_image=["5", 0]),
                "6": node("CLIPTextEncodeSD3", clip_l="a fox", clip_g="a fox", t5xxl="", empty_padding="none"),
                "20": node("CFGGuider", cfg=4.5, positive=["6", 0], negative=["7", 0], model=["4", 0]),
            }
        )
    )
    assert (found.prompt, found.negative_prompt, found.settings["cfg"]) == ("a fox", "text, watermark", 4.5)


def test_words_pass_through_controlnet_reroute_and_joins():
    found = written(
        graph(
            **{
                "3": node("KSamplerAdvanced", noise_seed=1, positive=["30", 0], negative=["30", 1], steps=4),
                "30": node(
                    "ControlNetApplyAdvanced",
                    positive=["31", 0],
                    negative=["32", 0],
                    control_net=["40", 0],
                    strength=0.5,
                ),
                "31": node("ConditioningConcat", conditioning_from=["34", 0], conditioning_to=["33", 0]),
                "32": {"class_type": "Reroute", "inputs": {"": ["7", 0]}},
                "33": node("CLIPTextEncode", text=["35", 0], clip=["4", 1]),
                "34": node("ConditioningSetTimestepRange", conditioning=["6", 0], start=0.0, end=1.0),
                "35": node("StringConcatenate", string_a=["36", 0], string_b="in snow", delimiter=" "),
                "36": node("PrimitiveString", value="a fox"),
            }
        )
    )
    assert found.prompt == "a fox in snow, a glass bottle galaxy"
    assert found.negative_prompt == "text, watermark"


def test_zeroed_conditioning_is_no_negative_prompt():
    zeroed = graph(**{"7": node("ConditioningZeroOut", conditioning=["6", 0])})
    assert written(zeroed).negative_prompt is None


def test_loaders_that_hold_both_sides():
    nodes = graph(
        **{
            "3": node("KSampler (Efficient)", seed=["12", 3], positive=["12", 1], negative=["12", 2]),
            "12": node("Efficient Loader", positive="a fox", negative="blurry", ckpt_name="x.safetensors", seed=9),
        }
    )
    found = written(nodes)
    assert (found.prompt, found.negative_prompt, found.settings["seed"]) == ("a fox", "blurry", 9)


def test_style_and_wildcard_nodes():
    styler = node("SDXLPromptStyler", text_positive="a fox", text_negative="ugly", style="base", log_prompt="No")
    drawn = node("ImpactWildcardProcessor", wildcard_text="a __animal__", populated_text="a fox", mode="populate")
    for source, negative in ((styler, "ugly"), (drawn, "text, watermark")):
        encode = {"6": node("CLIPTextEncode", text=["50", 0]), "50": source}
        if source is styler:
            encode["7"] = node("CLIPTextEncode", text=["50", 1])
        found = written(graph(**encode))
        assert (found.prompt, found.negative_prompt) == ("a fox", negative)


def test_the_first_pass_speaks_for_the_picture():
    refiner = node(
        "KSampler", seed=2, steps=5, positive=["21", 0], negative=["7", 0], latent_image=["22", 0], model=["4", 0]
    )
    nodes = {
        "1": refiner,
        "21": node("CLIPTextEncode", text="sharp details"),
        "22": node("LatentUpscale", samples=["3", 0]),
    } | graph()
    found = written(nodes)
    assert (found.prompt, found.settings["seed"]) == ("a glass bottle galaxy", 156680208700286)


def test_cycles_end():
    nodes = graph(
        **{
            "6": node("ConditioningCombine", conditioning_1=["60", 0], conditioning_2=["6", 0]),
            "60": node("ConditioningCombine", conditioning_1=["6", 0], conditioning_2=["61", 0]),
            "61": node("CLIPTextEncode", text="a fox"),
            "5": node("LatentUpscale", samples=["3", 0]),
        }
    )
    assert written(nodes).prompt == "a fox"
    ring = {
        str(n): node("Join", a=[str(100 + (n + 1) % 50), 0], b=[str(100 + (n + 2) % 50), 0]) for n in range(100, 150)
    }
    assert written(graph(**ring, **{"6": node("Join", a=["100", 0])})) is None  # visiting twice would take for ever


def test_long_chains_and_large_graphs_are_bounded():
    chain = {str(n): node("Reroute", x=[str(n + 1), 0]) for n in range(100, 5_000)}
    assert written(graph(**chain, **{"6": node("Reroute", x=["100", 0])})) is None
    crowd = {str(n): node("KSampler", positive=[str(n + 1), 0], latent_image=[str(n + 1), 0]) for n in range(9_000)}
    assert written(crowd) is None


def test_texts_that_double_or_repeat_end():
    inputs = [{"text_a": [str(n + 1), 0], "text_b": [str(n + 1), 0], "delimiter": " "} for n in range(100, 140)]
    double = {str(n): node("Join", **values) for n, values in enumerate(inputs, 100)}
    assert written(graph(**double, **{"140": node("T", text="fox"), "6": double["100"]})) is None
    few = graph(**double, **{"140": node("T", text="fox"), "6": double["138"]})
    assert written(few).prompt == "fox fox fox fox"
    joins = {str(n): node("Join", text_a=["50", 0], text_b=str(n)) for n in range(100, 9_000)}
    root = node("Join", **{f"text_{n}": [n, 0] for n in joins})
    assert written(graph(**joins, **{"50": node("T", text="x" * 90_000), "6": root})) is None


def test_an_infotext_beside_the_graph_is_comfyui_too():
    found = read(png(text("prompt", json.dumps(graph())), text("parameters", "a fox\nSteps: 20, Seed: 1")))
    assert (found.tool, found.prompt) == ("ComfyUI", "a fox")


@pytest.mark.parametrize(
    "nodes",
    [
        [],
        {"1": None},
        {"1": {"class_type": "KSampler", "inputs": {"positive": ["9", 0]}}},
        {"1": {"class_type": "KSampler", "inputs": {"positive": [["a"], 0]}}},
        {"1": {"class_type": 3, "inputs": []}},
    ],
)
def test_broken_graphs_say_nothing(nodes):
    assert written(nodes) is None
