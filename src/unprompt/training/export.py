"""Exports model folders of networks trained here."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from unprompt.datasets.pairs import Pair, read_pairs
from unprompt.errors import DataError, ModelError
from unprompt.images.decode import Picture, decode
from unprompt.images.preprocess import Preprocessing, preprocess
from unprompt.models.networks.start_weights import read_weights
from unprompt.models.regressors.onnx import session
from unprompt.models.regressors.regressor_network import RegressorNetwork
from unprompt.models.regressors.torch_folder import save_network
from unprompt.models.store.folder import ModelFolder, write_config
from unprompt.models.store.image_model import CONCEPTS
from unprompt.models.store.weights import RANDOM
from unprompt.prediction import EMBEDDING_SIZE
from unprompt.text.content_words import content_stems
from unprompt.text.phrases import PHRASES, Phrases
from unprompt.text.sentence import SentenceEncoder
from unprompt.training.card import model_card
from unprompt.training.checkpoint import newest_checkpoint
from unprompt.training.decoder import START
from unprompt.training.decoder_network import SentenceDecoder
from unprompt.training.loop import LAST
from unprompt.training.lora import add_lora, merge_lora, name_without_lora
from unprompt.training.onnx_export import export_onnx, pack_weights
from unprompt.training.onnx_integers import compute_in_integers
from unprompt.training.plot import NOT_CURVES, read_metrics
from unprompt.training.recipe import Recipe
from unprompt.training.regressor import build_network, build_start, preprocessing_of

PHRASES_LIMIT = 2_200
"""The most phrases beside a decoder, most frequent first: each takes 0.4 kB."""
CHOICES = 32
"""Tokens that a step of the decoder offers: twice the beams, and some that would be repeats."""

EXAMPLES = 100
"""Training pictures that show how large the numbers inside a network are."""
SMOOTHING = 0.75
"""What lost the least of 0.5 to 0.9 with ViT-Tiny, on validation pictures."""

LARGEST_LOSS = 0.002
"""Mean cosine that an export may lose against the weights it was made of."""
CHECKED = 200
"""Number of validation pictures on which that is measured."""

_LICENCE, _ORIGIN = "see the model card", "trained by unprompt; see the model card"


class DecoderStep(nn.Module):
    """One step of a decoder: the likeliest next tokens and their log probabilities instead of all logits."""

    def __init__(self, decoder: SentenceDecoder, start: int) -> None:
        super().__init__()
        self.decoder = decoder
        self._start = start

    def forward(
        self, tokens: Tensor, vector: Tensor, past: Tensor, concepts: Tensor | None = None, style: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Returns token ids and log probabilities (batch, `CHOICES`), and the longer cache."""
        logits, present = self.decoder(tokens, vector, past, concepts, style)
        never = torch.zeros(logits.shape[-1]).index_fill(0, torch.tensor([self._start]), -1e4)
        log_probabilities, likeliest = (logits[:, 0] + never).log_softmax(dim=-1).topk(min(CHOICES, len(never)))
        return likeliest, log_probabilities, present


