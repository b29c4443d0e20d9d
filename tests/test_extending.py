"""The worked examples of docs/extending.md, installed as packages of strangers and used."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from foreign_packages import install
from PIL import Image
from PIL.PngImagePlugin import PngInfo

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def blocks_of(root: Path, heading: str) -> list[tuple[str, str]]:
    """The language and the text of each code block in the section of that heading."""
    page = (root / "docs" / "extending.md").read_text(encoding="utf-8")
    section = re.split(r"^## ", page.split(f"\n## {heading}\n")[1], maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(r"^```(\w+)\n(.*?)^```", section, re.DOTALL | re.MULTILINE)


def install_example(site: Path, root: Path, heading: str) -> None:
    """Installs what the section of that heading shows: its first Python block, named by its first TOML block."""
    blocks = blocks_of(root, heading)
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


def test_a_member_kind(tmp_path: Path, root: Path) -> None:
    install_example(tmp_path / "site", root, "A member kind")
    preset, picture = tmp_path / "own.toml", tmp_path / "sea.png"
    preset.write_text(blocks_of(root, "A member kind")[-1][1])
    Image.new("RGB", (64, 64), (10, 20, 180)).save(picture)
    record = json.loads(unprompt(tmp_path / "site", picture, "--preset", preset, "--format", "jsonl").stdout)
    assert record["prompt"] == "a blue photograph"
    assert [(vote["member"], vote["weight"]) for vote in record["votes"]] == [("regressor", 0.75), ("colours", 0.25)]
    assert record["model"]["models"]["four-colours"] == "1"
    shown = unprompt(tmp_path / "site", "presets", "show", preset).stdout
    assert re.search(r"colours, weight 0\.2500\n  four-colours", shown)
    assert unprompt(tmp_path / "site", "models", "fetch", "--preset", preset, "--quiet").stderr == ""


def test_a_metadata_reader(tmp_path: Path, root: Path) -> None:
    install_example(tmp_path / "site", root, "A metadata reader")
    picture, information = tmp_path / "fox.png", PngInfo()
    information.add_text("paintbox", json.dumps({"prompt": "a (red:1.2) fox", "negative": "blurry", "steps": 20}))
    Image.new("RGB", (8, 8)).save(picture, pnginfo=information)
    (record,) = json.loads(unprompt(tmp_path / "site", "metadata", picture, "--format", "json").stdout)
    assert record == {
        "source": str(picture),
        "tool": "Paintbox",
        "prompt": "a red fox",
        "certainty": "written",
        "negative_prompt": "blurry",
        "settings": {"steps": 20},
        "raw": "a (red:1.2) fox",
    }
    assert unprompt(tmp_path / "site", picture).stdout == "a red fox\n"


def test_an_output_format(tmp_path: Path, root: Path, examples: Path) -> None:
    install_example(tmp_path / "site", root, "An output format")
    picture = examples / "written.png"
    shown = unprompt(tmp_path / "site", picture, "--format", "md").stdout
    assert shown.startswith(
        f"| picture | prompt |\n| --- | --- |\n| {picture} | a full moon rising over blue mountains, "
    )
    output = tmp_path / "answers.md"
    unprompt(tmp_path / "site", picture, "-o", output, "--resume")
    output.write_text(shown[:-20], encoding="utf-8")  # as a killed run leaves it, beside its journal
    unprompt(tmp_path / "site", picture, "-o", output, "--resume")
    assert output.read_text(encoding="utf-8") == shown
