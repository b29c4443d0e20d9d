"""unprompt interrogate: as a user meets it."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Unprompt = Callable[..., Any]

LISTS = {
    "mediums": "an oil painting\na photograph\na sketch\n",
    "movements": "pop art\nimpressionism\n",
    "flavors": "moody\nbright\na cup\nfluffy fur\noutdoors\n",
    "negative": "blurry\nugly\n",
}


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    """What keeps a run small: own lists, a given caption, a cache of its own."""
    lists = tmp_path / "lists"
    lists.mkdir()
    for name, terms in LISTS.items():
        (lists / f"{name}.txt").write_text(terms)
    return ["--vocabulary", str(lists), "--cache", str(tmp_path / "cache"), "--caption", "a picture", "--threads", "1"]


def test_one_picture_gives_its_text(unprompt: Unprompt, options: list[str], examples: Path) -> None:
    run = unprompt("interrogate", examples / "coffee.jpg", "--mode", "published", *options)
    assert (run.code, run.err) == (0, "")
    assert run.out.startswith("a picture, ")
    assert run.out.count(", ") == 5
    assert run.out.count("\n") == 1


def test_several_give_a_line_each_and_bad_ones_stop_nothing(
    unprompt: Unprompt, options: list[str], examples: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    run = unprompt("interrogate", examples / "coffee.jpg", bad, examples / "chelsea.jpg", "--mode", "fast", *options)
    assert run.code == 3
    assert [line.split("\t")[0] for line in run.out.splitlines()] == [
        str(examples / "coffee.jpg"), str(examples / "chelsea.jpg"),
    ]  # fmt: skip
    assert "bad.png" in run.err
    assert "Traceback" not in run.err


def test_a_record_says_each_term(unprompt: Unprompt, options: list[str], examples: Path) -> None:
    run = unprompt("interrogate", examples / "coffee.jpg", "--negative", "--format", "json", *options)
    (record,) = json.loads(run.out)
    (vote,) = record["votes"]
    assert vote["text"] == record["prompt"]
    assert record["negative_prompt"]
    assert vote["terms"]
    for term in vote["terms"]:
        assert set(term) == {"text", "list", "similarity", "gain"}
        assert term["text"] in record["prompt"]
    assert record["self_similarity"] == vote["text_similarity"] < 0.999
    assert "vocabulary" in " ".join(record["model"]["models"])


def test_positive_and_negative_in_one_line(unprompt: Unprompt, options: list[str], examples: Path) -> None:
    run = unprompt("interrogate", examples / "coffee.jpg", "--mode", "classic", "--negative", *options)
    assert run.out.startswith("a picture, ")
    assert " Negative prompt: " in run.out
    own = unprompt("interrogate", examples / "coffee.jpg", "--negative", "--template", "{negative_prompt}", *options)
    assert run.out.endswith(own.out)
    assert unprompt("interrogate", examples / "coffee.jpg", "--mode", "negative", *options).out == own.out


def test_csv_has_both(unprompt: Unprompt, options: list[str], examples: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    run = unprompt("interrogate", examples / "coffee.jpg", "--mode", "fast", "--negative", "-o", out, *options)
    assert run.code == 0
    (row,) = csv.DictReader(io.StringIO(out.read_text()))
    assert row["prompt"].startswith("a picture, ")
    assert row["negative_prompt"]


def test_a_folder_is_gone_on_with(unprompt: Unprompt, options: list[str], examples: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "pictures", tmp_path / "out.jsonl"
    folder.mkdir()
    shutil.copy(examples / "coffee.jpg", folder)
    command = ("interrogate", folder, "--mode", "fast", "-o", out, "--resume", "-q", *options)
    assert unprompt(*command).code == 0
    first = out.read_text()
    shutil.copy(examples / "chelsea.jpg", folder / "z.jpg")
    assert unprompt(*command).code == 0
    assert out.read_text().startswith(first)
    assert out.read_text().count("\n") == 2
    # Another mode is another answer, out of another corner of the journal.
    assert unprompt(*command, "--mode", "caption").code == 0
    assert {json.loads(line)["prompt"] for line in out.read_text().splitlines()} == {"a picture"}


def test_sidecars(unprompt: Unprompt, options: list[str], examples: Path, tmp_path: Path) -> None:
    picture = tmp_path / "cup.jpg"
    shutil.copy(examples / "coffee.jpg", picture)
    assert unprompt("interrogate", picture, "--mode", "fast", "--sidecar", *options).code == 0
    assert (tmp_path / "cup.txt").read_text().startswith("a picture, ")


def test_terms_are_shown_as_tables(unprompt: Unprompt, options: list[str], examples: Path) -> None:
    run = unprompt("interrogate", examples / "coffee.jpg", "--terms", "--top", "2", *options)
    assert (run.code, run.err) == (0, "")
    assert "█" in run.out
    for name in ("mediums", "movements", "flavors", "gain", "similarity"):
        assert name in run.out
    rows = [line for line in run.out.splitlines() if line.startswith("│")]
    assert sum("pop art" in row or "impressionism" in row for row in rows) >= 2
    assert run.out.count("a picture") >= 1


def test_tables_keep_to_the_limits(unprompt: Unprompt, options: list[str], examples: Path) -> None:
    pictures = (examples / "coffee.jpg", examples / "chelsea.jpg")
    run = unprompt("interrogate", *pictures, "--terms", "--pixel-limit-mp", "0.01", *options)
    assert (run.code, run.out) == (3, "")
    assert run.err.count("\n") == 2
    run = unprompt("interrogate", *pictures, "--terms", "--pixel-limit-mp", "0.01", "--fail-fast", *options)
    assert run.err.count("\n") == 1
    run = unprompt("interrogate", pictures[0], "--terms", "--negative", *options)
    assert "Negative prompt: " in run.out


def test_tables_go_nowhere_else(unprompt: Unprompt, options: list[str], examples: Path, tmp_path: Path) -> None:
    run = unprompt("interrogate", examples / "coffee.jpg", "--terms", "-o", tmp_path / "x.json", *options)
    assert run.code == 2
    assert "--terms" in run.err
    assert unprompt("interrogate", examples / "coffee.jpg", "--terms", "--template", "{prompt}", *options).code == 2


def test_bytes_that_are_no_text_stop_nothing(unprompt: Unprompt, options: list[str], examples: Path) -> None:
    """As the shell gives them to Python: a caption of Latin-1."""
    command = ("interrogate", examples / "coffee.jpg", "--mode", "published", *options)
    run = unprompt(*command, "--caption", "a caf\udce9")
    assert run.code == 0
    assert run.out.startswith("a caf")
    assert unprompt(*command, "--exclude", "\udcff.txt").code == 2


def test_what_the_file_says_is_not_looked_at(unprompt: Unprompt, options: list[str], examples: Path) -> None:
    run = unprompt("interrogate", examples / "written.png", "--mode", "caption", *options)
    assert run.out == "a picture\n"


def test_without_a_network_the_embedded_models_answer(unprompt: Unprompt, examples: Path, tmp_path: Path) -> None:
    run = unprompt(
        "interrogate", examples / "chelsea.jpg", "--mode", "published", "--offline", "--cache", tmp_path, "-q"
    )
    assert run.code == 0
    assert "cat" in run.out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--mode", "bset"], "bset"),
        (["--max-terms", "0"], "max-terms"),
        (["--vocabulary", "no-such-folder/"], "no-such-folder"),
        (["--vocabulary", "clip-interogator"], "clip-interrogator"),
        (["--without", "mediums,movements,flavors,negative"], "no term is left"),
        (["--without", "mediumz"], "mediums"),
        (["--exclude", "no-such-file.txt"], "no-such-file.txt"),
        (["--exclude", "."], "plain file"),
        (["--vocabulary", ""], "empty string"),
        (["--weights", "own.safetensors"], "--clip"),
    ],
)
def test_what_cannot_be_done_is_said(
    given: list[str], said: str, unprompt: Unprompt, options: list[str], examples: Path
) -> None:
    kept = options if given[0] != "--vocabulary" else options[2:]
    run = unprompt("interrogate", examples / "coffee.jpg", *kept, *given)
    assert (run.code, run.out) == (2, "")
    assert said in run.err
    assert "Traceback" not in run.err


def test_a_list_in_another_encoding(unprompt: Unprompt, options: list[str], examples: Path, tmp_path: Path) -> None:
    (tmp_path / "lists" / "mediums.txt").write_bytes("ein Ölgemälde\n".encode("latin-1"))
    run = unprompt("interrogate", examples / "coffee.jpg", *options)
    assert run.code == 2
    assert "mediums.txt" in run.err
    assert "UTF-8" in run.err


def test_a_cache_that_cannot_be_written_is_done_without(
    unprompt: Unprompt, options: list[str], examples: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    run = unprompt("interrogate", examples / "coffee.jpg", "--mode", "fast", *options)
    assert run.code == 0
    assert run.out.startswith("a picture, ")
    assert sum("cannot be cached" in record.getMessage() for record in caplog.records) == 1


@pytest.mark.torch
class TestOpenClip:
    @pytest.fixture(autouse=True)
    def _needs_torch(self) -> None:
        pytest.importorskip("torch")

    def test_an_unknown_model_is_named_with_its_neighbours(
        self, unprompt: Unprompt, options: list[str], examples: Path
    ) -> None:
        run = unprompt("interrogate", examples / "coffee.jpg", "--clip", "ViT-L-15.openai", *options)
        assert (run.code, run.out) == (2, "")
        assert "did you mean 'ViT-L-1" in run.err
        run = unprompt("interrogate", examples / "coffee.jpg", "--clip", "ViT-L-14.opanai", *options)
        assert (run.code, run.out) == (2, "")
        assert "openai" in run.err

    def test_missing_weights_say_which_file_and_where_it_belongs(
        self, unprompt: Unprompt, options: list[str], examples: Path
    ) -> None:
        run = unprompt("interrogate", examples / "coffee.jpg", "--clip", "ViT-B-32.openai", "--offline", *options)
        assert (run.code, run.out) == (2, "")
        assert "vit_base_patch32_clip_224.openai" in run.err
        assert "open_clip_model.safetensors" in run.err
        assert os.sep + "hub" in run.err


@pytest.mark.torch
def test_a_model_from_a_file(unprompt: Unprompt, options: list[str], examples: Path, tmp_path: Path) -> None:
    """Weights of open_clip's own layout, at full size and random: the user's way with real ones."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_model

    from unprompt.towers.open_clip_model import build_model

    torch.manual_seed(0)
    model = build_model("ViT-S-32-alt", weights="random", options={})
    save_model(model, str(tmp_path / "model.safetensors"))
    command = ["interrogate", examples / "coffee.jpg", "--clip", "ViT-S-32-alt", "--weights",
               tmp_path / "model.safetensors", "--max-terms", "2", "--min-terms", "1", *options]  # fmt: skip
    run = unprompt(*command)
    assert (run.code, run.err) == (0, "")
    assert run.out.startswith("a picture")
