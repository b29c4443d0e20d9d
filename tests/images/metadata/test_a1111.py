import time

import pytest
from layouts import described_xmp, itext, jpeg, jpeg_exif, pillow_exif, png, text, user_comment, webp_exif

from unprompt.images.metadata import infotext, inspect, read

INFOTEXT = """a (red:1.2) fox, <lora:snow_v2:0.8>
in deep snow, Steps: of stone
Negative prompt: blurry,
(worst quality:1.4)
Steps: 20, Sampler: DPM++ 2M Karras, CFG scale: 7.5, Seed: 1234567890123, Size: 512x768, Model hash: 0123456789, \
Model: fox, Lora hashes: "snow_v2: aaaa, ice: bbbb", TI hashes: "x: 1", Version: v1.9.3"""


def test_png_parameters_are_split_into_prompt_negative_and_settings():
    found = read(png(text("parameters", INFOTEXT)))
    assert found.tool == "AUTOMATIC1111"
    assert found.prompt == "a red fox, in deep snow, Steps: of stone"
    assert found.raw == "a (red:1.2) fox, <lora:snow_v2:0.8>\nin deep snow, Steps: of stone"
    assert found.weighted
    assert found.negative_prompt == "blurry, (worst quality:1.4)"
    assert found.settings["Seed"] == 1234567890123
    assert found.settings["CFG scale"] == 7.5
    assert found.settings["Model hash"] == "0123456789"
    assert found.settings["Lora hashes"] == "snow_v2: aaaa, ice: bbbb"
    assert found.settings["Version"] == "v1.9.3"


@pytest.mark.parametrize("wrap", [jpeg_exif, webp_exif])
@pytest.mark.parametrize("order", [">", "<"])
def test_user_comment_in_either_byte_order(wrap, order):
    found = read(wrap(user_comment("狐狸 fox 🦊\nNegative prompt: cat\nSteps: 5, Seed: 7, Size: 8x8", order=order)))
    assert (found.prompt, found.negative_prompt, found.settings["Steps"]) == ("狐狸 fox 🦊", "cat", 5)


@pytest.mark.parametrize("order", [">", "<"])
def test_user_comment_byte_order_shows_in_the_text_not_in_the_directory(order):
    body = "a fox\nSteps: 5, Seed: 7".encode("utf-16-le" if order == ">" else "utf-16-be")
    assert read(jpeg_exif(user_comment("", order=order, body=body))).prompt == "a fox"


@pytest.mark.parametrize("code", [b"ASCII\x00\x00\x00", bytes(8), b"", b"UNICODE\x00"])
def test_user_comment_in_utf8_under_any_code(code):
    assert read(jpeg_exif(user_comment("", code=code, body=b"a fox\nSteps: 5, Seed: 7"))).prompt == "a fox"


def test_utf16_that_a_site_read_in_the_wrong_order_and_wrote_as_utf8():
    turned = "a fox\nSteps: 5, Seed: 7".encode("utf-16-be").decode("utf-16-le").encode()
    assert read(jpeg_exif(user_comment("", code=bytes(8), body=turned))).prompt == "a fox"


def test_itxt_is_read_plain_and_compressed():
    for compressed in (False, True):
        found = read(png(itext("parameters", "ein Füchslein 🦊\nSteps: 1, Seed: 2", compressed=compressed)))
        assert found.prompt == "ein Füchslein 🦊"


def test_a_prompt_without_settings_is_enough_under_parameters_but_not_in_a_comment():
    assert read(png(text("parameters", "just a fox"))).prompt == "just a fox"
    assert read(jpeg_exif(user_comment("Screenshot"))) is None
    assert read(jpeg((0xFE, b"CREATOR: gd-jpeg v1.0"))) is None


def test_a_negative_prompt_alone_is_no_prompt():
    assert read(png(text("parameters", "\nNegative prompt: blurry\nSteps: 5, Seed: 1"))) is None


def test_a_last_line_of_settings_may_begin_otherwise():
    found = read(png(text("parameters", "a fox, red\nSize: 8x8, Seed: 1, App: SD.Next, CFG scale: 7")))
    assert (found.prompt, found.settings["Seed"]) == ("a fox, red", 1)


