"""The beam search, against an exhaustive one where that is possible."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tiny_models

from unprompt.errors import ModelError
from unprompt.models.store.folder import ModelFolder, write_config
from unprompt.text.decoder import LENGTH_PENALTY, Decoder


def _vectors(count: int) -> npt.NDArray[np.float32]:
    raw = np.random.default_rng(0).standard_normal((count, 384)).astype(np.float32)
    return raw / np.linalg.norm(raw, axis=1, keepdims=True)


def _longer(folder: ModelFolder, max_length: int) -> ModelFolder:
    """The same decoder with another limit: the tiny one has no table of positions."""
    return write_config(folder.path, {**folder.config, "max_length": max_length}, ["model.onnx", "tokenizer.json"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    return tiny_models.decoder(tmp_path_factory.mktemp("models") / "words.tiny")


@pytest.fixture(scope="module")
def decoder(folder: ModelFolder) -> Decoder:
    return Decoder(folder)


def test_sentences_are_different_and_at_most_as_many_as_beams(decoder: Decoder) -> None:
    for beams in (1, 3, 8):  # 8: twice as many beams as the vocabulary has words to offer
        for vector in _vectors(5):
            texts = [sentence.text for sentence in decoder.sentences(vector, beams)]
            assert 0 < len(texts) <= beams
            assert len(set(texts)) == len(texts)
            assert all(set(text.split()) <= set(tiny_models.WORDS) for text in texts)


def test_several_threads_get_what_one_gets(decoder: Decoder, folder: ModelFolder) -> None:
    vectors = _vectors(12)
    alone = [decoder.sentences(vector, 4) for vector in vectors]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda vector: decoder.sentences(vector, 4), vectors)) == alone
    assert [Decoder(folder).sentences(vector, 4) for vector in vectors[:3]] == alone[:3]
    assert len({sentences[0].text for sentences in alone}) > 6


def test_no_three_words_come_twice(tmp_path: Path) -> None:
    # Without the rule, this decoder says its favourite word again and again.
    decoder = Decoder(_longer(tiny_models.decoder(tmp_path / "words.tiny"), 40))
    said = [found.text.split() for vector in _vectors(16) for found in decoder.sentences(vector, 3)]
    assert max(map(len, said)) > 20
    for words in said:
        runs = list(zip(words, words[1:], words[2:], strict=False))
        assert len(set(runs)) == len(runs), words


@pytest.mark.parametrize("max_length", [1, 2, 5])
def test_the_length_limit(tmp_path: Path, max_length: int) -> None:
    decoder = Decoder(_longer(tiny_models.decoder(tmp_path / "words.tiny"), max_length))
    lengths = [len(found.text.split()) for vector in _vectors(10) for found in decoder.sentences(vector, 3)]
    assert max(lengths) == max_length
    assert min(lengths) >= 1


def test_models_that_are_no_decoders(tmp_path: Path) -> None:
    other = tiny_models.regressor(tmp_path / "linear.tiny")
    words = tiny_models.decoder(tmp_path / "words.tiny")
    (other.path / "tokenizer.json").write_bytes(words.file("tokenizer.json").read_bytes())
    config = {**other.config, "max_length": 8}
    with pytest.raises(ModelError, match=r"linear\.tiny is no decoder: expected an input 'past'"):
        Decoder(write_config(other.path, config, ["model.onnx", "tokenizer.json"]))
    for longest in ({}, {"max_length": "eight"}):
        config = {key: value for key, value in words.config.items() if key != "max_length"} | longest
        with pytest.raises(ModelError, match=r"a whole number max_length in config\.json"):
            Decoder(write_config(words.path, config, ["model.onnx", "tokenizer.json"]))


@pytest.mark.torch
def test_with_beams_enough_it_is_exhaustive(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    from unprompt.training.decoder_network import SentenceDecoder
    from unprompt.training.onnx_export import export_onnx

    words, longest = ["<start>", "<end>", "a", "b", "c", "d", "e"], 4
    torch.manual_seed(0)
    model = SentenceDecoder(vocabulary_size=len(words), max_length=longest, width=16, depth=2, heads=2).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(8)  # weights as they start would make all sentences all but equally likely
    folder = tmp_path / "letters.tiny"
    folder.mkdir()
    past = torch.zeros(2, 2, 3, 2, 5, 8)
    inputs = {"tokens": torch.zeros(3, 1, dtype=torch.long), "vector": torch.zeros(3, 384), "past": past}
    axes = {"tokens": {0: "batch"}, "vector": {0: "batch"}, "past": {2: "batch", 4: "before"}}
    export_onnx(model, inputs, ["logits", "present"], axes, folder / "model.onnx")
    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(words)}, unk_token="<end>"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.add_special_tokens(["<start>", "<end>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"name": "letters.tiny", "architecture": "sentence_decoder", "licence": "MIT", "origin": "a test"}
    decoder = Decoder(write_config(folder, {**config, "max_length": longest}, ["model.onnx", "tokenizer.json"]))

    vectors = _vectors(6)
    sentences = [ids for length in range(1, longest) for ids in itertools.product(range(2, 7), repeat=length)]
    # A step looks at twice as many continuations as there are beams; the last one has 125 * 7 of them.
    for vector in vectors:
        sentences_found = decoder.sentences(vector, 125 * 7 // 2 + 1)
        found = [sentence.text for sentence in sentences_found]
        scores = {" ".join(words[at] for at in ids): _score(model, ids, vector) for ids in sentences}
        assert found[0] == max(scores, key=scores.__getitem__)
        assert len(found) == len(set(found)) == len(scores) == 5 + 25 + 125
        length = len(found[0].split()) + 1
        assert sentences_found[0].fluency == pytest.approx(scores[found[0]] * length ** (LENGTH_PENALTY - 1), abs=5e-4)
        assert [scores[text] for text in found] == pytest.approx(sorted(scores.values(), reverse=True), abs=5e-4)


def _score(model, ids: tuple[int, ...], vector: npt.NDArray[np.float32]) -> float:  # type: ignore[no-untyped-def]
    """What the search ranks by, computed on the whole sentence at once."""
    import torch

    with torch.inference_mode():
        logits, _ = model(torch.tensor([[0, *ids]]), torch.from_numpy(vector[None]))
        logits[..., 0] = -torch.inf  # no sentence begins twice
    chosen = logits[0].log_softmax(-1)[range(len(ids) + 1), [*ids, 1]]
    return float(chosen.double().sum()) / (len(ids) + 1) ** LENGTH_PENALTY
