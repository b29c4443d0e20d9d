#!/usr/bin/env bash
# A good guess: a processor and its tokenizer each have a chat_template, so a new one that is set on the tokenizer is saved
#   with it, and read again.
# What happens: both are saved into one chat_template.jinja, and the processor's comes last. What was set on
#   `processor.tokenizer` is lost without a word; after reading, the tokenizer has the processor's.
# Seen: November 2026, Python 3.11, transformers 5.24.0, pillow 13.0.0, numpy 2.4.6, without torch.
# Source: transformers/processing_utils.py, save_pretrained; transformers/tokenization_utils_base.py, save_chat_templates.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check transformers==5.24.0 pillow==13.0.0 numpy==2.4.6

HF_HUB_OFFLINE=1 "$work/venv/bin/python" - "$work/model" <<'PYTHON'
import logging
import os
import sys

from tokenizers import Tokenizer, models

logging.disable(logging.WARNING)  # that there is no torch, which is not needed here
from transformers import AutoTokenizer, CLIPImageProcessorPil, LlavaProcessor, PreTrainedTokenizerFast

words = Tokenizer(models.WordLevel({"a": 0, "<image>": 1}, "a"))
tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, extra_special_tokens={"image_token": "<image>"})
processor = LlavaProcessor(CLIPImageProcessorPil(), tokenizer, patch_size=14, chat_template="for pictures")
processor.tokenizer.chat_template = "for texts alone"
processor.save_pretrained(sys.argv[1])

saved = [name for name in sorted(os.listdir(sys.argv[1])) if "template" in name]
read = AutoTokenizer.from_pretrained(sys.argv[1]).chat_template
alone = f"{sys.argv[1]}-alone"
processor.tokenizer.save_pretrained(alone)
print("set on the tokenizer:", processor.tokenizer.chat_template)
print("files:", saved, "- read again by the tokenizer:", read)
print("saved by the tokenizer alone and read again:", AutoTokenizer.from_pretrained(alone).chat_template)
if (saved, read) != (["chat_template.jinja"], "for pictures"):
    raise SystemExit("changed: expected one file, with the processor's template")
PYTHON
