#!/usr/bin/env bash
# A good guess: SmolVLM cuts a picture into tiles of 512 pixels, so one of 64 or 512 pixels is one tile, and costs a
#   seventeenth of one of 2048.
# What happens: its processor first enlarges every picture until the longer side has 2048 pixels, and then cuts. A thumbnail
#   of 64 pixels becomes 17 tiles, as many as the largest photo: over a thousand tokens, and seconds of a CPU. With
#   do_image_splitting=False it is one tile.
# Seen: November 2026, Python 3.11, transformers 5.24.0, pillow 13.0.0, numpy 2.4.6. The sizes are those that
#   SmolVLM-256M-Instruct's preprocessor_config.json names.
# Source: transformers/models/smolvlm/image_processing_pil_smolvlm.py, `resize`; ml-explore/mlx-swift-lm issue 208, where a port
#   that did the same took 4.6 times as long.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check transformers==5.24.0 pillow==13.0.0 numpy==2.4.6

HF_HUB_OFFLINE=1 "$work/venv/bin/python" - <<'PYTHON'
import logging

from PIL import Image

logging.disable(logging.WARNING)  # that there is no torch, which is not needed here
from transformers import SmolVLMImageProcessorPil

processor = SmolVLMImageProcessorPil(size={"longest_edge": 2048}, max_image_size={"longest_edge": 512})


def tiles(side: int, **options: bool) -> int:
    """How many pictures of 512 pixels the network gets for one of this side."""
    picture = Image.new("RGB", (side, side), "tan")
    return processor(images=[[picture]], return_tensors="np", **options)["pixel_values"].shape[1]


counts = {side: tiles(side) for side in (64, 512, 2048)}
whole = tiles(64, do_image_splitting=False)
print("tiles by the picture's side:", counts)
print("of 64 pixels without splitting:", whole)
if set(counts.values()) != {17} or whole != 1:
    raise SystemExit("changed: expected 17 tiles for every size, and one without splitting")
PYTHON
