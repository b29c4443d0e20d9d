"""The public names about texts, and that they cost nothing until they are used."""

import numpy as np
import pytest

import unprompt
from unprompt import embed, similarity


def test_embed_keeps_the_order() -> None:
    vectors = embed(["a cat in a hat", "a rocket", ""])
    assert vectors.shape == (3, 384)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.allclose(vectors[1], embed(["a rocket"])[0], atol=1e-5)


def test_a_bare_text_is_not_a_list_of_letters() -> None:
    with pytest.raises(TypeError, match="expected a list of texts"):
        embed("a cat")


def test_nearer_texts_are_nearer() -> None:
    near, far = similarity("a cat in a hat", "a hatted cat"), similarity("a cat in a hat", "the launch of a rocket")
    assert isinstance(near, float)
    assert near > 0.6 > 0.3 > far


def test_texts_and_vectors_mix() -> None:
    texts = ["a cat", "a dog", "a rocket"]
    vectors = embed(texts)
    assert similarity("a cat", vectors[0]) == pytest.approx(1, abs=1e-5)
    assert similarity("a cat", 7 * vectors[0]) == pytest.approx(1, abs=1e-5)
    assert np.shape(similarity("a cat", texts)) == (3,)
    assert np.allclose(similarity(texts, vectors[:2]), vectors @ vectors[:2].T, atol=1e-5)


def test_vectors_of_another_space_are_refused() -> None:
    with pytest.raises(ValueError, match=r"found \(512,\)"):
        similarity("a cat", np.ones(512, np.float32))


def test_the_public_names() -> None:
    assert set(unprompt.__all__) <= set(dir(unprompt))
    assert all(hasattr(unprompt, name) for name in unprompt.__all__)
    assert unprompt.__version__
    with pytest.raises(AttributeError, match="no attribute 'predikt'"):
        unprompt.predikt  # noqa: B018
