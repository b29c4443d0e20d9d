"""Folders of transformers' captioners at tiny size: real classes, seeded weights, the layout that they are saved in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

WORDS = tuple("a picture of the cat dog house sea red blue on in with tree moon sun man big".split())  # noqa: SIM905
SIDE = 32
_VISION = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": SIDE,
    "patch_size": 16,
    "initializer_range": 0.5,  # at the usual 0.02 every picture looks the same
}
_LANGUAGE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 64}
_QUERIES = 4


def write_captioner(kind: str, folder: Path, seed: int = 0) -> Path:
    """Writes "blip", "git", "blip-2-opt" or "blip-2-t5" into a folder that is made."""
    import torch

    from unprompt.models.networks.torchvision_cure import cure_torchvision

    cure_torchvision()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network, processor = BUILDERS[kind]()
    network.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _blip() -> tuple[Any, Any]:
    import transformers

    tokenizer = bert_tokenizer()
    text = {
        **_LANGUAGE,
        "intermediate_size": 48,
        "vocab_size": len(tokenizer) + 2,
        "bos_token_id": len(tokenizer),
        "pad_token_id": tokenizer.pad_token_id,
        "sep_token_id": tokenizer.sep_token_id,
        "initializer_range": 0.5,
    }
    config = transformers.BlipConfig(vision_config=_VISION, text_config=text)
    return transformers.BlipForConditionalGeneration(config), transformers.BlipProcessor(_square(), tokenizer)


def _git() -> tuple[Any, Any]:
    import transformers

    tokenizer = bert_tokenizer()
    config = transformers.GitConfig(
        vision_config=_VISION,
        **_LANGUAGE,
        intermediate_size=48,
        vocab_size=len(tokenizer),
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.5,
    )
    cropped = transformers.CLIPImageProcessorPil(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}
    )
    return transformers.GitForCausalLM(config), transformers.GitProcessor(cropped, tokenizer)


def _blip2_opt() -> tuple[Any, Any]:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    words = [f"{blank}{word}" for word in WORDS for blank in ("", "Ġ")]
    tokenizer = Tokenizer(models.WordLevel(_numbered("<s>", "<pad>", "</s>", "<unk>", "Ċ", *words), unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(single="</s> $A", special_tokens=[("</s>", 2)])
    text = {
        **_LANGUAGE,
        "model_type": "opt",
        "ffn_dim": 48,
        "word_embed_proj_dim": 32,
        "bos_token_id": 2,
        "pad_token_id": 1,
        "eos_token_id": 4,  # the end of a line, as in the published ones
        "init_std": 0.5,
    }
    return _blip2(tokenizer, text)


def _blip2_t5() -> tuple[Any, Any]:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    words = [(word, -float(place)) for place, word in enumerate(["<pad>", "</s>", "<unk>", *(f"▁{w}" for w in WORDS)])]
    tokenizer = Tokenizer(models.Unigram(words, unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    text = {
        "model_type": "t5",
        "d_model": 32,
        "d_kv": 16,
        "d_ff": 48,
        "num_layers": 2,
        "num_decoder_layers": 2,
        "num_heads": 2,
        "decoder_start_token_id": 0,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "initializer_factor": 3.0,
    }
    return _blip2(tokenizer, text)


def _blip2(backend: Any, text: Mapping[str, Any]) -> tuple[Any, Any]:
    import torch
    import transformers

    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="</s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )
    processor = transformers.Blip2Processor(_square(), tokenizer, num_query_tokens=_QUERIES)  # adds <image>
    reader = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
    config = transformers.Blip2Config(
        vision_config=_VISION,
        qformer_config={**reader, "encoder_hidden_size": 32, "initializer_range": 0.5},
        text_config={**text, "vocab_size": len(tokenizer)},
        num_query_tokens=_QUERIES,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    network = transformers.Blip2ForConditionalGeneration(config)
    torch.nn.init.normal_(network.query_tokens)
    torch.nn.init.normal_(network.language_projection.weight)
    return network, processor


def bert_tokenizer() -> Any:
    """BERT's kind of tokenizer, with few words."""
    import transformers

    return transformers.BertTokenizer(vocab=_numbered("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "##s"))


def _square() -> Any:
    import transformers

    return transformers.BlipImageProcessorPil(size={"height": SIDE, "width": SIDE})


def _numbered(*words: str) -> dict[str, int]:
    return {word: place for place, word in enumerate(words)}


BUILDERS: Mapping[str, Callable[[], tuple[Any, Any]]] = {
    "blip": _blip,
    "git": _git,
    "blip-2-opt": _blip2_opt,
    "blip-2-t5": _blip2_t5,
}
"""Each makes a network and its processor."""