@pytest.mark.parametrize(
    ("ending", "tool"),
    [
        ("Version: v1.10.1", "AUTOMATIC1111"),
        ("Version: f2.0.1v1.10.1-previous-5", "Forge"),
        ("Version: neo", "Forge"),
        ("Version: classic", "Forge"),
        ("Version: f1.0.0v2-v1.10.1RC-latest-2498-g5120e679", "Forge"),
        ("Version: stable-diffusion.cpp", "stable-diffusion.cpp"),
        ('SDCPP: {"seed":1}', "stable-diffusion.cpp"),
        ("Version: KoboldCpp", "KoboldCpp"),
        ("Parser: Full parser, Version: 0a083c2", "SD.Next"),
        ("Created Date: 2026-01-04T01:27:21.27Z, Civitai resources: [], Civitai metadata: {}", "Civitai"),
        ('Civitai resources: [{"type":"lora"}], Version: v1.10.1', "AUTOMATIC1111"),
        ("ADetailer version: 26.2.0, ADetailer Version: Neo, Version: v1.9", "AUTOMATIC1111"),
        ("Sampler: dpmpp_2m_karras", "ComfyUI"),
        ("App: SD.Next, Version: 8b73cb6", "SD.Next"),
        ("Version: ComfyUI", "ComfyUI"),
    ],
)
def test_the_text_names_the_tool(ending, tool):
    assert read(png(text("parameters", f"a fox\nSteps: 20, Seed: 1, {ending}"))).tool == tool


def test_postprocessing_adds_settings_but_is_no_prompt():
    extras = text("postprocessing", "Postprocess upscale by: 4, Postprocess upscaler: R-ESRGAN")
    assert read(png(text("parameters", "a fox"), extras)).settings["Postprocess upscale by"] == 4
    assert read(png(extras)) is None


def test_an_open_quote_does_not_swallow_the_settings_behind_it():
    settings = read(png(text("parameters", 'a fox\nSteps: 2, Model: "big, Seed: 3'))).settings
    assert settings["Seed"] == 3


def test_foreign_json_under_parameters_is_not_called_a_prompt():
    assert read(png(text("parameters", '{"some": "tool"}'))) is None


PARTS = ("a fox", "blurry", "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 8x8")


@pytest.mark.parametrize(
    "joined",
    [
        "{} Negative prompt: {} {}",
        "{}. Negative prompt: {}. {}",
        "{}, Negative prompt: {}, {}",
        "{}\\nNegative prompt: {}\\n{}",
        "{}\\r\\nNegative prompt: {}\\r\\n{}",
        "{} Negative prompt: {}\n{}",
        "{}\r\n\r\nNegative prompt: {}\r\n\r\n{}",
        "{}\nNegative prompt: Negative prompt: {}\n{}",
        "{}\rNegative prompt: {}\r{}",
        "{}\u2028Negative prompt: {}\u2028{}",
        "{}<br>Negative prompt: {}<br />{}",
        "{} | Negative prompt: {} | {}",
        "{}\tNegative prompt: {}\t{}",
        "{}\nnegative prompt: {}\n{}",
        "Prompt: {}\nNegative Prompt: {}\n{}",
        "parameters\n\n{}\nNegative prompt: {}\n{}",
    ],
)
def test_line_breaks_that_a_site_or_a_tool_has_replaced(joined):
    value = joined.format(*PARTS)
    for data in (png(itext("parameters", value)), jpeg((0xFE, value.encode()))):
        found = read(data)
        assert (found.prompt, found.negative_prompt, found.settings["Seed"]) == ("a fox", "blurry", 5)


@pytest.mark.parametrize("joint", [" ", ", ", ". ", "; ", " | ", "<br>", "\\n", "\r"])
def test_a_prompt_on_one_line_with_its_settings(joint):
    found = read(png(text("parameters", f"a fox{joint}{PARTS[2]}")))
    assert (found.prompt, found.settings["Steps"], found.settings["Seed"]) == ("a fox", 20, 5)


def test_what_stands_before_the_prompt_is_no_label_without_settings():
    assert read(png(text("parameters", "prompt: a fox"))).prompt == "prompt: a fox"
    assert read(png(text("parameters", "a fox, no negative Prompt: here"))).negative_prompt is None


def test_civitais_models_may_come_first():
    value = f"a fox\nNegative prompt: blurry\nCivitai resources: {RESOURCES}, {PARTS[2]}"
    found = read(png(text("parameters", value)))
    assert (found.prompt, found.negative_prompt, found.settings["Seed"]) == ("a fox", "blurry", 5)


