#!/usr/bin/env bash
# Builds the wheel and, with every Python from 3.10 to 3.13 that this machine has, installs it into an empty environment
# without torch and runs it from a foreign folder.
# What it proves: the core declares all that it needs, the models and the addresses are in the wheel, and the answer
# needs no checkout.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
python=$(realpath --no-symlinks "${PYTHON:-$root/.venv/bin/python}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pip=("$python" -m pip --quiet --disable-pip-version-check)
constraints=(--constraint "$root/constraints.txt")

UNPROMPT_REPOSITORY=https://example.org/unprompt "${pip[@]}" wheel "${constraints[@]}" --no-deps --wheel-dir "$work" "$root"
wheel=$(echo "$work"/unprompt-*.whl)
cp "$root/examples/astronaut.jpg" "$work/picture.jpg"
cd "$work"

"$python" - "$wheel" "$root/src" <<'PYTHON'
import pathlib, sys, zipfile

wheel, src = sys.argv[1], pathlib.Path(sys.argv[2])
packed = set(zipfile.ZipFile(wheel).namelist())
files = {p.relative_to(src).as_posix() for p in src.glob("unprompt/**/*") if p.is_file() and "__pycache__" not in p.parts}
if missing := sorted(files - packed):
    sys.exit(f"the wheel lacks files of the package: {', '.join(missing)}")
(name,) = (name for name in packed if name.endswith(".dist-info/METADATA"))
said = zipfile.ZipFile(wheel).read(name).decode().splitlines()
for line in (
    "Project-URL: Issues, https://example.org/unprompt/issues",
    "Project-URL: Repository, https://example.org/unprompt",
    "Classifier: Operating System :: POSIX :: Linux",
    "Description-Content-Type: text/markdown",
):
    if line not in said:
        sys.exit(f"the wheel's metadata lacks: {line}")
PYTHON

# With the Python that is given: a new environment, the wheel, and an answer.
answer_with() {
    local venv=$work/$("$1" -c 'import platform; print(platform.python_version())')
    "$1" -m venv --without-pip "$venv"
    "${pip[@]}" --python "$venv/bin/python" install --no-compile "${constraints[@]}" "$wheel"
    for package in torch transformers timm; do
        if "$venv/bin/python" -c "import $package" 2>/dev/null; then
            echo "$package came with the core: it belongs to the extra [torch]" >&2
            return 1
        fi
    done
    # No proxy and no cache of a hub may help: the answer comes from the wheel alone.
    local prompt
    prompt=$(env -u PYTHONPATH HF_HUB_OFFLINE=1 HOME="$work" "$venv/bin/unprompt" picture.jpg)
    [ -n "$prompt" ] || { echo "unprompt picture.jpg printed nothing" >&2; return 1; }
    echo "wheel: $(basename "$wheel"), $(du -h "$wheel" | cut -f1), answers with Python ${venv##*/}, without torch: $prompt"
}

# The first interpreter of a version that runs: on the path, where a name may lead to none, or pyenv's.
interpreter() {
    local candidate
    for candidate in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
        if "$candidate" -c 'import ssl, venv' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
}

same=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
jobs=()
for version in 3.10 3.11 3.12 3.13; do
    found=$([ "$version" = "$same" ] && echo "$python" || interpreter "$version")
    [ -n "$found" ] || continue
    answer_with "$found" &
    jobs+=($!)
done
for job in "${jobs[@]}"; do
    wait "$job"
done
