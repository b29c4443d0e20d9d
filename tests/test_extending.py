"""The worked examples of docs/extending.md, installed as packages of strangers and used."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from foreign_packages import install

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def install_example(site: Path, root: Path, heading: str) -> None:
    """Installs what the section of that heading shows: its first Python block, and the names of its TOML block."""
    page = (root / "docs" / "extending.md").read_text(encoding="utf-8")
    section = re.split(r"^## ", page.split(f"\n## {heading}\n")[1], maxsplit=1, flags=re.MULTILINE)[0]
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    code, project = (next(block for kind, block in blocks if kind == wanted) for wanted in ("python", "toml"))
    assert 15 <= len(code.splitlines()) <= 40
    told = tomllib.loads(project)["project"]
    (module,) = {value.partition(":")[0] for names in told["entry-points"].values() for value in names.values()}
    install(site, told["name"], {f"{module}.py": code}, told["entry-points"], told["version"])


def unprompt(site: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The command, in its own process, where the packages of `site` are installed."""
    paths = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "unprompt", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths}, check=True)


def test_an_output_format(tmp_path: Path, root: Path, examples: Path) -> None:
    install_example(tmp_path / "site", root, "An output format")
    picture = examples / "written.png"
    shown = unprompt(tmp_path / "site", picture, "--format", "md").stdout
    assert shown.startswith(
        f"| picture | prompt |\n| --- | --- |\n| {picture} | a full moon rising over blue mountains, "
    )
    output = tmp_path / "answers.md"
    output.write_text(shown[:-20], encoding="utf-8")  # as a killed run leaves it
    unprompt(tmp_path / "site", picture, "-o", output, "--resume")
    assert output.read_text(encoding="utf-8") == shown
