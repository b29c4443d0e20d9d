"""The tokenizer beside transformers' for BART, from which the published one is made."""

from __future__ import annotations

import json
from typing import Any

import pytest

from unprompt.errors import ModelError

pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from tiny_ofa import PAIRS, config, vocabulary  # noqa: E402

from unprompt.captioners.ofa.tokenizer import OfaTokenizer  # noqa: E402

SIZE = config()["vocab_size"]
MERGES = "\n".join(["#version: 0.2", *PAIRS])
TEXTS = [
    " what does the image describe?",
    "the cat  sat\n at\tthe cat",
    "",
    " ",
    "Thé çat 猫 🐈 ﬁ",
    " region: <bin_12> <bin_999><code_0> <code_8191> <code_8192>",
    "a <mask> of <unk></s> the <pad>",
]


@pytest.fixture(scope="module")
def tokenizer() -> OfaTokenizer:
    return OfaTokenizer(json.dumps(vocabulary()), MERGES, SIZE)


@pytest.fixture(scope="module")
def reference() -> Any:
    from transformers import AddedToken, BartTokenizer

    # The version from which the published one comes took the blank before a mask.
    mask = AddedToken("<mask>", lstrip=True, special=True)
    pairs = [tuple(pair.split(" ")) for pair in PAIRS]
    tokenizer = BartTokenizer(vocab=vocabulary(), merges=pairs, mask_token=mask)
    tokenizer.add_tokens([f"<code_{code}>" for code in range(8192)])
    tokenizer.add_tokens([f"<bin_{place}>" for place in range(1000)])
    return tokenizer


@pytest.mark.parametrize("text", TEXTS)
def test_tokens_and_texts_are_those_of_the_published_tokenizer(
    tokenizer: OfaTokenizer, reference: Any, text: str
) -> None:
    tokens = tokenizer.encode(text)
    assert tokens == reference(text)["input_ids"]
    expected = reference.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    assert tokenizer.decode(tokens) == expected.strip()


def test_codes_and_places_come_after_the_vocabulary(tokenizer: OfaTokenizer) -> None:
    first = len(vocabulary())
    assert tokenizer.encode("<code_0><code_8191><bin_0><bin_999>") == [
        0,
        first,
        first + 8191,
        first + 8192,
        SIZE - 1,
        2,
    ]


def test_codes_and_places_may_be_in_the_vocabulary(tokenizer: OfaTokenizer) -> None:
    added = [f"<code_{code}>" for code in range(8192)] + [f"<bin_{place}>" for place in range(1000)]
    whole = [*vocabulary(), *added]
    held = OfaTokenizer(json.dumps({token: place for place, token in enumerate(whole)}), MERGES, SIZE)
    assert [held.encode(text) for text in TEXTS] == [tokenizer.encode(text) for text in TEXTS]


def test_needless_blanks_are_left_out(tokenizer: OfaTokenizer) -> None:
    assert tokenizer.decode(tokenizer.encode(" a cat 's hat , it is n't red .")) == "a cat's hat, it isn't red."


def test_a_lone_surrogate(tokenizer: OfaTokenizer) -> None:
    assert tokenizer.decode(tokenizer.encode("a \ud83d cat")) == "a? cat"


@pytest.mark.parametrize(
    ("vocabulary_text", "message"),
    [
        ("", "vocab.json is damaged"),
        ("[" * 100_000, "vocab.json is damaged"),
        ("[]", "expected a JSON object of tokens, numbered from 0"),
        ('{"a": 1}', "numbered from 0 without a gap"),
        ('{"a": 0, "b": 0}', "numbered from 0 without a gap"),
        ('{"a": "0"}', "numbered from 0"),
        ('{"a": true, "b": 0}', "numbered from 0"),
        ('{"a": 0}', "is not OFA's: .* found <s> = None"),
        ('{"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3}', "is not OFA's: .* found <s> = 1"),
        ('{"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}', f"expected {SIZE} tokens .* found 9196"),
    ],
)
def test_another_vocabulary(vocabulary_text: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        OfaTokenizer(vocabulary_text, MERGES, SIZE)


@pytest.mark.parametrize(
    ("merges", "message"),
    [
        ("h e\nx y", "merges.txt does not belong to vocab.json: .*"),
        ("h e r", "merges.txt is damaged"),
        ("", "merges.txt is cut short: .* none for 7, such as 'Ġa'; take both from one checkpoint"),
        ("#version: 0.2", "merges.txt is cut short"),
        ("\n".join(PAIRS[:-1]), "found none for 1, such as 'Ġcat'"),
        ("he", "merges.txt is damaged"),
    ],
)
def test_other_merges(merges: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        OfaTokenizer(json.dumps(vocabulary()), merges, SIZE)


def test_what_no_merge_makes(tokenizer: OfaTokenizer) -> None:
    """BART's vocabulary is filled up with such tokens, and GPT-2's end of a text is among it."""
    tokens = [*vocabulary(), "<|endoftext|>", "madeupword0000", "madeupword0001"]
    filled = OfaTokenizer(json.dumps({token: place for place, token in enumerate(tokens)}), MERGES, SIZE + 3)
    assert filled.encode(" the cat") == tokenizer.encode(" the cat")
