import pytest
from layouts import itext, jpeg, jpeg_exif, png, text, user_comment, webp_exif

from unprompt.images.metadata import read

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
