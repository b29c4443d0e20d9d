import pytest
from layouts import described_xmp, itext, jpeg_exif, pillow_exif, png, text

from unprompt.images.metadata import read

JOB = "0b3f0000-1111-2222-3333-444455556666"
DESCRIPTION = f"a fox, red in snow --ar 16:9 --no hats, fog --tile --stylize 80 --v 6.1 Job ID: {JOB}"


@pytest.mark.parametrize(
    "data",
    [
        png(text("Description", DESCRIPTION)),
        png(itext("XML:com.adobe.xmp", described_xmp(DESCRIPTION))),
        jpeg_exif(pillow_exif({0x010E: DESCRIPTION})),
    ],
    ids=["PNG", "XMP", "EXIF"],
)
def test_words_switches_and_job(data):
    found = read(data)
    assert (found.tool, found.prompt, found.negative_prompt) == ("Midjourney", "a fox, red in snow", "hats, fog")
    assert found.settings == {"ar": "16:9", "tile": True, "stylize": 80, "v": 6.1, "Job ID": JOB}
    assert found.raw == DESCRIPTION


@pytest.mark.parametrize(
    ("description", "prompt", "settings"),
    [
        ("a fox --niji 6 --s 250", "a fox", {"niji": 6, "s": 250}),
        (f"a fox Job ID: {JOB}", "a fox", {"Job ID": JOB}),
        ("a fox \u2014ar 2:3", "a fox", {"ar": "2:3"}),
        ("a well-known fox -- no, two foxes --v 5", "a well-known fox -- no, two foxes", {"v": 5}),
        (
            "https://a.b/c.png <https://s.mj.run/x> a fox --iw 2 --v 6",
            "a fox",
            {"iw": 2, "v": 6, "Image prompts": "https://a.b/c.png https://s.mj.run/x"},
        ),
        ("a fox --sref https://a.b/c.png --v 6", "a fox", {"sref": "https://a.b/c.png", "v": 6}),
    ],
)
def test_spellings(description, prompt, settings):
    found = read(png(itext("Description", description)))
    assert (found.prompt, found.settings) == (prompt, settings)


def test_parts_of_a_multi_prompt_have_weights():
    found = read(png(text("Description", "hot:: dog::2 cat::-0.5 sun --v 6")))
    assert found.prompt == "hot, dog, sun"
    assert [(item.role, item.text, item.weight) for item in found.texts] == [
        ("positive", "hot, dog, sun", 1.0),
        ("positive", "hot", 1.0),
        ("positive", "dog", 2.0),
        ("negative", "cat", 0.5),
        ("positive", "sun", 1.0),
    ]


@pytest.mark.parametrize(
    "description",
    [
        "a fox",
        "run it with --help --seed 5",
        "a fox \u2014 in snow",
        "https://a.b/c.png",
        "Job ID: none",
        "--v 6",
        "--",
    ],
)
def test_other_descriptions_are_no_prompts(description):
    assert read(png(itext("Description", description))) is None
