import json

import numpy as np
import pytest
from layouts import (
    DESCRIPTION,
    MAKER_NOTE,
    MODEL,
    SOFTWARE,
    USER_COMMENT,
    described_xmp,
    draw_things_xmp,
    itext,
    jpeg,
    jpeg_exif,
    lossless_webp,
    pillow_exif,
    png,
    stealth,
    text,
    user_comment,
    webp_exif,
)

from unprompt.images.metadata import inspect, read

SWARM = {
    "sui_image_params": {"prompt": "a fox", "negativeprompt": "blurry", "model": "Flux/dev", "seed": 3, "steps": 25}
}
EASY = {
    "prompt": "a fox",
    "negative_prompt": "blurry",
    "seed": 5,
    "use_stable_diffusion_model": "sd-v1-5",
    "sampler_name": "euler_a",
    "num_inference_steps": 25,
    "guidance_scale": 7.5,
    "tiling": None,
}
FOOOCUS = {
    "prompt": "a fox",
    "negative_prompt": "",
    "full_prompt": ["cinematic still a fox", "a fox, sharp"],
    "base_model": "juggernautXL_v8",
    "metadata_scheme": "fooocus",
    "performance": "Speed",
    "seed": "8",
    "version": "Fooocus v2.5.3",
}
FOOOCUS_A1111 = (
    "cinematic still a fox, a fox, sharp\nNegative prompt: anime, cartoon\n"
    "Steps: 30, Sampler: DPM++ 2M SDE Karras, Seed: 8, Size: 1152x896, CFG scale: 4, Sharpness: 2, "
    'ADM Guidance: "(1.5, 0.8, 0.3)", Model: juggernautXL_v8, Performance: Speed, Raw prompt: a fox, '
    "Raw negative prompt: , Version: Fooocus v2.5.3"
)
NOVELAI = {
    "prompt": "1girl, {{fox ears}}, 1.3::snow::",
    "uc": "lowres",
    "steps": 28,
    "scale": 5.0,
    "seed": 11,
    "sampler": "k_euler_ancestral",
}
NOVELAI_ENTRIES = {
    "Title": "NovelAI generated image",
    "Description": NOVELAI["prompt"],
    "Software": "NovelAI",
    "Source": "NovelAI Diffusion V4.5 4BDE2A90",
    "Comment": json.dumps(NOVELAI),
}


def chunks(entries):
    return [text(key, str(value)) for key, value in entries.items()]


@pytest.mark.parametrize(
    "data",
    [
        png(itext("parameters", json.dumps(SWARM, indent=2))),
        jpeg_exif(user_comment(json.dumps(SWARM), order="<")),
        jpeg_exif(pillow_exif({MODEL: json.dumps(SWARM)})),
    ],
    ids=["png", "jpeg", "before 0.5.8"],
)
def test_swarmui(data):
    found = read(data)
    assert (found.tool, found.prompt, found.negative_prompt) == ("SwarmUI", "a fox", "blurry")
    assert found.settings == {"model": "Flux/dev", "seed": 3, "steps": 25}


@pytest.mark.parametrize("wrap", [jpeg_exif, webp_exif])
@pytest.mark.parametrize(
    ("scheme", "value"), [("fooocus", json.dumps(FOOOCUS)), ("a1111", FOOOCUS_A1111)], ids=["json", "a1111"]
)
def test_fooocus(wrap, scheme, value):
    tags = {USER_COMMENT: value, SOFTWARE: "Fooocus v2.5.3", MAKER_NOTE: scheme}
    in_png = png(text("parameters", value), text("fooocus_scheme", scheme))
    for found in (read(in_png), read(wrap(pillow_exif(tags)))):
        assert (found.tool, found.prompt) == ("Fooocus", "a fox")
        assert "juggernautXL_v8" in found.settings.values()


def test_fooocus_says_so_without_its_scheme():
    assert read(png(text("parameters", FOOOCUS_A1111))).tool == "Fooocus"
    assert read(png(text("parameters", json.dumps(FOOOCUS)))).tool == "Fooocus"
    ruined = {"Prompt": "a fox", "Negative": "blurry", "steps": 30, "software": "RuinedFooocus"}
    found = read(png(text("parameters", json.dumps(ruined))))
    assert (found.tool, found.prompt, found.negative_prompt) == ("RuinedFooocus", "a fox", "blurry")


def test_fooocus_mre_comment():
    comment = json.dumps({"prompt": "a fox", "negative_prompt": "blurry", "seed": 1, "base_model": "sd_xl_base"})
    for data in (png(text("Comment", comment)), jpeg((0xFE, comment.encode()))):
        found = read(data)
        assert (found.tool, found.prompt, found.negative_prompt) == ("Fooocus", "a fox", "blurry")


