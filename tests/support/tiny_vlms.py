"""Folders of today's captioners at tiny size: real classes, seeded weights, in the layout of their hub repositories."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

WORDS = tuple("a picture of the cat dog house sea red blue on in with tree moon sun man big".split())  # noqa: SIM905
_SMALL = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 1024,
    "initializer_range": 0.3,  # at the usual 0.02 every picture looks the same
}
_TEXTURE = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}

QWEN_CHAT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}"
    "{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SMOL_CHAT = (
    "<|im_start|>{% for message in messages %}{{ message.role | capitalize }}"
    "{% if message.content[0].type == 'image' %}:{% else %}: {% endif %}{% for part in message.content %}"
    "{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}{% endfor %}<end_of_utterance>\n"
    "{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
LLAVA_CHAT = (
    "{{ bos_token }}{% for message in messages %}<|start|>{{ message.role }}<|end|>\n"
    "{% if message.role == 'user' %}<image>{% endif %}{{ message.content | trim }}<|eot|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant<|end|>\n{% endif %}"
)
"""JoyCaption's way: contents are texts, and the template itself puts the picture before what the user says."""


def write_vlm(kind: str, folder: Path, seed: int = 0) -> Path:
    """Write a model of BUILDERS into a folder that is made."""
    import torch

    from unprompt.models.networks.torchvision_cure import cure_torchvision

    cure_torchvision()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network, pixels, tokenizer, more = BUILDERS[kind]()
    folder.mkdir(parents=True)
    network.save_pretrained(folder)
    pixels.save_pretrained(folder)  # preprocessor_config.json, as the hub's repositories have it
    tokenizer.save_pretrained(folder)
    for name, held in more.items():
        (folder / name).write_text(json.dumps(held))
    return folder


def bpe(*special: str) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """The vocabulary of a byte-level BPE that knows WORDS, and its merges; `special` come first."""
    from tokenizers.pre_tokenizers import ByteLevel

    merges: list[tuple[str, str]] = []
    for word in [f"{blank}{word}" for word in WORDS for blank in ("", "Ġ")]:
        merges += [(word[:end], word[end]) for end in range(1, len(word))]
    merges = list(dict.fromkeys(merges))
    tokens = dict.fromkeys([*special, *sorted(ByteLevel.alphabet()), *(first + second for first, second in merges)])
    return {token: place for place, token in enumerate(tokens)}, merges


def _qwen2_5() -> tuple[Any, ...]:
    import transformers

    vision = {
        "depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 32,
        "patch_size": 14, "spatial_merge_size": 2, "window_size": 56, "fullatt_block_indexes": [1],
    }  # fmt: skip
    return _qwen(
        transformers.Qwen2_5_VLConfig, transformers.Qwen2_5_VLForConditionalGeneration, vision, side=14,
        rope_parameters={"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0},
    )  # fmt: skip


def _qwen3() -> tuple[Any, ...]:
    import transformers

    vision = {
        "depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 32,
        "patch_size": 16, "spatial_merge_size": 2, "num_position_embeddings": 64, "deepstack_visual_indexes": [0],
    }  # fmt: skip
    return _qwen(
        transformers.Qwen3VLConfig, transformers.Qwen3VLForConditionalGeneration, vision, side=16, head_dim=16,
        rope_parameters={
            "rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0, "mrope_interleaved": True
        },
    )  # fmt: skip


def _qwen(config_class: Any, network_class: Any, vision: Mapping[str, Any], side: int, **text: Any) -> tuple[Any, ...]:
    import transformers

    special = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
               "<|video_pad|>")  # fmt: skip
    vocabulary, merges = bpe(*special)
    tokenizer = transformers.Qwen2Tokenizer(
        vocab=vocabulary, merges=merges, eos_token="<|im_end|>", pad_token="<|endoftext|>",
        additional_special_tokens=list(special),
    )  # fmt: skip
    tokenizer.chat_template = QWEN_CHAT
    ids = {token: vocabulary[token] for token in special}
    config = config_class(
        text_config={**_SMALL, **text, "vocab_size": len(tokenizer) + 3, "pad_token_id": ids["<|endoftext|>"]},
        vision_config={**vision, "initializer_range": 0.3},
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )
    network = network_class(config)
    network.generation_config = transformers.GenerationConfig(
        do_sample=True, temperature=0.7, top_k=20, repetition_penalty=1.05,  # as the published ones say
        eos_token_id=[ids["<|im_end|>"], ids["<|endoftext|>"]], pad_token_id=ids["<|endoftext|>"],
    )  # fmt: skip
    area = {"shortest_edge": (2 * side) ** 2, "longest_edge": (8 * side) ** 2}
    pixels = transformers.Qwen2VLImageProcessorPil(size=area, patch_size=side, merge_size=2)
    return network, pixels, tokenizer, {}


