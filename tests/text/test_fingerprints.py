"""The compact set of texts."""

import pytest

from unprompt.text import fingerprints
from unprompt.text.fingerprints import Fingerprints, fingerprint


def test_a_text_is_new_once() -> None:
    seen = Fingerprints()
    assert [seen.add(text) for text in ("a cat", "a dog", "a cat", "", "")] == [True, True, False, True, False]
    assert ("a dog" in seen, "a fox" in seen, len(seen)) == (True, False, 3)


def test_many_texts_are_remembered_when_they_are_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprints, "_RECENT", 16)
    seen = Fingerprints()
    texts = [f"prompt {number * 7919 % 1000}" for number in range(1000)]
    assert all(map(seen.add, texts))
    assert not any(map(seen.add, texts))
    assert len(seen) == 1000
    assert "prompt 1000" not in seen


def test_a_fingerprint_is_64_bits_and_the_same_always() -> None:
    assert fingerprint("a cat") == 11735574737183569255
    assert 0 <= fingerprint("lone \ud800 surrogate") < 2**64