@pytest.mark.parametrize("begins", ["", "You are an assistant that draws what users want. <Prompt Start> "])
def test_the_line_that_luminas_family_wants_is_no_prompt(begins):
    value = f"{begins}a fox\nNegative prompt: {begins}blurry\n{PARTS[2]}, Version: neo"
    found = read(png(text("parameters", value)))
    assert (found.prompt, found.negative_prompt) == ("a fox", "blurry")
    assert found.raw == f"{begins}a fox"


INFOTEXT_ANYWHERE = "\nNegative prompt: ".join(PARTS[:2]) + "\n" + PARTS[2]


@pytest.mark.parametrize(
    "data",
    [
        jpeg_exif(pillow_exif({0x010E: INFOTEXT_ANYWHERE})),
        webp_exif(pillow_exif({0x010E: INFOTEXT_ANYWHERE})),
        png(text("Description", INFOTEXT_ANYWHERE)),
        png(text("Comment", INFOTEXT_ANYWHERE)),
        png(itext("XML:com.adobe.xmp", described_xmp(INFOTEXT_ANYWHERE))),
        png(text("prompt", INFOTEXT_ANYWHERE)),
        png(text("generation_info", INFOTEXT_ANYWHERE)),
        png(text("postprocessing", INFOTEXT_ANYWHERE)),
        jpeg_exif(pillow_exif({0x0131: INFOTEXT_ANYWHERE})),
    ],
    ids=[
        "ImageDescription",
        "ImageDescription of a WebP",
        "Description",
        "Comment",
        "XMP",
        "prompt",
        "a name of its own",
        "postprocessing",
        "Software",
    ],
)
def test_an_infotext_is_read_wherever_it_stands(data):
    found = read(data)
    assert (found.prompt, found.negative_prompt, found.settings["Seed"]) == ("a fox", "blurry", 5)


@pytest.mark.parametrize("words", ["a fox", "Steps: left, right", "Mood: calm, Light: low, Lens: 50 mm, Steps: many"])
def test_an_ordinary_description_is_no_infotext(words):
    assert read(jpeg_exif(pillow_exif({0x010E: words}))) is None
    assert read(png(itext("XML:com.adobe.xmp", described_xmp(words)))) is None
    assert read(png(text("parameters", words))).prompt == words


RESOURCES = '[{"type":"checkpoint","modelVersionId":111,"modelName":"Big, Model"},{"type":"lora","weight":0.8}]'


def test_a_setting_that_is_json_without_quotes_stays_whole():
    hashes = '{"model": "aaaa111122", "vae": "bbbb333344", "lora:x": "cccc555566"}'
    long = '{"a": "' + "x" * 5_000 + '"}'
    line = f"Steps: 3, Hashes: {hashes}, Civitai resources: {RESOURCES}, Long: {long}, Layers: [7, 8], Seed: 9"
    settings = read(png(text("parameters", f"a fox\n{line}"))).settings
    assert (settings["Hashes"], settings["Civitai resources"], settings["Long"]) == (hashes, RESOURCES, long)
    assert (settings["Layers"], settings["Seed"]) == ("[7, 8]", 9)


def test_json_that_is_too_long_is_left_out_and_a_bracket_that_nothing_closes_is_a_character():
    long = '{"a": "' + "x" * 100_000 + '"}'
    settings = read(png(text("parameters", f"a fox\nSteps: 3, Long: {long}, Model: [x, Seed: 9"))).settings
    assert settings == {"Steps": 3, "Model": "[x", "Seed": 9}


def test_the_models_are_resources():
    line = (
        "Steps: 20, Model hash: 0123456789, Model: big, VAE: v.pt, VAE hash: aa11, "
        'Lora hashes: "snow: bb22, ice: cc33", TI hashes: "bad: dd44", Refiner: fine [ee55ff00], '
        "Hires upscaler: Latent, Module 1: ae, Seed: 1, "
        'ControlNet 0: "Module: canny, Model: control_canny [d14c016b], Weight: 0.5"'
    )
    found = read(
        png(text("parameters", f"<lora:snow:0.8> a fox, embedding:glow\nNegative prompt: <lora:dull:-1>\n{line}"))
    )
    assert [(item.kind, item.name, item.weight, item.hash) for item in found.resources] == [
        ("checkpoint", "big", None, "0123456789"),
        ("checkpoint", "fine", None, "ee55ff00"),
        ("vae", "v.pt", None, "aa11"),
        ("lora", "snow", 0.8, "bb22"),
        ("lora", "ice", None, "cc33"),
        ("embedding", "bad", None, "dd44"),
        ("model", "ae", None, None),
        ("controlnet", "control_canny", 0.5, "d14c016b"),
        ("embedding", "glow", None, None),
        ("lora", "dull", -1.0, None),
    ]


