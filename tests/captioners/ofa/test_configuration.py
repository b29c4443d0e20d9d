"""Configs of checkpoints: the published ones are read, others refused with what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from unprompt.captioners.ofa.configuration import Configuration
from unprompt.errors import ModelError

pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from tiny_ofa import config  # noqa: E402

LARGE = {
    "model_type": "ofa",
    "vocab_size": 59457,
    "d_model": 1024,
    "encoder_layers": 12,
    "decoder_layers": 12,
    "encoder_attention_heads": 16,
    "decoder_attention_heads": 16,
    "encoder_ffn_dim": 4096,
    "decoder_ffn_dim": 4096,
    "max_position_embeddings": 1024,
    "token_bucket_size": 256,
    "image_bucket_size": 42,
    "resnet_type": "resnet152",
}


def test_a_published_config_with_all_that_it_holds() -> None:
    more = {"normformer": True, "attn_scale_factor": 2, "dropout": 0.1, "transformers_version": "4.18", "id2label": {}}
    read = Configuration.from_config({**LARGE, **more})
    assert read.d_model == 1024
    assert read.resnet_type == "resnet152"
    assert read == Configuration.from_config(LARGE)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "bart"}, "model_type = 'ofa'; found 'bart'"),
        ({"d_model": 0}, "expected d_model to be a whole number from 8 to 8,192, found 0; take the config"),
        ({"d_model": 10**9}, "d_model to be .*, found 1000000000"),
        ({"d_model": True}, "d_model to be .*, found True"),
        ({"d_model": "32"}, "d_model to be .*, found '32'"),
        ({"d_model": 33}, "expected the heads of its encoder to divide 33, found 4"),
        ({"decoder_attention_heads": 5}, "expected the heads of its decoder to divide 32, found 5"),
        ({"encoder_layers": 4.0}, r"encoder_layers to be .*, found 4\.0"),
        ({"vocab_size": 10**12}, "vocab_size"),
        ({"max_position_embeddings": 4096}, "from 8 to 1,024"),
        ({"resnet_type": "resnet18"}, "unknown resnet_type in .* 'resnet18'; did you mean 'resnet1"),
        ({"resnet_type": []}, "resnet_type"),
        ({"normformer": False}, "normformer = False; every published OFA has True"),
        ({"attn_scale_factor": 1.0}, "attn_scale_factor"),
        ({"pad_token_id": 0}, "pad_token_id"),
        ({"scale_embedding": True}, "scale_embedding"),
    ],
)
def test_another_kind_of_model(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Configuration.from_config(config(**changes))


def test_what_is_missing_is_named_at_once() -> None:
    with pytest.raises(ModelError, match="lacks 'd_model', 'resnet_type'; take the config"):
        Configuration.from_config({key: value for key, value in LARGE.items() if key not in ("d_model", "resnet_type")})


@pytest.mark.parametrize("held", [None, [], "ofa", 3])
def test_no_object(held: Any) -> None:
    with pytest.raises(ModelError, match="expected OFA's config as a JSON object"):
        Configuration.from_config(held)