def export_decoder(recipe: Recipe, weights: Path, folder: Path, *, integers: bool = False) -> ModelFolder:
    """Write the decoder with these weights as a single step over cached keys and values, and its tokenizer.

    With `integers` it computes in 8-bit integers.
    """
    options, tensors = recipe.decoder, read_weights(weights)
    Tokenizer.from_file(str(weights.with_name("tokenizer.json"))).save(str(folder / "tokenizer.json"), pretty=False)
    concepts = tensors["concepts.weight"].shape[1] if "concepts.weight" in tensors else 0
    model = SentenceDecoder(
        vocabulary_size=len(tensors["tokens.weight"]),
        max_length=options.max_length,
        width=options.width,
        depth=options.depth,
        heads=options.heads,
        concepts=concepts,
    )
    model.load_state_dict(tensors)
    inputs = {
        "tokens": torch.zeros(3, 1, dtype=torch.long),
        "vector": torch.zeros(3, EMBEDDING_SIZE),
        "past": torch.zeros(options.depth, 2, 3, options.heads, 5, options.width // options.heads),
    }
    files = ["model.onnx", "tokenizer.json"]
    if concepts:
        inputs |= {"concepts": torch.zeros(3, concepts), "style": torch.zeros(3, dtype=torch.long)}
        shutil.copyfile(weights.with_name(CONCEPTS), folder / CONCEPTS)
        files.append(CONCEPTS)
    files += _phrases(weights, folder).write(folder)
    axes = {name: {0: "batch"} for name in inputs} | {"past": {2: "batch", 4: "before"}}
    start = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab()[START]
    step = DecoderStep(model, start)
    export_onnx(step, inputs, ["likeliest", "log_probabilities", "present"], axes, folder / "model.onnx")
    if integers:
        compute_in_integers(folder / "model.onnx")
    pack_weights(folder / "model.onnx", eight_bits=True)
    config = {
        "name": recipe.name,
        "architecture": "sentence_decoder",
        "max_length": options.max_length,
        "licence": "MIT",
        "origin": _ORIGIN,
        "score": _score(weights),
    }
    return write_config(folder, config, files)


def _phrases(weights: Path, folder: Path) -> Phrases:
    """The concepts, and those phrases of the run's texts whose words are concepts; all phrases if there are none."""
    texts = weights.with_name(PHRASES).read_text(encoding="utf-8").splitlines()
    concepts = (folder / CONCEPTS).read_text(encoding="utf-8").splitlines() if (folder / CONCEPTS).is_file() else []
    known = {stem for name in concepts for stem in content_stems(name)}
    kept = tuple(dict.fromkeys([*(text for text in texts if not known or content_stems(text) <= known), *concepts]))
    return Phrases(kept[:PHRASES_LIMIT], SentenceEncoder.embedded().encode(kept[:PHRASES_LIMIT]))


class Sight(nn.Module):
    """A regressor with a concept head, as one model: pixels to vectors and probabilities of concepts."""

    def __init__(self, network: RegressorNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Map pixels (batch, 3, side, side) to unit vectors (batch, 384) and probabilities (batch, concepts)."""
        features = self.network.features(pixels)
        return self.network.project(features), self.network.concept_logits(features).sigmoid()


def export_regressor(recipe: Recipe, weights: Path, folder: Path, *, integers: bool = False) -> ModelFolder:
    """Write the ONNX model of the regressor with these weights, and its preprocessing.

    With `integers` it computes in 8-bit integers, for which the recipe's training pictures have to be there. Raises
    ModelError if it loses more than `LARGEST_LOSS` against the original on the recipe's validation data, DataError if
    there are no training pictures.
    """
    network, preprocessing = trained_network(recipe, weights)
    side = preprocessing.input_size
    pixels = torch.zeros(2, 3, side, side)
    files, outputs = ["model.onnx"], ["vectors"]
    if network.concept_head is not None:
        shutil.copyfile(_beside(weights, CONCEPTS), folder / CONCEPTS)
        files, outputs = [*files, CONCEPTS], [*outputs, "concepts"]
    model = network if network.concept_head is None else Sight(network)
    export_onnx(model, {"pixels": pixels}, outputs, {"pixels": {0: "batch"}}, folder / "model.onnx")
    if integers:
        examples = _example_pictures(recipe, preprocessing)
        compute_in_integers(folder / "model.onnx", examples, smoothing=SMOOTHING)
    pack_weights(folder / "model.onnx", eight_bits=True)
    check_export(network, folder / "model.onnx", preprocessing, recipe)
    config = {
        "name": recipe.name,
        "architecture": recipe.network.name,
        "preprocessing": preprocessing.to_config(),
        "views": list(recipe.sight.views),
        "licence": _LICENCE,
        "origin": _ORIGIN,
        "score": _score(weights),
    }
    return write_config(folder, config, files)


def _example_pictures(recipe: Recipe, preprocessing: Preprocessing) -> list[dict[str, npt.NDArray[np.float32]]]:
    """Some of a recipe's training pictures, as the network is given them. Raises DataError if none can be read."""
    pairs = [pair for pair in read_pairs(recipe.data.train, recipe.data.root or None) if isinstance(pair, Pair)]
    seen = (decode(pair.picture, read_metadata=False) for pair in pairs[:: max(1, len(pairs) // EXAMPLES)])
    pixels = [preprocess(each.pixels, preprocessing)[None] for each in seen if isinstance(each, Picture)]
    if not pixels:
        raise DataError(f"expected pictures in {recipe.data.train} to see how large numbers become, found none")
    return [{"pixels": each} for each in pixels]


def concepts_of(network: RegressorNetwork, weights: Path) -> Sequence[str]:
    """The names of the concepts that a run's network sees."""
    if network.concept_head is None:
        return ()
    return _beside(weights, CONCEPTS).read_text(encoding="utf-8").splitlines()


def _beside(weights: Path, name: str) -> Path:
    """A file of the run that weights are from; those of the probe are in a folder inside it."""
    return next(path for path in (weights.with_name(name), weights.parent.with_name(name)) if path.is_file())


def regressor_folder(recipe: Recipe, run: Path, weights: Path, folder: Path) -> ModelFolder:
    """Write the torch model folder of the regressor with these weights, and its card."""
    network, preprocessing = trained_network(recipe, weights)
    score = _score(weights)
    card = model_card(recipe, run, folder.name, score)
    return save_trained(network, preprocessing, recipe, folder, score, card, concepts_of(network, weights))


def save_trained(
    network: RegressorNetwork,
    preprocessing: Preprocessing,
    recipe: Recipe,
    folder: Path,
    score: Mapping[str, float],
    card: str,
    concepts: Sequence[str] = (),
) -> ModelFolder:
    """Write the torch model folder of a network trained by a recipe. Raises what `save_network` raises."""
    return save_network(
        network,
        folder,
        name=recipe.name,
        preprocessing=preprocessing,
        views=recipe.sight.views,
        licence=_LICENCE,
        origin=_ORIGIN,
        score=score,
        card=card,
        concepts=concepts,
    )


def trained_network(recipe: Recipe, weights: Path) -> tuple[RegressorNetwork, Preprocessing]:
    """The network of a run with these weights, low-rank updates merged, and its preprocessing."""
    bare = replace(recipe, network=replace(recipe.network, weights=RANDOM))
    state = read_weights(weights)
    network = build_network(bare, build_start(bare), _concept_count(state))
    if any(name_without_lora(name)[1] for name in state):
        add_lora(network, recipe.lora)
    network.load_state_dict(state)
    merge_lora(network)
    return network.eval(), preprocessing_of(recipe.sight, network.backbone.preprocessing)


def _concept_count(state: Mapping[str, Tensor]) -> int:
    """The number of concepts that weights have a head for."""
    biases = [value for name, value in state.items() if name.startswith("concept_head.") and name.endswith(".bias")]
    return len(biases[-1]) if biases else 0


def check_export(network: RegressorNetwork, exported: Path, preprocessing: Preprocessing, recipe: Recipe) -> None:
    """Compare the scores of network and export on the recipe's first validation pictures, if they are available.

    Raises ModelError if the export loses more than `LARGEST_LOSS`.
    """
    try:
        labelled = list(
            islice(
                (
                    pair
                    for pair in read_pairs(recipe.data.validation, recipe.data.root or None)
                    if isinstance(pair, Pair)
                ),
                CHECKED,
            )
        )
    except DataError:
        return
    pictures = [decode(pair.picture, read_metadata=False) for pair in labelled]
    seen = [(pair.prompt, seen) for pair, seen in zip(labelled, pictures, strict=True) if isinstance(seen, Picture)]
    if not seen:
        return
    true = SentenceEncoder.embedded().encode([prompt for prompt, _ in seen])
    run = session(exported)
    scores = []
    for vector, (_, picture) in zip(true, seen, strict=True):
        pixels = preprocess(picture.pixels, preprocessing)[None]
        with torch.inference_mode():
            before = network(torch.from_numpy(pixels))[0].numpy()
        scores.append((vector @ before, vector @ run.run(["vectors"], {"pixels": pixels})[0][0]))
    before, after = np.mean(scores, axis=0)
    if before - after > LARGEST_LOSS:
        raise ModelError(
            f"the export scores {after:.4f} on {len(scores)} validation pictures, the original {before:.4f}; "
            f"a loss of more than {LARGEST_LOSS} is not accepted"
        )


def _score(weights: Path) -> dict[str, float]:
    """The evaluation of a run's best weights, or of its last."""
    run = weights.parent
    if weights.name == LAST:
        evaluations = [line for line in read_metrics(run) if "loss" not in line]
        last = evaluations[-1] if evaluations else {}
    else:
        found = newest_checkpoint(run)
        last = found[1]["best"] if found else {}
    return {key: round(value, 4) for key, value in last.items() if key not in NOT_CURVES}
