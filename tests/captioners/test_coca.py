"""CoCa at tiny size, against open_clip's own `generate`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unprompt.captioners.opening import COCA, open_caption_model
from unprompt.errors import DataError, ModelError
from unprompt.images.decode import Picture

torch = pytest.importorskip("torch")

from safetensors.torch import load_file, save_file  # noqa: E402

from unprompt.captioners import coca  # noqa: E402
from unprompt.captioners.coca import END, CocaWriter  # noqa: E402
from unprompt.captioners.hypotheses import first_sound  # noqa: E402
from unprompt.models.networks.open_clip_backbone import quiet  # noqa: E402
from unprompt.models.networks.torchvision_cure import cure_torchvision  # noqa: E402

cure_torchvision()

import open_clip  # noqa: E402

pytestmark = pytest.mark.torch

ARCHITECTURE = "coca_ViT-B-32"
NAME = f"{ARCHITECTURE}.mscoco_finetuned_laion2b_s13b_b90k"
TEXT = {"context_length": 40, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
SIZES = {
    "embed_dim": 32,
    "vision_cfg": {
        "image_size": 32,
        "layers": 2,
        "width": 32,
        "head_width": 16,
        "patch_size": 16,
        "attentional_pool": True,
        "attn_pooler_heads": 2,
        "attn_pooler_queries": 5,
        "output_tokens": True,
    },
    "text_cfg": {**TEXT, "embed_cls": True, "output_tokens": True},
    "multimodal_cfg": {**TEXT, "attn_pooler_heads": 2},
    "custom_text": True,
}
LIKELY = (320, 2368, 1929, 525, 518, 1237, 1611, 530)
"""A few words; the others hardly ever come first."""


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, ARCHITECTURE, SIZES)


@pytest.fixture
def network() -> Any:
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(0)
        network = open_clip.create_model(ARCHITECTURE, load_weights=False).eval()
        for name, parameter in network.named_parameters():
            if parameter.ndim > 1 and "embedding" not in name:
                torch.nn.init.normal_(parameter, std=0.4)
        likely = torch.tensor([*LIKELY, END])
        projection = network.text_decoder.text_projection
        with torch.no_grad():
            kept = projection[:, likely].clone()
            kept[:, -1] *= 1.5
            projection.mul_(0.01)
            projection[:, likely] = kept
    return network


@pytest.fixture
def weights(network: Any, tmp_path: Path) -> Path:
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(state, tmp_path / "coca.safetensors")
    return tmp_path / "coca.safetensors"


def _pictures(count: int) -> list[Picture]:
    rng = np.random.default_rng(0)
    pixels = [rng.integers(0, 256, (40, 60, 3), dtype=np.uint8) // (1 + place) for place in range(count)]
    return [Picture(f"{place}.png", array, (60, 40), None, "", None) for place, array in enumerate(pixels)]


class ReferenceScorer:
    """The interface and the rules of transformers' BeamSearchScorer, which left with its version 5."""

    def __init__(self, batch_size: int, num_beams: int, device: Any, num_beam_groups: int) -> None:
        self.num_beams, self.num_beam_groups = num_beams, num_beam_groups
        self.group = num_beams // num_beam_groups
        self._beam_hyps: list[list[tuple[float, Any]]] = [[] for _ in range(batch_size * num_beam_groups)]
        self._done = [False] * len(self._beam_hyps)

    @property
    def is_done(self) -> bool:
        return all(self._done)

    def _add(self, place: int, tokens: Any, worth: float) -> None:
        held = self._beam_hyps[place]
        if len(held) < self.group or worth > min(kept for kept, _ in held):
            held.append((worth, tokens))
            if len(held) > self.group:
                held.remove(min(held, key=lambda pair: pair[0]))

    def process(
        self,
        input_ids: Any,
        next_scores: Any,
        next_tokens: Any,
        next_indices: Any,
        pad_token_id: int,
        eos_token_id: Any,
        beam_indices: None,
        group_index: int,
    ) -> dict[str, Any]:
        length, pictures = input_ids.shape[1] + 1, len(next_scores)
        scores = torch.zeros(pictures, self.group)
        tokens = torch.full((pictures, self.group), pad_token_id)
        indices = torch.zeros(pictures, self.group, dtype=torch.long)
        for picture in range(pictures):
            place = picture * self.num_beam_groups + group_index
            if self._done[place]:
                continue
            free = 0
            for rank in range(2 * self.group):
                row = picture * self.group + int(next_indices[picture, rank])
                score = float(next_scores[picture, rank])
                if int(next_tokens[picture, rank]) == int(eos_token_id):
                    if rank < self.group:
                        self._add(place, input_ids[row].clone(), score / length)
                    continue
                scores[picture, free] = score
                tokens[picture, free] = next_tokens[picture, rank]
                indices[picture, free] = row
                free += 1
                if free == self.group:
                    break
            held = self._beam_hyps[place]
            best = float(next_scores[picture].max()) / length
            self._done[place] = len(held) == self.group and min(worth for worth, _ in held) >= best
        return {
            "next_beam_scores": scores.flatten(),
            "next_beam_tokens": tokens.flatten(),
            "next_beam_indices": indices.flatten(),
        }

    def finalize(
        self,
        input_ids: Any,
        final_beam_scores: Any,
        *_: Any,
        pad_token_id: int,
        eos_token_id: Any,
        max_length: int,
        **__: Any,
    ) -> dict[str, Any]:
        texts = []
        for place in range(len(self._beam_hyps)):
            if not self._done[place]:
                for row in range(place * self.group, (place + 1) * self.group):
                    self._add(place, input_ids[row], float(final_beam_scores[row]) / input_ids.shape[1])
            if place % self.num_beam_groups == self.num_beam_groups - 1:
                first = place + 1 - self.num_beam_groups
                every = [pair for group in self._beam_hyps[first : place + 1] for pair in group]
                texts.append(sorted(every, key=lambda pair: pair[0])[-1][1])
        sequences = torch.full((len(texts), max_length), pad_token_id)
        for row, text in enumerate(texts):
            sequences[row, : len(text)] = text
            if len(text) < max_length:
                sequences[row, len(text)] = eos_token_id
        return {"sequences": sequences}


