"""Beam search on the real network at tiny size, and beside the plainest search that there is."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from tiny_ofa import config, weights  # noqa: E402
from torch import Tensor  # noqa: E402

from unprompt.captioners.ofa.beam_search import Hypothesis, SearchSettings, search  # noqa: E402
from unprompt.captioners.ofa.checkpoint import fill  # noqa: E402
from unprompt.captioners.ofa.configuration import END, PAD, START, Configuration  # noqa: E402
from unprompt.captioners.ofa.encoder import Memory  # noqa: E402
from unprompt.captioners.ofa.network import Captioning, Network  # noqa: E402

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network() -> Network:
    return fill(Configuration.from_config(config()), weights(config()))


@pytest.fixture(scope="module")
def memory(network: Network) -> Memory:
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randn(4, 3, 64, 64, generator=generator)
    questions = torch.randint(4, 200, (4, 6), generator=generator)
    questions[:, 0] = START
    questions[:, 5] = END
    questions[2, 3:] = torch.tensor([END, PAD, PAD])
    with torch.inference_mode():
        return network.encode(pixels, questions)


def _select(memory: Memory, pictures: list[int]) -> Memory:
    hidden = None if memory.hidden is None else memory.hidden[pictures]
    return Memory(memory.states[pictures], memory.positions, hidden)


def _search(network: Network, memory: Memory, settings: SearchSettings) -> list[list[Hypothesis]]:
    captioning = Captioning(network, memory, settings.max_length + 1)
    return search(captioning, len(memory.states), settings, CPU)


@torch.inference_mode()
def _log_probability(network: Network, memory: Memory, tokens: tuple[int, ...]) -> float:
    """Of the whole sequence and its end, in one pass."""
    given = torch.tensor([[START, *tokens]])
    decoding = network.decoder.begin(memory, given.shape[1])
    steps = network.logits(decoding.advance(network.embed_tokens(given))).log_softmax(-1)[0]
    return sum(steps[at, token].item() for at, token in enumerate([*tokens, END]))


class Recaptioning:
    """The network without caches: each step computes all words again."""

    def __init__(self, network: Network, memory: Memory) -> None:
        self.network, self.memory = network, memory

    def logits(self, tokens: Tensor) -> Tensor:
        decoding = self.network.decoder.begin(self.memory, tokens.shape[1])
        return self.network.logits(decoding.advance(self.network.embed_tokens(tokens))[:, -1])

    def keep(self, rows: Tensor, pictures: Tensor) -> None:
        self.memory = _select(self.memory, pictures.tolist())


SETTINGS = [
    SearchSettings(),
    SearchSettings(beams=1, no_repeat_ngram_size=0, max_length=12),
    SearchSettings(beams=3, no_repeat_ngram_size=1, min_length=0, max_length=8),
    SearchSettings(beams=4, no_repeat_ngram_size=3, min_length=7, max_length=10),
    SearchSettings(beams=2, min_length=5, max_length=5),
    SearchSettings(beams=8, min_length=0, max_length=1),
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_hypotheses_keep_to_the_settings(network: Network, memory: Memory, settings: SearchSettings) -> None:
    for picture, hypotheses in enumerate(_search(network, memory, settings)):
        assert len(hypotheses) == settings.beams
        assert len({hypothesis.tokens for hypothesis in hypotheses}) == settings.beams
        scores = [hypothesis.score for hypothesis in hypotheses]
        assert scores == sorted(scores, reverse=True)
        for tokens in (hypothesis.tokens for hypothesis in hypotheses):
            assert settings.min_length <= len(tokens) <= settings.max_length
            assert PAD not in tokens
            assert END not in tokens
            size = settings.no_repeat_ngram_size
            ngrams = [(START, *tokens)[at : at + size] for at in range(len(tokens) + 2 - size)] if size else []
            assert len(set(ngrams)) == len(ngrams), picture


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_scores_are_mean_log_probabilities(network: Network, memory: Memory, settings: SearchSettings) -> None:
    for picture, hypotheses in enumerate(_search(network, memory, settings)):
        for found in hypotheses:
            whole = _log_probability(network, _select(memory, [picture]), found.tokens)
            assert found.score == pytest.approx(whole / (len(found.tokens) + 1), abs=1e-5)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_caches_and_other_pictures_change_nothing(network: Network, memory: Memory, settings: SearchSettings) -> None:
    together = _search(network, memory, settings)
    with torch.inference_mode():
        uncached = search(Recaptioning(network, memory), 4, settings, CPU)
    apart = [_search(network, _select(memory, [picture]), settings)[0] for picture in range(4)]
    turned = _search(network, _select(memory, [3, 1, 0, 2]), settings)
    for others in (uncached, apart, [turned[2], turned[1], turned[3], turned[0]]):
        for ours, other in zip(together, others, strict=True):
            assert [found.tokens for found in ours] == [found.tokens for found in other]
            assert [found.score for found in ours] == pytest.approx([found.score for found in other], abs=1e-5)


def test_a_finished_picture_leaves(network: Network, memory: Memory) -> None:
    settings = SearchSettings(beams=2, max_length=30)
    rows: list[int] = []
    network.decoder.layer_norm.register_forward_hook(lambda part, given, out: rows.append(len(out)))
    lengths = [max(len(found.tokens) for found in hypotheses) for hypotheses in _search(network, memory, settings)]
    network.decoder.layer_norm._forward_hooks.clear()
    assert len(set(lengths)) > 1  # or there is nothing to see
    assert rows == [4, *(2 * sum(length >= step for length in lengths) for step in range(1, max(lengths) + 1))]


@torch.inference_mode()
def test_the_best_of_all_short_sequences_is_found(network: Network, memory: Memory) -> None:
    """With as many beams as there are tokens to choose among, nothing is missed at the second step."""
    few = SearchSettings(beams=64, no_repeat_ngram_size=0, min_length=1, max_length=1)
    (found,) = _search(network, _select(memory, [0]), few)
    first = Captioning(network, _select(memory, [0]), 2).logits(torch.tensor([[START]])).log_softmax(1)[0]
    first[[PAD, END]] = -torch.inf
    begun = first.topk(64).indices.tolist()
    expected = {(token,): _log_probability(network, _select(memory, [0]), (token,)) / 2 for token in begun}
    assert {one.tokens: one.score for one in found} == pytest.approx(expected, abs=1e-5)


class Table:
    """A model of which the next token depends on the last alone."""

    def __init__(self, logits: Tensor) -> None:
        self.table = logits

    def logits(self, tokens: Tensor) -> Tensor:
        return self.table[tokens[:, -1]]

    def keep(self, rows: Tensor, pictures: Tensor) -> None:
        pass


def _plainly(table: Tensor, settings: SearchSettings) -> list[tuple[tuple[int, ...], float]]:
    """The same search in words: a picture alone, a candidate at a time, by lists."""
    steps = table.log_softmax(1).tolist()
    beams, found = [((START,), 0.0)], []
    for length in range(settings.max_length + 1):
        candidates = []
        for tokens, total in beams:
            size = settings.no_repeat_ngram_size
            ngrams = [tokens[at : at + size] for at in range(len(tokens) + 1 - size)] if size else []
            for token, step in enumerate(steps[tokens[-1]]):
                last = length == settings.max_length
                wrong_place = length < settings.min_length if token == END else last
                again = size > 0 and (*tokens, token)[-size:] in ngrams
                if token != PAD and not wrong_place and not again:
                    candidates.append(((*tokens, token), total + step))
        candidates = sorted(candidates, key=lambda candidate: -candidate[1])[: 2 * settings.beams]
        for tokens, total in candidates[: settings.beams]:
            if tokens[-1] == END and len(found) < settings.beams:
                found.append((tokens[1:-1], total / (length + 1)))
        if len(found) == settings.beams:
            break
        beams = [candidate for candidate in candidates if candidate[0][-1] != END][: settings.beams]
    return sorted(found, key=lambda hypothesis: -hypothesis[1])


@pytest.mark.parametrize("loud", [0.0, 2.0, 4.0])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_it_is_the_plain_search(settings: SearchSettings, seed: int, loud: float) -> None:
    table = 2 * torch.randn(40, 40, generator=torch.Generator().manual_seed(seed))
    table[:, END] += loud
    found = search(Table(table), 2, settings, CPU)
    expected = _plainly(table, settings)
    assert [hypothesis.tokens for hypothesis in found[0]] == [tokens for tokens, _ in expected]
    assert [hypothesis.score for hypothesis in found[0]] == pytest.approx([score for _, score in expected], abs=1e-5)
    assert found[1] == found[0]


def test_numbers_that_are_none_lead_nowhere() -> None:
    table = torch.full((20, 20), torch.nan)
    assert search(Table(table), 2, SearchSettings(), CPU) == [[], []]


def test_scores_are_summed_in_float32_whatever_the_model_computes_in() -> None:
    table = torch.randn(40, 40, generator=torch.Generator().manual_seed(0)).bfloat16()
    settings = SearchSettings(beams=3, max_length=15, min_length=10)
    exact = search(Table(table.float()), 1, settings, CPU)
    assert search(Table(table), 1, settings, CPU) == exact
