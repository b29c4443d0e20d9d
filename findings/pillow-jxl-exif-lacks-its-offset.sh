#!/usr/bin/env bash
# A good guess: the Exif box of a JPEG XL begins with the four bytes of the offset to the TIFF header, as ISO/IEC 18181-2 has
#   it, whoever wrote the file.
# What happens: the plug-in's box begins with the TIFF header itself. A reader that skips four bytes, or takes them for an
#   offset, finds nothing; it has to look where the header is.
# Seen: November 2026, Python 3.11, pillow-jxl-plugin 1.3.8, Pillow 12.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check pillow-jxl-plugin==1.3.8 'pillow>=12,<13'

"$work/venv/bin/python" - "$work/a.jxl" <<'PYTHON'
import sys

import pillow_jxl  # registers the format
from PIL import Image

exif = Image.Exif()
exif[0x010E] = "a fox"
Image.new("RGB", (8, 8)).save(sys.argv[1], exif=exif.tobytes())
data = open(sys.argv[1], "rb").read()
at = data.index(b"Exif") + 4
print("the box begins with", data[at : at + 12])
if data[at : at + 4] == bytes(4):
    raise SystemExit("changed: expected a box without an offset")
PYTHON
