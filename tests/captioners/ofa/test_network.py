"""Pictures and a question in, hypotheses out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from unprompt.captioners.opening import OFA

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from tiny_ofa import config, load, weights, write  # noqa: E402

from unprompt.captioners.ofa.beam_search import Hypothesis, SearchSettings, search  # noqa: E402
from unprompt.captioners.ofa.files import find_files  # noqa: E402
from unprompt.captioners.ofa.network import Captioning, Network  # noqa: E402
from unprompt.captioners.ofa.tokenizer import OfaTokenizer  # noqa: E402

CPU = torch.device("cpu")
SHORT = SearchSettings(beams=3, max_length=6)


@dataclass(frozen=True)
class Checkpoint:
    """A network and its tokenizer."""

    network: Network
    tokenizer: OfaTokenizer

    @classmethod
    def read(cls, folder: Path, dtype: torch.dtype = torch.float32) -> Checkpoint:
        return cls(*load(find_files(folder), dtype))

    @torch.inference_mode()
    def find(
        self, pixels: torch.Tensor, settings: SearchSettings = SHORT, question: str = OFA.question
    ) -> list[list[Hypothesis]]:
        asked = torch.tensor([self.tokenizer.encode(question)] * len(pixels))
        seen = pixels.to(self.network.embed_tokens.weight.dtype)
        captioning = Captioning(self.network, self.network.encode(seen, asked), settings.max_length + 1)
        return search(captioning, len(pixels), settings, CPU)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("ofa"), weights(config()), config())


@pytest.fixture(scope="module")
def ofa(folder: Path) -> Checkpoint:
    return Checkpoint.read(folder)


def _pixels(count: int, side: int = 64) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).standard_normal((count, 3, side, side)).astype(np.float32))


def _same(ours: Sequence[Sequence[Hypothesis]], others: Sequence[Sequence[Hypothesis]]) -> bool:
    tokens = [[hypothesis.tokens for hypothesis in hypotheses] for hypotheses in ours]
    scores = [hypothesis.score for hypotheses in ours for hypothesis in hypotheses]
    return tokens == [[hypothesis.tokens for hypothesis in hypotheses] for hypotheses in others] and scores == (
        pytest.approx([hypothesis.score for hypotheses in others for hypothesis in hypotheses], abs=1e-5)
    )


def test_hypotheses_are_texts_best_first(ofa: Checkpoint) -> None:
    found = ofa.find(_pixels(3), SearchSettings())
    assert [len(hypotheses) for hypotheses in found] == [5, 5, 5]
    for hypotheses in found:
        for text in [ofa.tokenizer.decode(hypothesis.tokens) for hypothesis in hypotheses]:
            assert text == text.strip()
            assert not any(special in text for special in ("<s>", "</s>", "<pad>"))
        scores = [hypothesis.score for hypothesis in hypotheses]
        assert scores == sorted(scores, reverse=True)


def test_either_format_gives_the_same(ofa: Checkpoint, tmp_path: Path) -> None:
    safe = Checkpoint.read(write(tmp_path, weights(config()), config(), safe=True))
    assert safe.find(_pixels(2)) == ofa.find(_pixels(2))


def test_other_pictures_change_nothing(ofa: Checkpoint) -> None:
    pixels = _pixels(9)
    together = ofa.find(pixels)
    assert _same(together, [ofa.find(pixels[at : at + 1])[0] for at in range(9)])
    assert _same(together[::-1], ofa.find(pixels.flip(0)))
    assert len({hypotheses[0].score for hypotheses in together}) > 1  # or there is nothing to see


def test_the_question_counts(ofa: Checkpoint) -> None:
    assert not _same(ofa.find(_pixels(1)), ofa.find(_pixels(1), question=" what is it?"))


def test_any_side_up_to_the_largest(ofa: Checkpoint) -> None:
    assert len(ofa.find(_pixels(1, 96))) == 1  # 6 patches, as many as the tables have
    assert len(ofa.find(_pixels(1, 50))) == 1


def test_the_longest_that_the_model_takes(ofa: Checkpoint) -> None:
    (hypotheses,) = ofa.find(_pixels(1), SearchSettings(beams=2, min_length=47, max_length=47), "x" * 46)
    assert [len(hypothesis.tokens) for hypothesis in hypotheses] == [47, 47]


def test_half_precision_finds_nearly_the_same(ofa: Checkpoint, folder: Path) -> None:
    half = Checkpoint.read(folder, torch.bfloat16)
    assert {value.dtype for value in half.network.state_dict().values()} == {torch.bfloat16}
    for ours, exact in zip(half.find(_pixels(4)), ofa.find(_pixels(4)), strict=True):
        assert ours[0].score == pytest.approx(exact[0].score, abs=0.05)