def _generated(monkeypatch: pytest.MonkeyPatch, network: Any, pictures: list[Picture], **changes: Any) -> list[str]:
    """open_clip's own texts, read as its page says."""
    monkeypatch.setattr(open_clip.coca_model, "_has_transformers", True)
    monkeypatch.setattr(open_clip.coca_model, "BeamSearchScorer", ReferenceScorer, raising=False)
    transform = open_clip.image_transform(32, is_train=False)
    pixels = torch.stack([transform(Image.fromarray(picture.pixels)) for picture in pictures])
    found = network.generate(pixels, **changes)
    texts = [open_clip.decode(tokens).split("<end_of_text>")[0] for tokens in found]
    return [text.replace("<start_of_text>", "").strip() for text in texts]


def _writer(weights: Path, pictures: list[Picture], **changes: Any) -> CocaWriter:
    captioner = open_caption_model(NAME, changes, weights=weights)
    captioner.captions(pictures[:1])
    assert isinstance(captioner._writer.held, CocaWriter)
    return captioner._writer.held


def _hypotheses(writer: CocaWriter, pictures: list[Picture]) -> list[list[str]]:
    with torch.inference_mode():
        tokens = writer.write(torch.stack([writer.see(picture) for picture in pictures]))
    return [[writer.read(hypothesis) for hypothesis in proposed] for proposed in tokens.tolist()]


def test_texts_are_those_that_open_clip_generates_by_default(
    monkeypatch: pytest.MonkeyPatch, network: Any, weights: Path
) -> None:
    pictures = _pictures(4)
    expected = _generated(monkeypatch, network, pictures)
    assert len(set(expected)) > 2
    assert len({len(text) for text in expected}) > 1
    writer = _writer(weights, pictures)
    assert [proposed[0] for proposed in _hypotheses(writer, pictures)] == expected
    captions = open_caption_model(NAME, weights=weights).captions(pictures)
    assert captions == [first_sound(proposed) for proposed in _hypotheses(writer, pictures)]


@pytest.mark.parametrize(("beams", "shortest", "longest"), [(1, 5, 12), (3, 1, 20), (4, 10, 24)])
def test_texts_are_those_of_open_clip_with_other_settings(
    monkeypatch: pytest.MonkeyPatch, network: Any, weights: Path, beams: int, shortest: int, longest: int
) -> None:
    pictures = _pictures(4)
    expected = _generated(
        monkeypatch, network, pictures, num_beams=beams, num_beam_groups=1, min_seq_len=shortest, seq_len=longest
    )
    writer = _writer(weights, pictures, beams=beams, min_length=shortest, max_length=longest)
    assert [proposed[0] for proposed in _hypotheses(writer, pictures)] == expected


def test_a_text_does_not_depend_on_the_batch(weights: Path) -> None:
    pictures = _pictures(5)
    writer = _writer(weights, pictures, beams=3)
    together = _hypotheses(writer, pictures)
    assert [_hypotheses(writer, [picture])[0] for picture in pictures] == together
    assert open_caption_model(NAME, {"beams": 3}, weights=weights).captions(pictures[::-1]) == [
        first_sound(proposed) for proposed in together[::-1]
    ]


