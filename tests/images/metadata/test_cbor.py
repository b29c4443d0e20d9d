"""Untrusted CBOR."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from manifests import cbor

from unprompt.images.metadata.cbor import parse

NUMBERS = st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@settings(max_examples=50)
@given(VALUES)
def test_every_value_comes_back(value: object) -> None:
    assert parse(cbor(value)) == value


@given(st.binary())
def test_any_bytes_have_an_answer(data: bytes) -> None:
    parse(data)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("c0 74 323032362d30352d30315431303a30303a30305a", "2026-05-01T10:00:00Z"),  # a tagged date
        ("7f 61 61 62 6263 ff", "abc"),  # a text in pieces
        ("5f 41 61 41 62 ff", b"ab"),
        ("9f 01 02 ff", [1, 2]),
        ("bf 61 61 01 ff", {"a": 1}),
        ("a2 01 02 61 61 03", {"a": 3}),  # a key that is no text
        ("f9 3e00", 1.5),
        ("fa 3fc00000", 1.5),
        ("f9 7e00", None),  # NaN
        ("f7", None),
        ("f8 ff", None),
        ("ff", None),
        ("1f", None),
        ("1c", None),
        ("62 61", None),  # cut off
        ("9b ffffffffffffffff", None),
        ("5b ffffffffffffffff", None),
        ("", None),
    ],
)
def test_forms(data: str, value: object) -> None:
    assert parse(bytes.fromhex(data)) == value


def test_depth_and_number_are_bounded() -> None:
    assert parse(b"\x81" * 20 + b"\x01") is not None
    assert parse(b"\x81" * 100 + b"\x01") is None
    assert parse(b"\xc0" * 100 + b"\x01") is None
    assert parse(b"\x9f" + b"\x01" * 60_000 + b"\xff") is None
    assert parse(b"\x5a\x00\x50\x00\x00" + bytes(0x500000)) is None
