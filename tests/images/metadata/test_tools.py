import json

import numpy as np
import pytest
from layouts import (
    MAKER_NOTE,
    MODEL,
    SOFTWARE,
    USER_COMMENT,
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

from unprompt.images.metadata import read

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
