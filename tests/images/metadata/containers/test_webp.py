"""WebP: the chunks of a RIFF file."""

from layouts import chunk_riff, jumbf, lossless_webp, riff, stealth, user_comment, xmp

from unprompt.images.metadata.fields import extract


def test_exif_xmp_and_a_manifest() -> None:
    made = riff(
        chunk_riff(b"VP8X", bytes(10)),
        chunk_riff(b"EXIF", b"Exif\0\0" + user_comment("a fox")),
        chunk_riff(b"XMP ", xmp(description="a cat").encode()),
        chunk_riff(b"C2PA", jumbf()),
    )
    found = extract(made)
    assert found.exif == {"UserComment": "a fox"}
    assert found.xmp == {"description": "a cat"}
    assert found.c2pa == jumbf()


def test_an_animation_hides_nothing() -> None:
    from unprompt.images.metadata.stealth import reveal

    still = lossless_webp(stealth("a fox\nSteps: 2"))[12:]
    size = (63).to_bytes(3, "little") + (95).to_bytes(3, "little")
    for flags, is_searched in ((0x10, True), (0x12, False)):
        data = riff(chunk_riff(b"VP8X", bytes([flags, 0, 0, 0]) + size), still)
        assert (reveal(data) is not None) == is_searched