def test_easy_diffusion_png_holds_one_chunk_a_setting():
    found = read(png(*chunks(EASY)))
    assert (found.tool, found.prompt, found.negative_prompt) == ("Easy Diffusion", "a fox", "blurry")
    assert found.settings["guidance_scale"] == 7.5
    assert "tiling" not in found.settings


def test_easy_diffusion_in_the_words_of_its_interface():
    found = read(png(*chunks({"Prompt": "a fox", "Negative Prompt": "None", "Seed": 5, "Stable Diffusion model": "x"})))
    assert (found.tool, found.prompt, found.negative_prompt) == ("Easy Diffusion", "a fox", None)


@pytest.mark.parametrize("wrap", [jpeg_exif, webp_exif])
def test_easy_diffusion_exif(wrap):
    found = read(wrap(user_comment(json.dumps(EASY))))
    assert (found.tool, found.prompt, found.settings["seed"]) == ("Easy Diffusion", "a fox", 5)


def test_invokeai_3():
    metadata = {
        "app_version": "4.2.0",
        "positive_prompt": "a (red)1.3 fox++",
        "negative_prompt": "blurry",
        "model": {"key": "x", "name": "sd1.5"},
        "seed": 42,
        "loras": [],
    }
    found = read(png(text("invokeai_metadata", json.dumps(metadata)), text("invokeai_graph", "{}")))
    assert (found.tool, found.prompt, found.negative_prompt) == ("InvokeAI", "a red fox", "blurry")
    assert (found.settings["model"], found.settings["seed"]) == ("sd1.5", 42)


@pytest.mark.parametrize("prompt", ["a fox [blurry] ", [{"prompt": "a fox [blurry]", "weight": 1}]])
def test_invokeai_2(prompt):
    metadata = {"model_weights": "sd-1.5", "image": {"prompt": prompt, "steps": 50, "seed": 42}}
    found = read(png(text("Dream", '"x" -s 1'), text("sd-metadata", json.dumps(metadata))))
    assert (found.tool, found.prompt, found.negative_prompt) == ("InvokeAI", "a fox", "blurry")
    assert found.settings == {"steps": 50, "seed": 42, "model": "sd-1.5"}


@pytest.mark.parametrize(
    "command",
    [
        '"a fox -S curve [blurry]" -s 50 -S 42 -W 512 -H 768 -C 7.5 -A k_lms',
        '"a fox -S curve [blurry]" -s50 -b1 -W512 -H768 -C7.5 -Ak_lms -S42',
    ],
)
def test_invokeai_1(command):
    found = read(png(text("Dream", command)))
    assert (found.tool, found.prompt, found.negative_prompt) == ("InvokeAI", "a fox -S curve", "blurry")
    assert found.settings == {
        "steps": 50,
        "seed": 42,
        "width": 512,
        "height": 768,
        "cfg_scale": 7.5,
        "sampler": "k_lms",
    }


def check_novelai(found):
    assert (found.tool, found.prompt, found.negative_prompt) == ("NovelAI", "1girl, fox ears, snow", "lowres")
    assert found.raw == NOVELAI["prompt"]
    assert (found.settings["seed"], found.settings["model"]) == (11, NOVELAI_ENTRIES["Source"])


def test_novelai_png():
    check_novelai(read(png(*chunks(NOVELAI_ENTRIES))))


def test_novelai_webp():
    check_novelai(read(webp_exif(user_comment(json.dumps(NOVELAI_ENTRIES)))))


def test_novelai_before_the_comment_held_the_prompt():
    entries = {"Software": "NovelAI", "Description": "a fox", "Comment": '{"steps": 28, "uc": "lowres"}'}
    found = read(png(*chunks(entries)))
    assert (found.tool, found.prompt, found.negative_prompt) == ("NovelAI", "a fox", "lowres")


def test_novelai_4_has_a_caption_for_each_character():
    caption = {
        "base_caption": "2girls, snow",
        "char_captions": [{"char_caption": "girl, fox"}, {"char_caption": "girl"}],
    }
    comment = NOVELAI | {"prompt": "2girls, snow", "v4_prompt": {"caption": caption}}
    assert read(png(text("Software", "NovelAI"), text("Comment", json.dumps(comment)))).prompt == (
        "2girls, snow, girl, fox, girl"
    )


