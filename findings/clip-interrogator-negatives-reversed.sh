#!/usr/bin/env bash
# A good guess: LabelTable.rank(..., reverse=True) of clip-interrogator gives the labels least like a picture, the
#   least like first, whatever the length of the list.
# What happens: a list longer than chunk_size (2,048 by default) is ranked in chunks, and the last step forgets
#   `reverse`: of the labels that the chunks gave, it returns those most like the picture. The flavors for negative
#   prompts are ranked so.
# Seen: November 2026, Python 3.11, clip-interrogator 0.6.0, torch 2.13.0, torchvision 0.28.0, open_clip_torch 3.3.0,
#   transformers 5.24.0.
# Source: the end of LabelTable.rank in clip_interrogator/clip_interrogator.py.
# It installs torch: with PyPI's builds for Linux that is several GB.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check \
    clip-interrogator==0.6.0 open_clip_torch==3.3.0 transformers==5.24.0 torch==2.13.0 torchvision==0.28.0

HF_HUB_OFFLINE=1 "$work/venv/bin/python" - <<'PYTHON'
import importlib
import sys
import warnings

import numpy as np
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

warnings.simplefilter("ignore")  # of torch.cuda.amp.autocast, which the package still uses
from clip_interrogator import Config, LabelTable

# Labels at even angles from the picture: "0 degrees" is the most like it, "99 degrees" the least.
angles = np.radians(np.arange(100))
vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
picture = torch.tensor([[1.0, 0.0]])


def least_alike(chunk_size: int) -> list[str]:
    config = Config(chunk_size=chunk_size, cache_path=None, device="cpu", quiet=True)
    table = LabelTable.__new__(LabelTable)
    table.config, table.device, table.chunk_size = config, config.device, chunk_size
    table.labels = [f"{angle} degrees" for angle in range(100)]
    table.embeds = list(vectors)
    return table.rank(picture, 3, reverse=True)


whole, chunked = least_alike(chunk_size=100), least_alike(chunk_size=50)
print("the three least alike, in one chunk:", whole)
print("the three least alike, in two chunks:", chunked)
if whole != ["99 degrees", "98 degrees", "97 degrees"]:
    raise SystemExit("changed: expected the three least alike from one chunk")
if chunked == whole:
    raise SystemExit("changed: expected other labels from two chunks")
PYTHON
