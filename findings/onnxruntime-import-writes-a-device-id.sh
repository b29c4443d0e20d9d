#!/usr/bin/env bash
# A good guess: importing onnxruntime on Linux writes nothing, and disable_telemetry_events() keeps telemetry off.
# What happens: the import alone creates an identifier of the device and a database of events in the user's cache
#   folder. The call has no effect on that, since it needs the import. ORT_DISABLE_TELEMETRY=1 before it prevents
#   both.
# Seen: November 2026, Python 3.11, Linux x86-64, onnxruntime 1.32.0.
# Source: microsoft/onnxruntime pull request 27379, "Add POSIX telemetry", describes the variable.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check onnxruntime==1.32.0

export HOME="$work" XDG_CACHE_HOME="$work/cache"
unset ORT_DISABLE_TELEMETRY

import_it() {
    rm -rf "$XDG_CACHE_HOME"
    mkdir "$XDG_CACHE_HOME"
    "$work/venv/bin/python" -c 'import onnxruntime; onnxruntime.disable_telemetry_events()'
    (cd "$XDG_CACHE_HOME" && find . -type f | sort)
}

by_default=$(import_it)
printf 'files after import and disable_telemetry_events():\n%s\n' "$by_default"
disabled=$(ORT_DISABLE_TELEMETRY=1 import_it)
printf 'files with ORT_DISABLE_TELEMETRY=1: %s\n' "${disabled:-none}"

if [[ $by_default != *deviceid* || -n $disabled ]]; then
    echo 'changed: expected a file "deviceid" by default and none with the variable' >&2
    exit 1
fi