@pytest.mark.parametrize("magic", [b"stealth_pngcomp", b"stealth_pnginfo", b"stealth_rgbcomp", b"stealth_rgbinfo"])
@pytest.mark.parametrize("shape", [{"height": 96}, {"height": 7, "width": 2_000}])
def test_novelai_hidden_in_the_pixels(magic, shape):
    check_novelai(read(png(pixels=stealth(json.dumps(NOVELAI_ENTRIES), magic=magic, **shape))))


def test_novelai_hidden_in_a_lossless_webp():
    check_novelai(read(lossless_webp(stealth(json.dumps(NOVELAI_ENTRIES)))))


def test_infotext_hidden_in_the_pixels():
    found = read(png(pixels=stealth("a fox\nSteps: 20, Seed: 1")))
    assert (found.tool, found.prompt) == ("AUTOMATIC1111", "a fox")


def test_nothing_hidden():
    assert read(png(pixels=np.full((96, 64, 4), 255, np.uint8))) is None


def test_draw_things():
    comment = {"c": "a <fox> & hare", "uc": "blurry", "model": "x.ckpt", "seed": 42, "v2": {"loras": []}}
    xmp = draw_things_xmp(comment)
    for data in (
        png(itext("XML:com.adobe.xmp", xmp)),
        jpeg((0xE1, b"http://ns.adobe.com/xap/1.0/\x00" + xmp.encode())),
    ):
        found = read(data)
        assert (found.tool, found.prompt, found.negative_prompt) == ("Draw Things", "a <fox> & hare", "blurry")
        assert found.settings == {"model": "x.ckpt", "seed": 42}


def test_draw_things_description():
    xmp = draw_things_xmp({}, "a fox&#xA;-blurry&#xA;Steps: 8, Sampler: UniPC, Guidance Scale: 1.0, Seed: 42")
    found = read(png(itext("XML:com.adobe.xmp", xmp)))
    assert (found.tool, found.prompt, found.negative_prompt, found.settings["Seed"]) == (
        "Draw Things",
        "a fox",
        "blurry",
        42,
    )


def test_parameters_come_before_prompt_and_prompt_before_comment():
    graph = json.dumps(
        {
            "1": {"class_type": "KSampler", "inputs": {"positive": ["2", 0]}},
            "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "from the graph"}},
        }
    )
    comment = text("Comment", json.dumps({"prompt": "from the comment", "negative_prompt": "x"}))
    infotext = text("parameters", "from the parameters\nSteps: 20, Seed: 1")
    assert read(png(comment, text("prompt", graph), infotext)).prompt == "from the parameters"
    assert read(png(comment, text("prompt", graph))).tool == "ComfyUI"
    assert read(png(comment)).tool == "Fooocus"


def test_text_behind_the_pixels_and_exif_in_png_and_tiff():
    tiff = user_comment("a fox\nSteps: 20, Seed: 1")
    assert read(png(after=(text("parameters", "a fox"),))).prompt == "a fox"
    from layouts import chunk

    assert read(png(chunk(b"eXIf", tiff))).prompt == "a fox"
    assert read(tiff).prompt == "a fox"


@pytest.mark.parametrize("data", [b"", b"GIF89a", png(), jpeg(), webp_exif(b""), png(text("Software", "GIMP"))])
def test_a_picture_without_a_prompt_says_nothing(data):
    assert read(data) is None


def written(found):
    return found.tool, found.prompt, found.negative_prompt


def models(found):
    return [(item.kind, item.name, item.weight, item.hash) for item in found.resources]


def test_draw_things_names_its_models():
    comment = {
        "c": "a fox",
        "uc": "",
        "model": "x.ckpt",
        "lora": [{"model": "snow", "weight": 0.5}],
        "v2": {"loras": 5},
    }
    found = read(png(itext("XML:com.adobe.xmp", draw_things_xmp(comment))))
    assert models(found) == [("checkpoint", "x.ckpt", None, None), ("lora", "snow", 0.5, None)]


def test_fooocus_names_its_models():
    more = {"base_model_hash": "aa", "loras": [["snow.safetensors", 0.5, "bb"]], "lora_combined_1": "ice : 0.25"}
    found = read(png(text("parameters", json.dumps(FOOOCUS | more)), text("fooocus_scheme", "fooocus")))
    assert models(found) == [
        ("checkpoint", "juggernautXL_v8", None, "aa"),
        ("lora", "snow.safetensors", 0.5, "bb"),
        ("lora", "ice", 0.25, None),
    ]


