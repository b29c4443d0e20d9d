#!/usr/bin/env bash
# Builds the wheel, installs it into an empty environment without torch, and runs it from a foreign folder.
# What it proves: the core declares all that it needs, the models are in the wheel, and the answer needs no checkout.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
python=$(realpath --no-symlinks "${PYTHON:-$root/.venv/bin/python}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pip_options=(--quiet --disable-pip-version-check --constraint "$root/constraints.txt")

"$python" -m pip wheel "${pip_options[@]}" --no-deps --wheel-dir "$work" "$root"
wheel=$(echo "$work"/unprompt-*.whl)

"$python" - "$wheel" "$root/src" <<'PYTHON'
import pathlib, sys, zipfile

wheel, src = sys.argv[1], pathlib.Path(sys.argv[2])
packed = set(zipfile.ZipFile(wheel).namelist())
files = {p.relative_to(src).as_posix() for p in src.glob("unprompt/**/*") if p.is_file() and "__pycache__" not in p.parts}
if missing := sorted(files - packed):
    sys.exit(f"the wheel lacks files of the package: {', '.join(missing)}")
PYTHON

"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install "${pip_options[@]}" "$wheel"
cp "$root/examples/astronaut.jpg" "$work/picture.jpg"
cd "$work"

for package in torch transformers timm; do
    if "$work/venv/bin/python" -c "import $package" 2>/dev/null; then
        echo "$package came with the core: it belongs to the extra [torch]" >&2
        exit 1
    fi
done

# No proxy and no cache of a hub may help: the answer comes from the wheel alone.
prompt=$(env -u PYTHONPATH HF_HUB_OFFLINE=1 HOME="$work" "$work/venv/bin/unprompt" picture.jpg)
[ -n "$prompt" ] || { echo "unprompt picture.jpg printed nothing" >&2; exit 1; }
echo "wheel: $(du -h "$wheel" | cut -f1), $(basename "$wheel") answers without torch: $prompt"
