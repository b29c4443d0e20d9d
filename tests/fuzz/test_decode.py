import pytest
from fuzz import seeds
from fuzz.chunks import mend_checksums
from fuzz.inputs import make
from fuzz.targets import check_decode
from hypothesis import given, settings
from hypothesis import strategies as st

SIGNATURES = [
    b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", b"\xff\xd8\xff\xe0", b"RIFF\0\1\0\0WEBPVP8 ", b"GIF89a", b"BM", b"II*\0",
    b"MM\0*", b"II+\0", b"\0\0\0\x20ftypavif",
]  # fmt: skip


@settings(max_examples=200)  # `make fuzz` makes 100,000 of them
@given(st.integers(0, 2**62))
def test_damaged_and_hostile_files(index):
    check_decode(make("decode", 0, index))


@settings(max_examples=200)
@given(st.sampled_from(SIGNATURES), st.binary(max_size=300))
def test_any_bytes_after_a_signature(signature, body):
    check_decode(signature + body)


@pytest.mark.parametrize("name", seeds.pictures())
def test_cut_off_and_damaged_throughout(name):
    for file in seeds.pictures()[name]:
        for end in range(0, len(file), 1 + len(file) // 40):
            check_decode(file[:end])
            check_decode(mend_checksums(file[:end] + b"\xff" + file[end + 1 :]))