def _idefics3() -> tuple[Any, ...]:
    import transformers

    return _smol(
        transformers.Idefics3Config, transformers.Idefics3ForConditionalGeneration,
        transformers.Idefics3ImageProcessorPil, "Idefics3Processor",
    )  # fmt: skip


def _smolvlm() -> tuple[Any, ...]:
    import transformers

    return _smol(
        transformers.SmolVLMConfig, transformers.SmolVLMForConditionalGeneration,
        transformers.SmolVLMImageProcessorPil, "SmolVLMProcessor",
    )  # fmt: skip


def _smol(config_class: Any, network_class: Any, pixels_class: Any, processor: str) -> tuple[Any, ...]:
    import transformers

    tiles = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    special = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "<fake_token_around_image>", "<global-img>",
               "<end_of_utterance>", *tiles)  # fmt: skip
    vocabulary, merges = bpe(*special)
    tokenizer = transformers.GPT2Tokenizer(
        vocab=vocabulary, merges=merges, bos_token="<|im_start|>", eos_token="<end_of_utterance>",
        unk_token="<|endoftext|>", pad_token="<|im_end|>", additional_special_tokens=list(special),
    )  # fmt: skip
    config = config_class(
        text_config={**_SMALL, "model_type": "llama", "vocab_size": len(tokenizer), "pad_token_id": 2},
        vision_config={**_TEXTURE, "image_size": 32, "patch_size": 8, "initializer_range": 0.3},
        image_token_id=vocabulary["<image>"],
        scale_factor=2,
        pad_token_id=2,
    )
    network = network_class(config)
    network.generation_config = transformers.GenerationConfig(
        bos_token_id=1, eos_token_id=vocabulary["<end_of_utterance>"], pad_token_id=2
    )
    pixels = pixels_class(size={"longest_edge": 64}, max_image_size={"longest_edge": 32})
    more = {
        "processor_config.json": {"image_seq_len": 4, "processor_class": processor},
        "chat_template.json": {"chat_template": SMOL_CHAT},
    }
    return network, pixels, tokenizer, more