@pytest.mark.parametrize("loras", [(["snow", "ice"], [0.5, 1]), ("['snow', 'ice']", "[0.5, 1]")])
def test_easy_diffusion_names_its_models(loras):
    entries = EASY | {"use_lora_model": loras[0], "lora_alpha": loras[1], "use_vae_model": ""}
    assert models(read(jpeg_exif(user_comment(json.dumps(entries))))) == [
        ("checkpoint", "sd-v1-5", None, None),
        ("lora", "snow", 0.5, None),
        ("lora", "ice", 1.0, None),
    ]


@pytest.mark.parametrize(
    ("style", "negative_style", "prompt", "negative"),
    [
        ("ink, drawn", "photo", "a fox, ink, drawn", "blurry, photo"),
        ("", None, "a fox", "blurry"),
        ("a fox", "blurry", "a fox", "blurry"),
    ],
)
def test_invokeais_style_prompt_is_part_of_what_was_said(style, negative_style, prompt, negative):
    entries = {"positive_prompt": "a fox", "negative_prompt": "blurry"}
    entries |= {"positive_style_prompt": style, "negative_style_prompt": negative_style}
    found = read(png(text("invokeai_metadata", json.dumps(entries))))
    assert written(found) == ("InvokeAI", prompt, negative)
    assert [item.text for item in found.texts if item.role == "style"] == (
        [style] if style not in ("", "a fox") else []
    )


def test_invokeai_names_its_models_and_regions():
    entries = {
        "positive_prompt": "a fox",
        "model": {"name": "big", "hash": "blake3:aa"},
        "vae": None,
        "loras": [{"model": {"name": "snow"}, "weight": 0.5}, {"lora": {"model_name": "ice"}, "weight": 1}, 5],
        "controlnets": [{"control_model": {"name": "canny"}, "control_weight": 0.7}],
        "canvas_v2_metadata": {"regionalGuidance": [{"positivePrompt": "snow", "negativePrompt": None}, None]},
    }
    found = read(png(text("invokeai_metadata", json.dumps(entries))))
    assert models(found) == [
        ("checkpoint", "big", None, "blake3:aa"),
        ("lora", "snow", 0.5, None),
        ("lora", "ice", 1.0, None),
        ("controlnet", "canny", 0.7, None),
    ]
    assert [(item.role, item.text) for item in found.texts] == [("positive", "a fox"), ("region", "snow")]


def test_novelai_4_has_a_text_for_each_character_and_none_for_negative_weights():
    caption = {"base_caption": "snow, -1::hat", "char_captions": [{"char_caption": "girl, 1.5::fox"}, {"x": 1}]}
    unwanted = {"base_caption": "lowres", "char_captions": [{"char_caption": "boy"}]}
    comment = NOVELAI | {"v4_prompt": {"caption": caption}, "v4_negative_prompt": {"caption": unwanted}}
    found = read(png(text("Software", "NovelAI"), text("Comment", json.dumps(comment)), text("Source", "V4 4BDE2A90")))
    assert written(found) == ("NovelAI", "snow, girl, fox", "lowres, boy")
    assert [(item.role, item.text, item.node, item.weight) for item in found.texts] == [
        ("positive", "snow, girl, fox", "", 1.0),
        ("negative", "lowres, boy", "", 1.0),
        ("region", "girl, fox", "character 1", 1.0),
        ("negative", "boy", "character 1", 1.0),
        ("negative", "hat", "", 1.0),
    ]
    assert models(found) == [("checkpoint", "V4", None, "4BDE2A90")]


CIVITAI = {
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "other words"}},
    "extra": {"airs": ["urn:air:other:upscaler:civitai:1@2"]},
    "extraMetadata": json.dumps(
        {
            "prompt": "a fox",
            "negativePrompt": "blurry",
            "seed": 4,
            "resources": [{"modelVersionId": 7, "strength": 0.5}],
        }
    ),
}


@pytest.mark.parametrize(
    "data",
    [jpeg_exif(user_comment(json.dumps(CIVITAI))), png(text("prompt", json.dumps(CIVITAI)))],
    ids=["JPEG", "PNG"],
)
def test_civitai_after_an_upscaling(data):
    found = read(data)
    assert (*written(found), found.settings["seed"]) == ("Civitai", "a fox", "blurry", 4)
    assert models(found) == [
        ("model", "civitai:7", 0.5, None),
        ("upscaler", "urn:air:other:upscaler:civitai:1@2", None, None),
    ]


