#!/usr/bin/env bash
# A good guess: ftfy, which CLIP's tokenizers run first, mends a name in a list of terms whatever stands beside it, so
#   the tokens of "a, b" are those of "a," and "b".
# What happens: an encoding is undone only if all of the text can be: a dash at the end of a prompt leaves a broken
#   name at its start as it is. And an HTML entity is resolved only while no "<" is anywhere in the text, so a LoRA
#   tag at the end of a prompt leaves "&amp;" standing.
# Seen: November 2026, Python 3.11, ftfy 6.3.1.
# Source: ftfy.fix_text and ftfy.TextFixerConfig.unescape_html; basic_clean in open_clip/tokenizer.py.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check ftfy==6.3.1

"$work/venv/bin/python" - <<'PYTHON'
from ftfy import fix_text

changed = False
for start, end, mended in (
    ("by Jos√© de Goya", "8k — sharp", "by José de Goya"),  # UTF-8 read as Mac Roman
    ("salt &amp; pepper", "<lora:film:0.8>", "salt & pepper"),
):
    alone, together = fix_text(start), fix_text(f"{start}, {end}")
    print(f"{start!r} alone: {alone!r}; before {end!r}: {together!r}")
    changed |= (alone, fix_text(end), together) != (mended, end, f"{start}, {end}")
if changed:
    raise SystemExit("changed: expected each start to be mended alone and left as it is before its end")
PYTHON
