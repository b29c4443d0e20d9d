#!/usr/bin/env bash
# A good guess: a row without an id is refused when the checkpoint is made, or written once like the others.
# What happens: the first run succeeds, and every later one fails as it begins, in the worker that sorts the ids: '<' not
#   supported between instances of 'NoneType' and 'str'. One null among text ids, and a job of a week cannot be resumed.
#   With numbers as ids there is no error, and the rows without one are written again by each run.
# Seen: November 2026, Python 3.11, ray 2.60.0, pyarrow 26.0.1, pandas 3.1.1.
# Source: ray-project/ray, python/ray/data/checkpoint/checkpoint_filter.py: convert_and_sort_checkpointed_ids.
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


def two_runs(name: str, ids: list[object]) -> list[object]:
    """The rows that are there after each run, or the last words of its error."""
    (work / name).mkdir()
    parquet.write_table(pyarrow.table({"id": ids}), work / name / "0.parquet")
    found: list[object] = []
    for _ in range(2):
        context = ray.data.DataContext.get_current()
        path = str(work / f"checkpoint of {name}")
        context.checkpoint_config = CheckpointConfig("id", path, delete_checkpoint_on_success=False)
        try:
            answers = ray.data.read_parquet(str(work / name)).map_batches(lambda batch: batch)
            answers.write_parquet(str(work / f"out of {name}"))
        except Exception as error:
            found.append("NoneType" in str(error))
        else:
            found.append(parquet.read_table(work / f"out of {name}").num_rows)
    return found


texts, numbers = two_runs("texts", ["a", "b", None]), two_runs("numbers", [1, 2, None])
print(f"3 rows, one without an id, in two runs: text ids {texts} (True: an error that speaks of NoneType)")
print(f"the same with numbers: {numbers}")
if texts != [3, True] or numbers != [3, 4]:
    raise SystemExit("changed: expected an error of the second run with texts, and 4 rows with numbers")
PYTHON
