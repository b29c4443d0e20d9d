#!/usr/bin/env bash
# A good guess: typer is built on click, so what it raises for a wrong argument is a click.UsageError.
# What happens: typer 0.26 and later carry a copy of click. `import click` still works wherever another package
#   brought click, and `except click.UsageError` then catches nothing, without any warning.
# Seen: November 2026, Python 3.11, typer 0.29.2, click 8.5.1.
# Source: fastapi/typer issue 1867 and the release notes of typer 0.26.0.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check typer==0.29.2 click==8.5.1

"$work/venv/bin/python" - <<'PYTHON'
import click
import typer

app = typer.Typer()


@app.command()
def double(number: int) -> None:
    print(2 * number)


try:
    app(["three"], standalone_mode=False)
except Exception as error:
    kinds = [f"{kind.__module__}.{kind.__name__}" for kind in type(error).__mro__[:-3]]
    print("raised:", ", ".join(kinds))
    print("is a click.UsageError:", isinstance(error, click.UsageError))
    print("is a typer.BadParameter:", isinstance(error, typer.BadParameter))
    if isinstance(error, click.UsageError) or not isinstance(error, typer.BadParameter):
        raise SystemExit("changed: expected a typer.BadParameter that is no click.UsageError") from None
else:
    raise SystemExit("changed: expected an error for a number in words")
PYTHON
