import pytest
from graphs import answer, node, painting

from unprompt.prediction import Resource


def with_model(**nodes):
    """The resources of the default graph whose sampler's model comes from node 40."""
    graph = painting(**nodes)
    graph["3"]["inputs"]["model"] = ["40", 0]
    return set(answer(graph).resources)


def test_settings_come_through_links_from_what_the_sampler_uses():
    nodes = painting(
        n30=node("easy mathInt", a=5, b=["31", 0], operation="multiply"),
        n31=node("PrimitiveInt", value=4),
        n32=node("CR Seed", seed=99),
        n5=node("EmptySD3LatentImage", width=["33", 0], height=768, batch_size=1),
        n33=node("INTConstant", value=1024),
        n34=node("KSampler", seed=1, steps=1, positive=["7", 0], latent_image=["5", 0]),
    )
    nodes["3"]["inputs"] |= {"steps": ["30", 0], "seed": ["32", 0]}
    wanted = {"steps": 20, "seed": 99, "width": 1024, "height": 768, "sampler_name": "euler", "cfg": 8.0}
    assert wanted.items() <= answer(nodes).settings.items()


def test_settings_of_a_custom_sampler_stand_in_several_nodes():
    nodes = painting(
        n3=node(
            "SamplerCustomAdvanced",
            noise=["30", 0],
            guider=["31", 0],
            sampler=["32", 0],
            sigmas=["33", 0],
            latent_image=["5", 0],
        ),
        n30=node("RandomNoise", noise_seed=42),
        n31=node("CFGGuider", model=["35", 0], positive=["34", 0], negative=["7", 0], cfg=4.5),
        n32=node("KSamplerSelect", sampler_name="euler"),
        n33=node("BasicScheduler", scheduler="simple", steps=28, denoise=1.0, model=["35", 0]),
        n34=node("FluxGuidance", guidance=3.5, conditioning=["6", 0]),
        n35=node("UNETLoader", unet_name="flux1-dev.safetensors", weight_dtype="default"),
    )
    wanted = {
        "noise_seed": 42,
        "cfg": 4.5,
        "sampler_name": "euler",
        "scheduler": "simple",
        "steps": 28,
        "guidance": 3.5,
        "unet_name": "flux1-dev.safetensors",
    }
    assert wanted.items() <= answer(nodes).settings.items()


LOADERS = {
    "LoRA": (
        node("LoraLoader", lora_name="ink.safetensors", strength_model=0.75, strength_clip=1.0, model=["4", 0]),
        Resource("lora", "ink.safetensors", 0.75),
    ),
    "rows": (
        node(
            "Power Lora Loader (rgthree)",
            lora_1={"on": True, "lora": "ink.safetensors", "strength": 0.5},
            model=["4", 0],
        ),
        Resource("lora", "ink.safetensors", 0.5),
    ),
    "stack": (
        node(
            "LoRA Stacker",
            input_mode="simple",
            lora_count=1,
            lora_name_1="ink.safetensors",
            lora_wt_1=0.5,
            lora_name_2="x",
        ),
        Resource("lora", "ink.safetensors", 0.5),
    ),
    "Comfyroll": (
        node(
            "CR LoRA Stack",
            switch_1="On",
            lora_name_1="ink.safetensors",
            model_weight_1=0.5,
            switch_2="Off",
            lora_name_2="x",
        ),
        Resource("lora", "ink.safetensors", 0.5),
    ),
    "checkpoint": (
        node("CheckpointLoader", ckpt_name="m.ckpt", config_name="v1.yaml"),
        Resource("checkpoint", "m.ckpt"),
    ),
    "GGUF": (node("UnetLoaderGGUF", unet_name="flux.gguf"), Resource("checkpoint", "flux.gguf")),
    "Wan": (
        node("WanVideoModelLoader", model="wan.safetensors", base_precision="bf16"),
        Resource("checkpoint", "wan.safetensors"),
    ),
    "hypernetwork": (
        node("HypernetworkLoader", hypernetwork_name="h.pt", strength=1.0, model=["4", 0]),
        Resource("hypernetwork", "h.pt"),
    ),
}


@pytest.mark.parametrize(("loader", "expected"), LOADERS.values(), ids=LOADERS)
def test_model_files(loader, expected):
    found = with_model(n40=loader)
    assert expected in found
    assert "x" not in {resource.name for resource in found}


def test_files_of_other_kinds():
    nodes = painting(
        n4=node("CheckpointLoaderSimple", ckpt_name="m.safetensors"),
        n6=node("CLIPTextEncode", text=["20", 0], clip=["41", 0]),
        n41=node("DualCLIPLoader", clip_name1="t5.safetensors", clip_name2="clip_l.safetensors", type="flux"),
        n42=node("ControlNetApply", conditioning=["6", 0], control_net=["43", 0], image=["99", 0], strength=0.5),
        n43=node("ControlNetLoader", control_net_name="canny.safetensors"),
        n5=node("VAEEncode", pixels=["99", 0], vae=["44", 0]),
        n44=node("VAELoader", vae_name="ae.safetensors"),
    )
    nodes["3"]["inputs"]["positive"] = ["42", 0]
    assert {(resource.kind, resource.name) for resource in answer(nodes).resources} == {
        ("checkpoint", "m.safetensors"),
        ("text encoder", "t5.safetensors"),
        ("text encoder", "clip_l.safetensors"),
        ("controlnet", "canny.safetensors"),
        ("vae", "ae.safetensors"),
    }


def test_another_samplers_model_is_not_this_ones():
    nodes = painting(
        n30=node("KSampler", positive=["6", 0], model=["31", 0], seed=1), n31=node("UNETLoader", unet_name="x")
    )
    assert "x" not in {resource.name for resource in answer(nodes).resources}


@pytest.mark.parametrize(("style", "note"), [("ads-luxury", True), ("base", False)])
def test_a_style_whose_words_are_not_in_the_file_is_noted(style, note):
    found = answer(painting(n20=node("SDXLPromptStyler", text_positive="a fox", text_negative="", style=style)))
    assert ("style preset" in found.note) == note
