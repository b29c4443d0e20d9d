#!/usr/bin/env bash
# A good guess: `Decompressor.process(data, output_buffer_limit=1000)` gives at most 1,000 bytes, as zlib's max_length does.
# What happens: the limit only ends the growth of the output, whose first block is 32 KiB: a limit of 1,000 gives 32,752
#   bytes here. Who counts on the limit to the byte has to measure what came.
# Seen: November 2026, Python 3.11, brotli 1.2.1.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check brotli==1.2.1

"$work/venv/bin/python" - <<'PYTHON'
import zlib

import brotli

text = b"a fox " * 20_000
limit = 1_000
by_zlib = len(zlib.decompressobj().decompress(zlib.compress(text), limit))
by_brotli = len(brotli.Decompressor().process(brotli.compress(text), output_buffer_limit=limit))
print(f"asked for at most {limit} bytes: zlib gives {by_zlib}, brotli {by_brotli}")
if by_zlib != limit or by_brotli <= limit:
    raise SystemExit("changed: expected the limit of zlib, and more than it of brotli")
PYTHON
