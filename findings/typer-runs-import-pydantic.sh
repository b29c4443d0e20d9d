#!/usr/bin/env bash
# A good guess: typer imports pydantic, if at all, to convert an option of a type that needs it, such as a date.
# What happens: `import typer` does without, but every command imports it as it runs, also one that has no options of its
#   own: the value of each parameter goes through pydantic, None and the flags of typer itself included. That is a start-up
#   cost which the import time of the module does not show.
# Seen: November 2026, Python 3.11, typer 0.29.2, pydantic 2.14.4.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check typer==0.29.2 pydantic==2.14.4

cat > "$work/command.py" <<'PYTHON'
import sys

import typer


def say(when: str) -> None:
    print(f"{when}: pydantic", "imported" if "pydantic" in sys.modules else "not imported")


say("after import typer")
typer.run(lambda: say("in a command without options"))
PYTHON

seen=$("$work/venv/bin/python" "$work/command.py")
echo "$seen"
if [[ $seen != *"typer: pydantic not imported"*"options: pydantic imported" ]]; then
    echo "changed: expected pydantic to be imported by the run of a command, not by the import of typer" >&2
    exit 1
fi
