"""GIF: extensions between the frames."""

from io import BytesIO

import pytest
from layouts import gif, gif_application, gif_comment, jumbf, xmp
from PIL import Image

from unprompt.images.metadata.fields import extract
from unprompt.images.metadata.reader import find

INFOTEXT = "a red fox\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, Seed: 1"


def test_a_comment_of_many_blocks() -> None:
    long = "a red fox, " * 100
    assert extract(gif(gif_comment(long.encode()))).text == {"Comment": long}


def test_a_comment_behind_the_frames_of_an_animation() -> None:
    frames = [Image.new("P", (8, 8), colour) for colour in (1, 2, 3)]
    file = BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    data = file.getvalue()
    assert extract(data[:-1] + gif_comment(b"a fox") + data[-1:]).text == {"Comment": "a fox"}


@pytest.mark.parametrize("line_end", ["\n", "\\n"])
def test_an_infotext_with_line_ends_written_as_two_characters(line_end: str) -> None:
    found = find(gif(gif_comment(INFOTEXT.replace("\n", line_end).encode())))
    assert found is not None
    assert (found.prompt, found.negative_prompt) == ("a red fox", "blurry")


@pytest.mark.parametrize("comment", ['{"prompt": "a fox\\nSteps: 20"}', "C:\\new folder", "a\\nb"])
def test_a_backslash_elsewhere_stays(comment: str) -> None:
    assert extract(gif(gif_comment(comment.encode()))).text == {"Comment": comment}


def test_xmp_and_a_manifest() -> None:
    found = extract(
        gif(
            gif_application(b"NETSCAPE2.0", b"\1\0\0"),
            gif_application(b"XMP DataXMP", xmp(description="a fox" * 60).encode(), raw=True),
            gif_application(b"C2PA_GIF\1\0\0", jumbf()),
            gif_comment(b"a cat"),
        )
    )
    assert found.xmp == {"description": "a fox" * 60}
    assert found.c2pa == jumbf()
    assert found.text == {"Comment": "a cat"}


@pytest.mark.parametrize("end", range(60))
def test_cut_off_anywhere(end: int) -> None:
    extract(gif(gif_comment(b"a fox"))[:end])