def test_hypotheses_differ_and_come_best_first(network: Any, weights: Path) -> None:
    (picture,) = _pictures(1)
    writer = _writer(weights, [picture], beams=4, min_length=1, max_length=8)
    with torch.inference_mode():
        pixels = writer.see(picture)[None]
        (tokens,) = writer.write(pixels).tolist()
        latents, seen = network._encode_image(pixels)
        worths = []
        for hypothesis in tokens:
            text = hypothesis[: hypothesis.index(END) + 1] if END in hypothesis else hypothesis
            logits = network(
                None, torch.tensor([text[:-1]]), image_latent=latents, image_embs=seen, output_labels=False
            )["logits"][0]
            worths.append(math.fsum(float(row[token]) for row, token in zip(logits, text[1:], strict=True)) / len(text))
    assert len({tuple(hypothesis) for hypothesis in tokens}) == 4
    assert worths == pytest.approx(sorted(worths, reverse=True), abs=1e-5)


def test_a_very_long_picture_is_cut_before_it_is_resized(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 60_000, 3), dtype=np.uint8)
    writer = _writer(weights, _pictures(1))
    expected = writer._transform(Image.fromarray(pixels))
    sizes = _sizes_of_results(monkeypatch)
    seen = writer.see(Picture("long.png", pixels, (60_000, 4), None, "", None))
    assert sizes
    assert max(map(max, sizes)) <= 64 * 32  # the side that this CoCa sees
    assert (seen - expected).abs().max() < 0.05


def _sizes_of_results(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Those of all pictures that Pillow resizes from now on."""
    sizes: list[tuple[int, int]] = []
    resize = Image.Image.resize

    def watched(image: Image.Image, size: Any, *arguments: Any, **options: Any) -> Image.Image:
        sizes.append(tuple(size))
        return resize(image, size, *arguments, **options)

    monkeypatch.setattr(Image.Image, "resize", watched)
    return sizes


def test_half_precision_as_on_a_gpu(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (picture,) = _pictures(1)
    load = coca._load_network
    monkeypatch.setattr(coca, "_load_network", lambda name, path, precision: load(name, path, "pure_fp16"))
    writer = CocaWriter(NAME, weights, COCA, torch.device("cpu"))
    assert {parameter.dtype for parameter in writer.network.parameters()} == {torch.float16}
    assert all(text for proposed in _hypotheses(writer, [picture]) for text in proposed)


def test_tokens_do_not_come_twice_where_that_is_not_wanted(weights: Path) -> None:
    pictures = _pictures(4)
    for proposed in _hypotheses(_writer(weights, pictures, no_repeat_ngram_size=1, max_length=9), pictures):
        for text in proposed:
            assert len(set(text.split())) == len(text.split())


def test_pickled_weights_are_read_without_running_them(weights: Path, tmp_path: Path) -> None:
    pickled = tmp_path / "coca.bin"
    torch.save({"state_dict": load_file(weights)}, pickled)
    pictures = _pictures(2)
    expected = open_caption_model(NAME, weights=weights).captions(pictures)
    assert open_caption_model(NAME, weights=pickled).captions(pictures) == expected
    torch.save({"state_dict": Path("hostile")}, pickled)
    with pytest.raises(ModelError, match="asks to call"):
        open_caption_model(NAME, weights=pickled).captions(pictures)


def test_weights_of_another_model(weights: Path) -> None:
    state = load_file(weights)
    del state["visual.proj"]
    save_file({**state, "more": torch.zeros(1)}, weights)
    with pytest.raises(ModelError, match=r"does not hold coca_ViT-B-32\..*missing: visual\.proj; unknown: more"):
        open_caption_model(NAME, weights=weights).captions(_pictures(1))


def test_weights_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match=f"expected the weights of {NAME} in a safetensors file"):
        open_caption_model(NAME, weights=tmp_path / "none.safetensors").captions(_pictures(1))
    captioner = open_caption_model(NAME)
    for ask in (captioner.identities, lambda: captioner.captions(_pictures(1))):
        with pytest.raises(
            ModelError, match=r"open_clip_model\.safetensors .* of laion/mscoco_finetuned_CoCa-ViT-B-32"
        ):
            ask()


def test_the_identity_changes_with_the_weights(weights: Path) -> None:
    before = open_caption_model(NAME, weights=weights).identities()
    assert open_caption_model(NAME, weights=weights).identities() == before
    state = load_file(weights)
    state["visual.proj"][0, 0] += 1
    save_file(state, weights)
    assert open_caption_model(NAME, weights=weights).identities() != before


def test_texts_that_are_longer_than_the_model_writes(weights: Path) -> None:
    with pytest.raises(DataError, match=r"max_length is 41; .* writes up to 40 tokens"):
        open_caption_model(NAME, {"max_length": 41}, weights=weights).captions(_pictures(1))
