#!/usr/bin/env bash
# A good guess: load_dataset of a folder with a metadata.jsonl loads every picture that it lists, with its text.
# What happens: one picture whose name holds the word "train" (or test, val, dev, eval) makes a split of that name.
#   The other pictures are dropped without a word, and so is metadata.jsonl, as its own name holds no such word.
#   Pictures named by their prompts meet this easily.
# Seen: November 2026, Python 3.11, datasets 5.2.0, Pillow 13.0.0.
# Source: huggingface/datasets issues 5021 and 7201 (open).
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check datasets==5.2.0 Pillow==13.0.0

HF_HOME="$work/hf" HF_HUB_OFFLINE=1 "$work/venv/bin/python" - "$work" <<'PYTHON'
import json
import sys
from pathlib import Path

import datasets
from PIL import Image

datasets.disable_progress_bars()


def rows(folder: Path, names: list[str]) -> tuple[int, list[str]]:
    """What is loaded of a folder with these pictures: the rows of all splits, and the columns."""
    folder.mkdir()
    for name in names:
        Image.new("RGB", (8, 8)).save(folder / f"{name}.png")
    lines = [json.dumps({"file_name": f"{name}.png", "text": name}) for name in names]
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    splits = datasets.load_dataset("imagefolder", data_dir=str(folder))
    return sum(len(split) for split in splits.values()), next(iter(splits.values())).column_names


work = Path(sys.argv[1])
without = rows(work / "without", ["a red fox", "a blue car", "a bus in the snow"])
print("a red fox, a blue car, a bus in the snow: %d rows of %s" % without)
with_train = rows(work / "with", ["a red fox", "a blue car", "a train in the snow"])
print("a red fox, a blue car, a train in the snow: %d rows of %s" % with_train)
if without != (3, ["image", "text"]) or with_train != (1, ["image"]):
    raise SystemExit("changed: expected 3 rows with texts, then 1 row without")
PYTHON
