#!/usr/bin/env bash
# A good guess: llm_int8_skip_modules=["vision_tower", "multi_modal_projector"] keeps what sees the picture out of the
#   quantisation, as the pages of LLaVA-like models advise, and the last layer stays whole as always.
# What happens: with transformers 5 a name in that list is matched from the beginning of a module's full name, or as its end.
#   "model.vision_tower.vision_model..." begins with "model.", so nothing is skipped, without a word; and because there is a
#   list, the default no longer holds and lm_head gets 8 bits too. ["model.vision_tower", ..., "lm_head"] does what was meant.
# Seen: November 2026, Python 3.11, transformers 5.24.0, bitsandbytes 0.50.2, torch 2.13.0 on a CPU.
# Source: transformers/quantizers/quantizers_utils.py, should_convert_module; transformers issue 45674 (lm_head);
#   1038lab/ComfyUI-JoyCaption pull request 53 (where it ends in "self and mat2 must have the same dtype").
# It installs torch: with PyPI's builds for Linux that is several GB.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check \
    transformers==5.24.0 bitsandbytes==0.50.2 accelerate==1.15.0 torch==2.13.0

HF_HUB_OFFLINE=1 "$work/venv/bin/python" - "$work/model" <<'PYTHON'
import logging
import sys

import torch
from transformers import BitsAndBytesConfig, LlavaConfig, LlavaForConditionalGeneration
from transformers.utils import logging as library

library.disable_progress_bar()
logging.disable(logging.WARNING)  # that faster kernels for CPUs could be installed
text = {"model_type": "llama", "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 2, "vocab_size": 64}
vision = {"model_type": "clip_vision_model", "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1,
          "num_attention_heads": 2, "image_size": 28, "patch_size": 14}
LlavaForConditionalGeneration(LlavaConfig(text_config=text, vision_config=vision)).save_pretrained(sys.argv[1])

PARTS = ("vision_tower", "multi_modal_projector", "language_model", "lm_head")


def quantised(skipped: list[str] | None) -> dict[str, int]:
    """How many layers of each part get 8 bits."""
    network = LlavaForConditionalGeneration.from_pretrained(
        sys.argv[1],
        quantization_config=BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=skipped),
        device_map={"": "cpu"},
    )
    layers = [name for name, layer in network.named_modules() if type(layer).__name__ == "Linear8bitLt"]
    return {part: sum(part in name for name in layers) for part in PARTS}


short = ["vision_tower", "multi_modal_projector"]
whole = [*(f"model.{name}" for name in short), "lm_head"]
found = {str(skipped): quantised(skipped) for skipped in (None, short, whole)}
for skipped, layers in found.items():
    print(f"skip {skipped}: layers in 8 bits: {layers}")
none, named, meant = found.values()
if not (named["vision_tower"] == none["vision_tower"] > 0 and named["lm_head"] == 1 and none["lm_head"] == 0):
    raise SystemExit("changed: expected short names to skip nothing, and to take the last layer's exemption away")
if meant["vision_tower"] or meant["lm_head"] or not meant["language_model"]:
    raise SystemExit("changed: expected whole names to be skipped")
PYTHON
