#!/usr/bin/env bash
# A good guess: read_binary_files(folder) reads all files below a folder, or says which it leaves out.
# What happens: names that begin with "_", and all in folders whose names do, are left out without a word, for Hive marks
#   with it what is not data. Cameras and people begin names with it as well: _DSC0001.jpg. A list of files is read whole.
# Seen: November 2026, Python 3.11, ray 2.60.0, pyarrow 26.0.1, pandas 3.1.1.
# Source: ray-project/ray, python/ray/data/datasource/file_meta_provider.py and path_util.py: ignore_prefixes [".", "_"].
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check 'ray[data]==2.60.0' pyarrow==26.0.1 pandas==3.1.1

export RAY_USAGE_STATS_ENABLED=0 RAY_DATA_USAGE_DISABLED=1
HOME="$work" "$work/venv/bin/python" - "$work" 2>"$work/log" <<'PYTHON' || { tail -n 5 "$work/log" >&2; exit 1; }
import sys
from pathlib import Path

import ray

work = Path(sys.argv[1])
ray.init("local", num_cpus=4, include_dashboard=False, log_to_driver=False, _temp_dir=str(work / "ray"))
names = ["DSC0001.jpg", "_DSC0002.jpg", "_edited/DSC0003.jpg"]
for name in names:
    path = work / "pictures" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"a picture")
folder = work / "pictures"


def read(paths: object) -> list[str]:
    rows = ray.data.read_binary_files(paths, include_paths=True).take_all()
    return sorted(Path(row["path"]).relative_to(folder).as_posix() for row in rows)


by_folder, by_list = read(str(folder)), read([str(folder / name) for name in names])
print(f"the folder: {by_folder}")
print(f"its files in a list: {by_list}")
if by_folder != names[:1] or by_list != names:
    raise SystemExit("changed: expected one file of the folder, and all of the list")
PYTHON
