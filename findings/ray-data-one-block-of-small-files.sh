#!/usr/bin/env bash
# A good guess: read_parquet(folder, override_num_blocks=20) of 20 files makes 20 blocks, so that 20 tasks share the work, 20
#   files come out, and a checkpoint saves a twentieth at a time.
# What happens: one block, with and without the number, and no warning. read_binary_files heeds it.
# Seen: November 2026, Python 3.11, ray 2.60.0, pyarrow 26.0.1, pandas 3.1.1.
# Source: ray-project/ray, python/ray/data/read_api.py: the new reader of parquet (DataContext.use_datasource_v2, on by
#   default); .repartition(20) after it is the cure.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check 'ray[data]==2.60.0' pyarrow==26.0.1 pandas==3.1.1

export RAY_USAGE_STATS_ENABLED=0 RAY_DATA_USAGE_DISABLED=1
HOME="$work" "$work/venv/bin/python" - "$work" 2>"$work/log" <<'PYTHON' || { tail -n 5 "$work/log" >&2; exit 1; }
import sys
from pathlib import Path

import pyarrow
import ray
from pyarrow import parquet

work = Path(sys.argv[1])
ray.init("local", num_cpus=4, include_dashboard=False, log_to_driver=False, _temp_dir=str(work / "ray"))
for number in range(20):
    for kind in ("tables", "files"):
        (work / kind).mkdir(exist_ok=True)
    parquet.write_table(pyarrow.table({"x": [number] * 20}), work / "tables" / f"{number}.parquet")
    (work / "files" / f"{number}.bin").write_bytes(b"x")
tables, files = str(work / "tables"), str(work / "files")
found = {
    "read_parquet": ray.data.read_parquet(tables),
    "read_parquet, override_num_blocks=20": ray.data.read_parquet(tables, override_num_blocks=20),
    "the same, repartition(20)": ray.data.read_parquet(tables, override_num_blocks=20).repartition(20),
    "read_binary_files, override_num_blocks=20": ray.data.read_binary_files(files, override_num_blocks=20),
}
blocks = {name: dataset.materialize().num_blocks() for name, dataset in found.items()}
for name, count in blocks.items():
    print(f"{name}: {count} blocks")
if list(blocks.values()) != [1, 1, 20, 20]:
    raise SystemExit("changed: expected 1, 1, 20 and 20 blocks")
PYTHON
