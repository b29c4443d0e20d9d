"""The recipe without pictures, from prompts to a score, each stage at tiny size by its own command."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from unprompt.presets import load_preset  # noqa: E402
from unprompt.training.recipe_file import read_recipe  # noqa: E402

pytestmark = pytest.mark.torch

FOLDER = Path("recipes") / "text-and-retrieval"
TINY = (
    "network.name=ViT-B-32",
    "network.weights=random",
    "network.options={embed_dim = 48, vision_cfg = {layers = 2, width = 32, head_width = 16, image_size = 64}}",
    "text_head.options={embed_dim = 48, text_cfg = {layers = 2, width = 32, heads = 2}}",
    "head.hidden=64",
    "optimisation.epochs=8",
    "optimisation.batch_size=12",
    "optimisation.precision=fp32",
)
"""What makes CLIP small; everything else is the recipe's."""


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command in this process; returns what it printed."""
    from unprompt.cli.main import main

    def run(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["unprompt", *map(str, arguments)])
        try:
            code = main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        out, err = capsys.readouterr()
        assert code == 0, err
        return str(out)

    return run


def _preset(root: Path, folder: Path) -> Path:
    """The shipped preset over the package's own bank model, whose weights are here."""
    text = (root / FOLDER / "preset.toml").read_text()
    path = folder / "preset.toml"
    path.write_text(text.replace('model = "ViT-L-14.openai"', 'model = "embedded"'))
    return path


def test_from_an_empty_folder_to_a_score(
    root: Path, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[..., str]
) -> None:
    monkeypatch.chdir(tmp_path)
    prompts = (texts / "train.txt").read_text() + (texts / "val.txt").read_text()
    Path("prompts.txt").write_text(prompts)

    command("data", "clean", "prompts.txt", "-o", "clean.txt", "--starts", "0", "--ends", "0", "--min-words", "3")
    command("data", "dedupe", "clean.txt", "-o", "all.txt", "--threshold", "0.999")
    command("data", "split", "all.txt", "-o", "parts", "--group", "0.95", "--share", "0.2")
    Path("distinct.txt").write_bytes(Path("parts/train.txt").read_bytes())
    Path("held-out.txt").write_bytes(Path("parts/val.txt").read_bytes())

    command("bank", "build", "distinct.txt", "--clip", "embedded", "-o", "prompts.bank")
    command("train", root / FOLDER / "head.toml", *TINY, "--output", "runs/head")
    assert Path("runs/head/best/config.json").is_file()

    records: list[dict[str, Any]] = []
    for number, prompt in enumerate(Path("held-out.txt").read_text().splitlines()[:4]):
        pixels = np.random.default_rng(number).integers(0, 256, (48, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(f"{number}.png")
        records.append({"file_name": f"{number}.png", "prompt": prompt, "kind": "generated", "group": number})
    Path("pictures.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    preset = _preset(root, tmp_path)
    out = command("evaluate", "pictures.jsonl", "--no-text", "--preset", preset, "--fit-weights", "fitted.toml")
    assert "neighbours alone" in out
    assert "regressor alone" in out
    assert sum(member.weight for member in load_preset("fitted.toml").members) == pytest.approx(1.0, abs=1e-3)

    os.mkdir("images")
    for record in records:
        os.rename(record["file_name"], f"images/{record['file_name']}")
    command("kaggle", "submit", "images", "--preset", "fitted.toml", "-o", "submission.csv")
    truth = [f'{record["file_name"][0]},"{record["prompt"]}"' for record in records]
    Path("prompts.csv").write_text("imgId,prompt\n" + "\n".join(truth) + "\n")
    assert re.search(r"-?\d\.\d+", command("kaggle", "score", "submission.csv", "--truth", "prompts.csv"))


def test_the_files_are_what_they_say(root: Path) -> None:
    head = read_recipe(root / FOLDER / "head.toml")
    preset = load_preset(str(root / FOLDER / "preset.toml"))
    neighbours, regressor = preset.members
    assert head.network.name == neighbours.model == "ViT-L-14.openai"
    assert regressor.model == "local:runs/head/best"
    assert (head.text_head.texts, head.text_head.validation) == (("distinct.txt",), "held-out.txt")
    page = (root / "docs" / "guides" / "text-and-retrieval.md").read_text()
    assert f"{FOLDER.as_posix()}/head.toml" in page
    assert f"{FOLDER.as_posix()}/preset.toml" in page
