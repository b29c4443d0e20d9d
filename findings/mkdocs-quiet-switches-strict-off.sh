#!/usr/bin/env bash
# A good guess: `mkdocs build --strict --quiet` prints nothing about a good site and fails for one with a broken link.
# What happens: --quiet switches --strict off. Strict mode counts warnings with a log handler, and --quiet raises the
#   logger's level to errors, so no warning is ever counted: a broken link prints nothing, and the exit code is 0.
# Seen: November 2026, Python 3.11, mkdocs 1.6.1.
# Source: State in mkdocs/__main__.py and CountHandler in mkdocs/utils; no issue known.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check mkdocs==1.6.1

mkdir "$work/docs"
echo 'site_name: example' > "$work/mkdocs.yml"
printf '# Home\n\n[A page that is not there](missing.md)\n' > "$work/docs/index.md"
cd "$work"

exit_code() {
    local code=0
    "$work/venv/bin/mkdocs" build "$@" > "$work/log" 2>&1 || code=$?
    echo "$code"
}

strict=$(exit_code --strict)
quiet=$(exit_code --strict --quiet)
echo "exit code with --strict: $strict; with --strict --quiet: $quiet"

if [[ $strict != 1 || $quiet != 0 ]]; then
    echo 'changed: expected exit codes 1 and 0' >&2
    exit 1
fi
