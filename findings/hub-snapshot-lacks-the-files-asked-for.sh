#!/usr/bin/env bash
# A good guess: snapshot_download(allow_patterns="*.safetensors", local_files_only=True) returns a folder with such
#   files or raises LocalEntryNotFoundError.
# What happens: where an earlier hf_hub_download left one other file of the repository in the cache, it returns that
#   folder, without the files asked for. hf_hub_download of a file that is not there does raise.
# Seen: November 2026, Python 3.11, huggingface_hub 2.4.0.
# Source: huggingface/huggingface_hub issue 4624: completeness is known only where a listing was cached.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check huggingface_hub==2.4.0

HF_HOME="$work/hf" HF_HUB_OFFLINE=1 "$work/venv/bin/python" - "$work/cache" <<'PYTHON'
import os
import sys
from pathlib import Path

from huggingface_hub import hf_hub_download, snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError

# What the cache holds after hf_hub_download("owner/model", "config.json").
cache, commit, blob = Path(sys.argv[1]), "a" * 40, "b" * 40
repository = cache / "models--owner--model"
for name in ("blobs", "refs", f"snapshots/{commit}"):
    (repository / name).mkdir(parents=True)
(repository / "blobs" / blob).write_text("{}")
(repository / "refs" / "main").write_text(commit)
os.symlink(f"../../blobs/{blob}", repository / "snapshots" / commit / "config.json")

options = {"cache_dir": cache, "local_files_only": True}
print("hf_hub_download of config.json:", Path(hf_hub_download("owner/model", "config.json", **options)).name)
try:
    hf_hub_download("owner/model", "model.safetensors", **options)
except LocalEntryNotFoundError as error:
    print("hf_hub_download of model.safetensors raises:", type(error).__name__)
else:
    raise SystemExit("changed: expected hf_hub_download to raise LocalEntryNotFoundError")

folder = Path(snapshot_download("owner/model", allow_patterns="*.safetensors", **options))
found = sorted(path.name for path in folder.iterdir())
print("snapshot_download of *.safetensors returns a folder with:", found)
if found != ["config.json"]:
    raise SystemExit("changed: expected a folder with config.json alone")
PYTHON