def _llava() -> tuple[Any, ...]:
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    special = ("<|begin|>", "<|end_of_text|>", "<|pad|>", "<image>", "<|start|>", "<|end|>", "<|eot|>")
    vocabulary, merges = bpe(*special)
    backend = Tokenizer(models.BPE(vocabulary, merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.TemplateProcessing(single="<|begin|> $A", special_tokens=[("<|begin|>", 0)])
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<|begin|>", eos_token="<|eot|>", pad_token="<|pad|>",
        additional_special_tokens=list(special),
    )  # fmt: skip
    tokenizer.chat_template = LLAVA_CHAT
    config = transformers.LlavaConfig(
        text_config={**_SMALL, "model_type": "llama", "vocab_size": len(tokenizer), "pad_token_id": 2},
        vision_config={
            **_TEXTURE, "model_type": "siglip_vision_model", "image_size": 32, "patch_size": 8,
            "vision_use_head": False,
        },
        image_token_index=vocabulary["<image>"],
        vision_feature_select_strategy="full",
        vision_feature_layer=-2,
        image_seq_length=16,
    )  # fmt: skip
    network = transformers.LlavaForConditionalGeneration(config)
    network.generation_config = transformers.GenerationConfig(
        do_sample=True, temperature=0.6, top_p=0.9, bos_token_id=0, eos_token_id=[1, 6], pad_token_id=2
    )
    pixels = transformers.SiglipImageProcessorPil(size={"height": 32, "width": 32})
    more = {
        "processor_config.json": {
            "image_token": "<image>", "num_additional_image_tokens": 0, "patch_size": 8,
            "processor_class": "LlavaProcessor", "vision_feature_select_strategy": "full",
        }
    }  # fmt: skip
    return network, pixels, tokenizer, more


FLORENCE_TOKENS = (
    "<od>", "</od>", "<ocr>", "</ocr>", *(f"<loc_{place}>" for place in range(1000)), "<cap>", "</cap>", "<ncap>",
    "</ncap>", "<dcap>", "</dcap>", "<grounding>", "</grounding>", "<seg>", "</seg>", "<sep>", "<region_cap>",
    "</region_cap>", "<region_to_desciption>", "</region_to_desciption>", "<proposal>", "</proposal>", "<poly>",
    "</poly>", "<and>",
)  # fmt: skip
"""The tokens that Florence-2 adds to BART's."""


def florence_tokenizer(added: Sequence[str] = FLORENCE_TOKENS) -> Any:
    """BART's tokenizer with few words, and Florence-2's tokens after them."""
    import transformers

    vocabulary, merges = bpe("<s>", "<pad>", "</s>", "<unk>")
    vocabulary["<mask>"] = len(vocabulary)
    tokenizer = transformers.BartTokenizer(vocab=vocabulary, merges=merges)
    tokenizer.add_tokens(list(added), special_tokens=True)
    return tokenizer


def leave_out_places(words: Any) -> None:
    """Let a network never write the many tokens that stand for places, of which a text shows nothing."""
    words.weight.data[len(florence_tokenizer(added=())) :] = 0


def florence_text(size: int) -> dict[str, Any]:
    """The sizes of Florence-2's language model, under BART's names."""
    return {
        "model_type": "bart", "vocab_size": size, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2,
        "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48,
        "max_position_embeddings": 128, "scale_embedding": False, "init_std": 0.3, "bos_token_id": 0,
        "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2, "forced_bos_token_id": 0,
        "forced_eos_token_id": 2, "num_beams": 3, "early_stopping": True, "no_repeat_ngram_size": 3,
    }  # fmt: skip


FLORENCE_VISION: Mapping[str, Any] = {
    "depths": [1, 1], "patch_size": [7, 3], "patch_stride": [4, 2], "patch_padding": [3, 1],
    "patch_prenorm": [False, True], "num_heads": [2, 4], "num_groups": [2, 4], "window_size": 4,
    "projection_dim": 32, "drop_path_rate": 0.1,
}  # fmt: skip
FLORENCE_SIDE = 64
FLORENCE_SEEN = (FLORENCE_SIDE // 8) ** 2 + 1
"""Patches after two stages, and their mean."""


def _florence2() -> tuple[Any, ...]:
    import torch
    import transformers

    tokenizer = florence_tokenizer()
    tokenizer.add_tokens(["<image>"], special_tokens=True)
    text = {key: value for key, value in florence_text(len(tokenizer) + 2).items() if not key.startswith("forced")}
    config = transformers.Florence2Config(
        text_config=text,
        vision_config={**FLORENCE_VISION, "embed_dim": [16, 32], "initializer_range": 0.3},
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
    )
    network = transformers.Florence2ForConditionalGeneration(config)
    torch.nn.init.normal_(network.model.multi_modal_projector.image_projection.weight, std=0.3)
    leave_out_places(network.model.language_model.shared)
    network.generation_config = transformers.GenerationConfig(
        bos_token_id=0, pad_token_id=1, eos_token_id=2, decoder_start_token_id=2, forced_bos_token_id=0,
        forced_eos_token_id=2, num_beams=3, early_stopping=True, no_repeat_ngram_size=3,
    )  # fmt: skip
    more = {
        "processor_config.json": {"processor_class": "Florence2Processor", "num_additional_image_tokens": 0},
        "tokenizer_config.json": {
            "tokenizer_class": "BartTokenizer", "image_token": "<image>", "model_max_length": 128,
            "extra_special_tokens": {"image_token": "<image>"}, "bos_token": "<s>", "eos_token": "</s>",
            "cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>",
            "mask_token": "<mask>",
        },
    }  # fmt: skip
    return network, florence_pixels(), tokenizer, more


def florence_pixels() -> Any:
    """Florence-2's image processor."""
    import transformers

    side = {"height": FLORENCE_SIDE, "width": FLORENCE_SIDE}
    pixels = transformers.CLIPImageProcessorPil(
        size=side, crop_size=side, do_center_crop=False, image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )  # fmt: skip
    pixels.image_seq_length = FLORENCE_SEEN
    return pixels


BUILDERS: Mapping[str, Callable[[], tuple[Any, ...]]] = {
    "florence2": _florence2,
    "idefics3": _idefics3,
    "smolvlm": _smolvlm,
    "qwen2_5_vl": _qwen2_5,
    "qwen3_vl": _qwen3,
    "llava": _llava,
}
"""By `model_type`: each makes a network, an image processor, a tokenizer, and what other JSON files hold."""
