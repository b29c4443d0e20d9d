"""Whether a file ends as its format does."""

import io

import pytest
from PIL import Image

from unprompt.images.ends import ends_well


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "WEBP"])
def test_a_whole_file_and_one_that_ends_early(format: str) -> None:
    buffer = io.BytesIO()
    Image.radial_gradient("L").save(buffer, format)
    whole = buffer.getvalue()
    assert ends_well(whole)
    assert ends_well(whole + bytes(20))
    assert not ends_well(whole[: len(whole) // 2])
    assert not ends_well(whole[:12])


@pytest.mark.parametrize("data", [b"", b"RIFF", b"BM", b"II*\0"])
def test_what_only_decoding_can_tell(data: bytes) -> None:
    assert not ends_well(data)
