#!/usr/bin/env bash
# A good guess: a data set whose paths are cast to Image writes a parquet file that holds its pictures, as the upload to
#   the hub does, whose default is to embed files.
# What happens: to_parquet writes the path alone, with bytes of null, also where the path is relative. Moved to another
#   machine, the file has rows and no pictures. Mapping embed_table_storage over the Arrow table first puts the bytes in.
# Seen: November 2026, Python 3.11, datasets 5.2.0, Pillow 13.0.0, pyarrow 26.0.1.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check datasets==5.2.0 Pillow==13.0.0 pyarrow==26.0.1

cd "$work"
HF_HOME="$work/hf" HF_HUB_OFFLINE=1 "$work/venv/bin/python" - <<'PYTHON'
import datasets
import pyarrow.parquet
from datasets.table import embed_table_storage
from PIL import Image

datasets.disable_progress_bars()
Image.new("RGB", (8, 8)).save("fox.png")
pictures = datasets.Dataset.from_dict({"image": ["fox.png"], "text": ["a red fox"]}).cast_column("image", datasets.Image())


def stored(data: datasets.Dataset, path: str) -> dict[str, object]:
    """What a parquet file of the data set has in the place of its picture."""
    data.to_parquet(path)
    return pyarrow.parquet.read_table(path).column("image")[0].as_py()


plain = stored(pictures, "plain.parquet")
embedded = stored(pictures.with_format("arrow").map(embed_table_storage, batched=True), "embedded.parquet")
print(f"to_parquet: path {plain['path']}, bytes {plain['bytes']}")
print(f"after embed_table_storage: path {embedded['path']}, {len(embedded['bytes'])} bytes")
if plain["bytes"] is not None or not embedded["bytes"]:
    raise SystemExit("changed: expected no bytes, then those of the picture")
PYTHON
