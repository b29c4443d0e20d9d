"""The published OFA's own numbers, which ../shared holds for two small configurations."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
safetensors_torch = pytest.importorskip("safetensors.torch")

from unprompt.captioners.ofa.beam_search import SearchSettings, search  # noqa: E402
from unprompt.captioners.ofa.checkpoint import fill  # noqa: E402
from unprompt.captioners.ofa.configuration import END, PAD, Configuration  # noqa: E402
from unprompt.captioners.ofa.encoder import Memory  # noqa: E402
from unprompt.captioners.ofa.network import Captioning, Network  # noqa: E402

CPU = torch.device("cpu")
SEARCHES = {
    "beam5_ngram3_len16": SearchSettings(beams=5, no_repeat_ngram_size=3, max_length=16),
    "beam5_ngram2_len20": SearchSettings(beams=5, no_repeat_ngram_size=2, max_length=20),
    "beam3_min6": SearchSettings(beams=3, no_repeat_ngram_size=3, min_length=6, max_length=12),
}
ORDERS = [[0, 1, 2], [2, 0, 1], [1, 1], [0], [1], [2]]


@dataclass(frozen=True)
class Published:
    """A configuration's network, and what the published one made of the same pictures and questions."""

    network: Network
    expected: dict[str, Any]

    def encode(self, pictures: list[int]) -> Memory:
        return self.network.encode(self.expected["patch_images"][pictures], self.expected["input_ids"][pictures])


@pytest.fixture(scope="module", params=["small-resnet50", "small-resnet101"])
def published(request: pytest.FixtureRequest, shared: Path) -> Published:
    folder = shared / "fixtures" / "ofa"
    if not folder.is_dir():
        pytest.skip(f"no expected outputs of the published OFA at {folder}")
    spec = importlib.util.spec_from_file_location("weights_recipe", folder / "weights_recipe.py")
    assert spec is not None
    assert spec.loader is not None
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    described = json.loads((folder / "expected.json").read_text())[request.param]
    state = {
        name: torch.from_numpy(recipe.tensor(name, tuple(shape)))
        for name, shape in described["floating_tensors"].items()
    }
    for name in ("decoder.embed_tokens.weight", "decoder.output_projection.weight"):
        state[name] = state["encoder.embed_tokens.weight"]
    network = fill(Configuration.from_config(described["config"]), state)
    return Published(network, safetensors_torch.load_file(folder / f"{request.param}.safetensors"))


@torch.inference_mode()
def test_what_the_resnet_sees(published: Published) -> None:
    features = published.network.encoder.embed_images(published.expected["patch_images"])
    expected = published.expected["resnet_features"]
    # With these weights features reach 16 million, of which float32 tells no more than about 1.
    assert (features - expected).abs().max() < 1e-5 * expected.abs().max()


@torch.inference_mode()
def test_what_the_encoder_sees(published: Published) -> None:
    memory = published.encode([0, 1, 2])
    assert (memory.states - published.expected["encoder_last_hidden_state"]).abs().max() < 1e-4
    assert memory.hidden is not None
    assert torch.equal(memory.hidden.to(torch.uint8), published.expected["encoder_padding_mask"])


@torch.inference_mode()
def test_logits_of_given_words(published: Published) -> None:
    given = published.network.embed_tokens(published.expected["decoder_input_ids"])
    decoding = published.network.decoder.begin(published.encode([0, 1, 2]), given.shape[1])
    logits = published.network.logits(decoding.advance(given))
    assert (logits - published.expected["logits"]).abs().max() < 1e-4


@torch.inference_mode()
@pytest.mark.parametrize("parts", [[1] * 7, [3, 1, 3], [2, 5]])
def test_logits_are_the_same_step_by_step(published: Published, parts: list[int]) -> None:
    given = published.network.embed_tokens(published.expected["decoder_input_ids"])
    decoding = published.network.decoder.begin(published.encode([0, 1, 2]), given.shape[1])
    states = [decoding.advance(part) for part in given.split(parts, dim=1)]
    logits = published.network.logits(torch.cat(states, 1))
    assert (logits - published.expected["logits"]).abs().max() < 1e-4


@torch.inference_mode()
@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.parametrize("pictures", ORDERS, ids=str)
def test_what_is_found(published: Published, name: str, pictures: list[int]) -> None:
    settings = SEARCHES[name]
    captioning = Captioning(published.network, published.encode(pictures), settings.max_length + 1)
    found = search(captioning, len(pictures), settings, CPU)
    for picture, hypotheses in zip(pictures, found, strict=True):
        sequence = published.expected[f"sequences_{name}"][picture]
        assert [*hypotheses[0].tokens, END] == sequence[sequence != PAD].tolist()
        assert abs(hypotheses[0].score - published.expected[f"scores_{name}"][picture].item()) < 1e-4
        assert len(hypotheses) == settings.beams