def test_tensor_art_takes_a_random_seed_from_its_graph():
    entries = {
        "prompt": "a fox",
        "negativePrompt": "blurry",
        "seed": "-1",
        "steps": 25,
        "baseModel": {"modelFileName": "big", "hash": "AA"},
        "models": [{"type": "LORA", "modelFileName": "snow", "weight": 0.5}],
    }
    graph = {"1": {"class_type": "KSampler", "inputs": {"seed": 9, "steps": 25}}}
    found = read(png(text("generation_data", json.dumps(entries) + "\0"), text("prompt", json.dumps(graph))))
    assert (*written(found), found.settings["seed"]) == ("Tensor.Art", "a fox", "blurry", 9)
    assert models(found) == [("checkpoint", "big", None, "AA"), ("lora", "snow", 0.5, None)]


def test_a_hugging_face_space():
    entries = {"prompt": "a fox", "negative_prompt": "blurry", "seed": 4, "guidance_scale": 5.5, "Model": "m"}
    entries |= {"Model hash": "AA", "use_upscaler": {"upscale_method": "nearest-exact", "upscale_by": 1.5}}
    found = read(png(text("parameters", json.dumps(entries))))
    assert written(found) == ("Hugging Face Space", "a fox", "blurry")
    assert (found.settings["seed"], found.settings["upscale_by"]) == (4, 1.5)
    assert models(found) == [("checkpoint", "m", None, "AA")]


def test_mflux():
    entries = {"mflux_version": "0.9", "prompt": "a fox", "negative_prompt": None, "seed": 4, "model": "dev"}
    entries |= {"lora_paths": ["/x/snow.safetensors"], "lora_scales": [0.5]}
    found = read(png(itext("XML:com.adobe.xmp", described_xmp("a hare", "MFLUX 0.9"))))
    assert written(found) == ("MFLUX", "a hare", None)
    found = read(jpeg_exif(user_comment(json.dumps(entries))))
    assert (*written(found), found.settings["seed"]) == ("MFLUX", "a fox", None, 4)
    assert models(found) == [("checkpoint", "dev", None, None), ("lora", "/x/snow.safetensors", 0.5, None)]


def test_mochi_diffusion():
    caption = (
        "Include in Image: a fox; red; Exclude from Image: blurry; Model: big; Steps: 20; Guidance Scale: 11.0; "
        "Seed: 5; Size: 8x8; Scheduler: DPM-Solver++; Generator: Mochi Diffusion 5.0"
    )
    lines = "Metadata Version: 2\n" + caption.replace("; E", "\nE").replace("; M", "\nM").replace("; G", "\nG")
    for description in (caption, lines):
        found = read(png(itext("XML:com.adobe.xmp", described_xmp(description))))
        assert written(found) == ("Mochi Diffusion", "a fox; red", "blurry")
        assert models(found) == [("checkpoint", "big", None, None)]
    assert (found.settings["Guidance Scale"], found.settings["Generator"]) == (11.0, "Mochi Diffusion 5.0")


def test_black_forest_labs():
    tags = {0x010F: "Black Forest Labs", 0x0110: "flux-dev", 0x0131: "AI generated;txt2img;flux"}
    found = read(jpeg_exif(pillow_exif(tags | {DESCRIPTION: "a fox"})))
    assert written(found) == ("Black Forest Labs", "a fox", None)
    assert found.settings == {"Model": "flux-dev", "Software": "AI generated;txt2img;flux"}
    found = inspect(jpeg_exif(pillow_exif(tags)))
    assert written(found) == ("Black Forest Labs", "", None)
    assert models(found) == [("checkpoint", "flux-dev", None, None)]


@pytest.mark.parametrize("prefix", ["", "sd:"])
def test_plain_texts(prefix):
    entries = {"prompt": "a fox", "negative_prompt": "blurry", "seed": "42", "guidance_scale": "7.5", "model": "m"}
    found = read(png(*chunks({prefix + key: value for key, value in entries.items()}), text("Author", "me")))
    assert written(found) == ("unknown", "a fox", "blurry")
    assert found.settings == {"seed": 42, "guidance_scale": 7.5, "model": "m"}
    assert models(found) == [("checkpoint", "m", None, None)]


def test_a_plain_prompt_may_be_json_if_settings_stand_beside_it():
    scene = '{"scene": "a (red) fox"}'
    assert read(png(text("prompt", scene))) is None
    assert read(png(text("prompt", scene), text("seed", "42"))).prompt == scene
    assert read(png(text("prompt", '{"nodes": []}'), text("seed", "42"))) is None


def test_stability_matrix_names_itself():
    value = "a fox\nSteps: 20, Seed: 1, Model: m"
    assert read(png(text("parameters", value), text("parameters-json", "{}"), text("smproj", "{}"))).tool == (
        "Stability Matrix"
    )