def test_civitai_lists_its_models():
    found = read(png(text("parameters", f"a fox\nSteps: 3, Seed: 1, Civitai resources: {RESOURCES}")))
    assert [(item.kind, item.name, item.weight) for item in found.resources] == [("checkpoint", "Big, Model", None)]
    air = '[{"air":"urn:air:sdxl:lora:civitai:1@2","weight":0.5},{"type":"lora","modelVersionId":7}, 5]'
    found = read(png(text("parameters", f"a fox\nSteps: 3, Seed: 1, Civitai resources: {air}")))
    assert [(item.kind, item.name, item.weight) for item in found.resources] == [
        ("lora", "urn:air:sdxl:lora:civitai:1@2", 0.5),
        ("lora", "civitai:7", None),
    ]


def test_prompts_of_later_passes_are_texts():
    line = (
        'Steps: 20, Seed: 1, ADetailer prompt: "a face, [SEP] a (red:1.2) nose", ADetailer negative prompt 2nd: blur, '
        'Hires prompt: "sharp, crisp", Model: m'
    )
    found = read(png(text("parameters", f"a fox\nNegative prompt: bad\n{line}")))
    assert [(item.role, item.text) for item in found.texts] == [
        ("positive", "a fox"),
        ("negative", "bad"),
        ("region", "a face"),
        ("region", "a red nose"),
        ("negative", "blur"),
        ("refiner", "sharp, crisp"),
    ]


@pytest.mark.parametrize(
    "value",
    [
        "a fox\nNegative prompt: bad\nTemplate: a {fox|hare}\nNegative Template: b\nSteps: 20, Seed: 1, App: SD.Next",
        "a fox\nNegative prompt: bad\nSteps: 20, Seed: 1\nTemplate: a {fox|hare}\nNegative Template: b",
        'a fox\nNegative prompt: bad\nSteps: 20, Seed: 1, Template: "a {fox|hare}", Negative template: b',
    ],
    ids=["SD.Next", "Dynamic Prompts", "among the settings"],
)
def test_templates_are_settings_not_words(value):
    found = read(png(text("parameters", value)))
    assert (found.prompt, found.negative_prompt) == ("a fox", "bad")
    assert (found.settings["Template"], found.settings["Negative template"]) == ("a {fox|hare}", "b")


def test_a_template_that_repeats_the_prompt_says_nothing():
    value = "a fox\nin snow\nNegative prompt: \nTemplate: a fox\nin snow\nSteps: 20, Seed: 1, App: SD.Next"
    found = read(png(text("parameters", value)))
    assert (found.prompt, found.negative_prompt, "Template" in found.settings) == ("a fox in snow", None, False)


@pytest.mark.parametrize("words", ["", "unknown", "None"])
def test_settings_without_words_are_shown_as_that(words):
    data = png(text("parameters", f"{words}\nNegative prompt: unknown\nSteps: 20, Seed: 1, Model: m, Version: v1.9"))
    assert read(data) is None
    found = inspect(data)
    assert (found.tool, found.prompt, found.settings["Seed"]) == ("AUTOMATIC1111", "", 1)
    assert [item.name for item in found.resources] == ["m"]


def test_an_unknown_prompt_leaves_the_word_to_a_graph():
    graph = (
        '{"3": {"class_type": "KSampler", "inputs": {"positive": ["6", 0]}}, '
        '"6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a fox"}}}'
    )
    data = png(text("parameters", "unknown\nSteps: 20, Seed: 1"), text("prompt", graph))
    assert (read(data).tool, read(data).prompt) == ("ComfyUI", "a fox")


def test_an_upscaling_alone_is_settings_without_words():
    extras = png(text("postprocessing", "Postprocess upscale by: 4, Postprocess upscaler: R-ESRGAN"))
    assert [(item.kind, item.name) for item in inspect(extras).resources] == [("upscaler", "R-ESRGAN")]


@pytest.mark.parametrize(
    "unit",
    ["a:{,", "a: [", 'a: "', "Steps: 2 ", ". Steps: 2, ", "Negative prompt:", "\nTemplate:", "\\n", " ", "\n", "a:b,"],
)
def test_time_is_linear(unit):
    """A quadratic pass takes minutes of CPU here, so the bound of ten seconds is no stopwatch."""
    start = time.process_time()
    infotext.parse("a fox. Steps: 2" + unit * (80_000 // len(unit)))
    assert time.process_time() - start < 10
