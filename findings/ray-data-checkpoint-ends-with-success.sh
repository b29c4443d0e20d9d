#!/usr/bin/env bash
# A good guess: with a checkpoint, the same job run again writes nothing that is written already.
# What happens: that holds after a crash. After a success the checkpoint deletes itself (delete_checkpoint_on_success is on
#   by default), and write_parquet appends: the next run writes every row a second time, without a word. A scheduler that
#   gives a job again, not knowing that it ended well, doubles the data.
# Seen: November 2026, Python 3.11, ray 2.60.0, pyarrow 26.0.1, pandas 3.1.1.
# Source: ray-project/ray, python/ray/data/checkpoint/interfaces.py: delete_checkpoint_on_success.
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
from ray.data.checkpoint import CheckpointConfig

work = Path(sys.argv[1])
ray.init("local", num_cpus=4, include_dashboard=False, log_to_driver=False, _temp_dir=str(work / "ray"))
(work / "in").mkdir()
parquet.write_table(pyarrow.table({"id": ["a", "b", "c"]}), work / "in" / "0.parquet")


def rows_after_two_runs(name: str, **options: bool) -> list[int]:
    found = []
    for _ in range(2):
        context = ray.data.DataContext.get_current()
        context.checkpoint_config = CheckpointConfig("id", str(work / f"checkpoint of {name}"), **options)
        answers = ray.data.read_parquet(str(work / "in")).map_batches(lambda batch: batch)
        answers.write_parquet(str(work / name))
        found.append(parquet.read_table(work / name).num_rows)
    return found


default = rows_after_two_runs("default")
kept = rows_after_two_runs("kept", delete_checkpoint_on_success=False)
print(f"3 rows, written by two runs: {default}; with delete_checkpoint_on_success=False: {kept}")
if (default, kept) != ([3, 6], [3, 3]):
    raise SystemExit("changed: expected [3, 6] and [3, 3]")
PYTHON
