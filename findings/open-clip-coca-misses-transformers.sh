#!/usr/bin/env bash
# A good guess: CoCa's generate in open_clip needs transformers, so with transformers installed it writes a caption.
# What happens: with transformers 5 it says "Please install transformers", installed as it is. The import that fails
#   is that of BeamSearchScorer, a class which transformers 5 no longer has; open_clip takes this for a missing
#   package. The network itself works.
# Seen: November 2026, Python 3.11, open_clip_torch 3.3.0, transformers 5.24.0, torch 2.13.0, torchvision 0.28.0.
# Source: the head of open_clip/coca_model.py; mlfoundations/open_clip issue 1129 (the step before, transformers
#   4.56).
# It installs torch: with PyPI's builds for Linux that is several GB.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check \
    open_clip_torch==3.3.0 transformers==5.24.0 torch==2.13.0 torchvision==0.28.0

HF_HUB_OFFLINE=1 "$work/venv/bin/python" - <<'PYTHON'
import importlib
import logging
import sys
from importlib.metadata import version

import torch

try:
    import torchvision
except RuntimeError:  # a torchvision for CUDA beside a torch for the CPU: declare what it could not
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    importlib.import_module("torchvision")

import open_clip

logging.disable(logging.WARNING)  # that the weights are random
sizes = open_clip.get_model_config("coca_ViT-B-32")
del sizes["custom_text"]
small = {"width": 32, "heads": 4, "layers": 1}
sizes["text_cfg"].update(small)
sizes["multimodal_cfg"].update(small)
sizes["vision_cfg"].update(image_size=32, patch_size=16, width=32, head_width=16, layers=1, attn_pooler_heads=2)
sizes["embed_dim"] = 32
model = open_clip.create_model("coca_ViT-B-32", load_weights=False, **sizes).eval()

picture = torch.rand(1, 3, 32, 32)
with torch.no_grad():
    print("encode_image gives", tuple(model.encode_image(picture).shape))
print("transformers", version("transformers"), "is installed")
try:
    model.generate(picture)
except AssertionError as error:
    print("generate says:", error)
    if "install transformers" not in str(error):
        raise SystemExit("changed: expected the advice to install transformers") from error
else:
    raise SystemExit("changed: expected generate to fail")
PYTHON
