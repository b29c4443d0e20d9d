#!/usr/bin/env bash
# A good guess: safetensors files of the same tensors and the same metadata are equal to the byte.
# What happens: with two or more metadata entries, their order in the header is that of a hash map and changes from
#   save to save, so the hash of the file changes too. Without metadata the bytes are always the same.
# Seen: November 2026, Python 3.11, safetensors 0.8.0, numpy 2.4.6.
# Source: safetensors/safetensors issue 584, open.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check safetensors==0.8.0 numpy==2.4.6

"$work/venv/bin/python" - <<'PYTHON'
import hashlib

import numpy as np
from safetensors.numpy import save

tensors = {"weight": np.ones((2, 3), np.float32), "bias": np.zeros(3, np.float32)}
metadata = {"format": "pt", "base_model": "v1-5", "author": "me", "resolution": "512", "steps": "1500"}


def files(times: int, **options: dict[str, str]) -> int:
    """The number of different files out of so many saves."""
    return len({hashlib.sha256(save(tensors, **options)).hexdigest() for _ in range(times)})


plain, with_metadata = files(50), files(50, metadata=metadata)
print("different files out of 50, without metadata:", plain)
print("different files out of 50, with 5 metadata entries:", with_metadata)
if plain != 1 or with_metadata == 1:
    raise SystemExit("changed: expected one file without metadata and several with it")
PYTHON
