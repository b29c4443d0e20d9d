"""What the files say: pages, tables, single values, graphs and copies without metadata."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops
from PIL.PngImagePlugin import PngInfo

Unprompt = Callable[..., Any]

SETTINGS = "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 42, Size: 512x512, Model: harbour"
GRAPH = {
    "3": {
        "class_type": "KSampler",
        "inputs": {"noise_seed": 7, "steps": 9, "positive": ["6", 0], "negative": ["7", 0]},
    },
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a blue heron"}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "mist"}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0]}},
}
WORKFLOW = {"nodes": [{"id": 1, "type": "KSampler"}], "links": []}


def png(path: Path, **texts: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    info = PngInfo()
    for name, text in texts.items():
        info.add_text(name, text)
    Image.radial_gradient("L").resize((32, 32)).save(path, pnginfo=info)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One picture of each kind: an infotext, a graph, and nothing."""
    pictures = tmp_path / "pictures"
    png(pictures / "1 boat.png", parameters=f"a red boat\nNegative prompt: fog\n{SETTINGS}")
    png(pictures / "2" / "heron.png", prompt=json.dumps(GRAPH), workflow=json.dumps(WORKFLOW))
    png(pictures / "3 plain.png")
    return pictures


# Pages and tables


def test_one_picture_is_a_page(unprompt: Unprompt, examples: Path) -> None:
    run = unprompt("metadata", examples / "written.png")
    lines = run.out.splitlines()
    assert (run.code, run.err) == (0, "")
    assert lines[:3] == [
        str(examples / "written.png"),
        "tool         AUTOMATIC1111",
        "certainty    written: the tool itself states it",
    ]
    assert "settings     Steps          28" in lines
    assert max(map(len, lines[1:])) <= 100


def test_a_folder_with_one_picture_is_a_page(unprompt: Unprompt, tmp_path: Path) -> None:
    png(tmp_path / "a.png", parameters=f"a red boat\n{SETTINGS}")
    assert "prompt       a red boat\n" in unprompt("metadata", tmp_path).out


def test_many_pictures_are_a_table_with_a_summary(unprompt: Unprompt, folder: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(folder)
    (folder / "4.png").write_text("no picture")
    run = unprompt("metadata", ".")
    assert run.code == 3
    assert run.out.splitlines() == [
        "picture        tool           prompt",
        "./1 boat.png   AUTOMATIC1111  a red boat",
        "./2/heron.png  ComfyUI        a blue heron",
        "./3 plain.png  -              no prompt is written",
    ]
    failure, summary = run.err.splitlines()
    assert failure.startswith("unprompt: ./4.png: expected ")
    assert summary.endswith(": 2 with a prompt, 1 without, 1 failed")
    assert unprompt("metadata", ".", "-q").err.splitlines() == [failure]


def test_a_file_of_text_holds_whole_pages(unprompt: Unprompt, folder: Path, tmp_path: Path) -> None:
    prompt = " ".join(f"word{number}" for number in range(200))
    png(folder / "long.png", parameters=f"{prompt}\n{SETTINGS}")
    assert unprompt("metadata", folder, "-o", tmp_path / "all.txt").code == 0
    pages = (tmp_path / "all.txt").read_text().split("\n\n")
    assert len([page for page in pages if page.strip()]) == 4
    assert prompt in " ".join((tmp_path / "all.txt").read_text().split())


def test_what_a_file_says_in_every_format(unprompt: Unprompt, folder: Path, tmp_path: Path) -> None:
    boat, heron, plain = map(json.loads, unprompt("metadata", folder, "--format", "jsonl").out.splitlines())
    assert (boat["tool"], boat["certainty"], boat["settings"]["Steps"]) == ("AUTOMATIC1111", "written", 20)
    assert heron["tool"] == "ComfyUI"
    assert (plain["tool"], plain["prompt"]) == (None, None)
    unprompt("metadata", folder, "-o", tmp_path / "all.csv")
    assert "a red boat" in (tmp_path / "all.csv").read_text()


def test_what_is_no_picture(unprompt: Unprompt, examples: Path, tmp_path: Path, gone: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no picture")
    run = unprompt("metadata", gone, text, examples / "rocket.jpg", "--format", "jsonl")
    records = list(map(json.loads, run.out.splitlines()))
    assert run.code == 3
    assert [record.get("error", {}).get("kind") for record in records] == ["not-found", "not-a-picture", None]
    assert len(run.err.splitlines()) == 2
    assert unprompt("metadata", tmp_path / "nothing-here").code == 2
    (tmp_path / "empty").mkdir()
    assert unprompt("metadata", tmp_path / "empty").code == 2


def test_a_damaged_picture_is_still_read(unprompt: Unprompt, examples: Path, tmp_path: Path) -> None:
    for name in ("written.png", "rocket.jpg"):
        data = (examples / name).read_bytes()
        (tmp_path / name).write_bytes(data[: len(data) // 2])
    assert "AUTOMATIC1111" in unprompt("metadata", tmp_path / "written.png").out
    run = unprompt("metadata", tmp_path / "rocket.jpg")  # the missing half may have held a prompt
    assert (run.code, run.out) == (3, "")
    assert "expected a whole JPEG" in run.err


def test_a_text_file_beside_a_picture(unprompt: Unprompt, folder: Path, preset: Path) -> None:
    plain = folder / "3 plain.png"
    plain.with_suffix(".txt").write_text(f"a green lamp\n{SETTINGS}")
    assert "prompt       a green lamp\n" in unprompt("metadata", plain).out
    assert "no prompt is written" in unprompt("metadata", plain, "--no-beside").out
    assert unprompt(plain, "--preset", preset).out == "a green lamp\n"
    records = [
        json.loads(unprompt(plain, "--preset", preset, "--no-text", "--format", "jsonl", *options).out)
        for options in ((), ("--no-beside",))
    ]
    assert [record["origin"] for record in records] == ["metadata", "prediction"]


# Single values


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("prompt", ["a red boat", "a blue heron", ""]),
        ("negative", ["fog", "mist", ""]),
        ("seed", ["42", "7", ""]),
        ("Steps", ["20", "9", ""]),
        ("model", ["harbour", "", ""]),
        ("size", ["512x512", "", ""]),
    ],
)
def test_a_field_is_a_line_for_each_picture(unprompt: Unprompt, folder: Path, field: str, expected: list[str]) -> None:
    run = unprompt("metadata", folder, "--field", field, "-q")
    assert (run.code, run.out.splitlines(), run.err) == (0, expected, "")


def test_the_lines_of_fields_keep_their_places(unprompt: Unprompt, folder: Path, tmp_path: Path, gone: Path) -> None:
    boat = folder / "1 boat.png"
    run = unprompt("metadata", gone, boat, "--field", "seed")
    assert (run.code, run.out) == (3, "\n42\n")
    assert unprompt("metadata", boat, "--field", "seed", "-o", tmp_path / "seeds.txt").out == ""
    assert (tmp_path / "seeds.txt").read_text() == "42\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--field", "sed"), "expected a field, found sed; did you mean seed? There are: prompt, negative"),
        (("--field", "seed", "--format", "json"), "omit one"),
        (("--field", "seed", "-o", "seeds.csv"), "expected a .txt file for plain lines, found one for csv"),
        (("--field", "seed", "--strip", "-o", "out"), "found --field and --strip"),
        (("--workflow", "a.json", "-o", "b"), "omit -o"),
        (("--strip",), "name it: -o DIR"),
    ],
)
def test_options_that_cannot_go_together(
    unprompt: Unprompt, examples: Path, tmp_path: Path, monkeypatch: Any, options: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    run = unprompt("metadata", examples / "written.png", *options)
    assert (run.code, run.out) == (2, "")
    assert message in run.err
    assert os.listdir(tmp_path) == []


# Graphs


def test_the_graph_of_one_picture_is_saved(unprompt: Unprompt, folder: Path, tmp_path: Path) -> None:
    saved = tmp_path / "graph.json"
    saved.write_text("an old one")
    assert unprompt("metadata", folder / "2" / "heron.png", "--workflow", saved).code == 2
    run = unprompt("metadata", folder / "2" / "heron.png", "--workflow", saved, "--overwrite")
    assert (run.code, run.out, run.err) == (0, "", "")
    assert saved.read_text() == json.dumps(WORKFLOW)


def test_no_graph_to_save(unprompt: Unprompt, folder: Path, tmp_path: Path) -> None:
    saved = tmp_path / "graph.json"
    for paths, code, message in (
        ([folder], 2, "found several; name one"),
        ([folder / "1 boat.png"], 2, "expected a graph of ComfyUI in"),
        (["none.png"], 2, "none by the name none.png"),
    ):
        run = unprompt("metadata", *paths, "--workflow", saved)
        assert (run.code, run.out) == (code, "")
        assert message in run.err
    assert unprompt("metadata", folder / "2" / "heron.png", "--workflow", folder / "3 plain.png").code == 2
    assert not saved.exists()


# Copies without metadata


def test_copies_hold_the_pixels_alone(unprompt: Unprompt, folder: Path, tmp_path: Path) -> None:
    clean = tmp_path / "clean"
    before = {path: path.read_bytes() for path in folder.rglob("*.png")}
    run = unprompt("metadata", folder, "--strip", "-o", clean)
    assert (run.code, run.out) == (0, "")
    assert run.err.rstrip().endswith(": 3 copied")
    assert unprompt("metadata", clean, "--field", "tool").out == "\n\n\n"
    for path, data in before.items():
        copy = clean / path.relative_to(folder)
        assert path.read_bytes() == data
        assert ImageChops.difference(Image.open(path), Image.open(copy)).getbbox() is None


def test_no_copy_replaces_anything(unprompt: Unprompt, folder: Path, tmp_path: Path) -> None:
    boat, heron = folder / "1 boat.png", folder / "2" / "heron.png"
    before = boat.read_bytes()
    run = unprompt("metadata", boat, "--strip", "-o", folder)
    assert run.code == 3
    assert "it lies in the folder for the copies itself" in run.err
    clean = tmp_path / "clean"
    clean.mkdir()
    (clean / "heron.png").write_text("somebody's")
    run = unprompt("metadata", heron, boat, "--strip", "-o", clean)
    assert run.code == 3
    assert f"expected nothing at {clean / 'heron.png'}, found a file" in run.err
    assert (clean / "heron.png").read_text() == "somebody's"
    assert (clean / "1 boat.png").exists()
    assert boat.read_bytes() == before


@pytest.mark.parametrize("place", [".", "new", "2", "1 boat.png"])
def test_copies_lie_outside_of_what_is_read(unprompt: Unprompt, folder: Path, place: str) -> None:
    before = sorted(folder.rglob("*"))
    run = unprompt("metadata", folder, "--strip", "-o", folder / place)
    assert (run.code, run.out) == (2, "")
    assert "expected a folder for the copies" in run.err
    assert sorted(folder.rglob("*")) == before


def test_what_cannot_be_copied_fails_alone(unprompt: Unprompt, folder: Path, tmp_path: Path) -> None:
    (folder / "0.png").write_text("no picture")
    run = unprompt("metadata", folder, "--strip", "-o", tmp_path / "clean")
    assert run.code == 3
    assert run.err.splitlines()[-1].endswith(": 3 copied, 1 failed")


def test_copies_from_standard_input_have_no_name(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "unprompt", "metadata", "-", "--strip", "-o", str(tmp_path / "clean")]
    run = subprocess.run(command, input=(folder / "3 plain.png").read_bytes(), capture_output=True, check=False)
    assert run.returncode == 3
    assert b"expected a relative path to put a copy under the folder, found no name" in run.stderr


def test_a_reader_that_has_had_enough_ends_it_quietly(folder: Path) -> None:
    for number in range(60):
        shutil.copy(folder / "3 plain.png", folder / f"plain {number}.png")
    run = subprocess.run(
        f"'{sys.executable}' -m unprompt metadata -q '{folder}' | head -1", shell=True, capture_output=True, check=False
    )
    assert run.stdout.startswith(b"picture ")
    assert run.stderr == b""


def test_texts_need_no_decoder(
    unprompt: Unprompt, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("pillow_heif", "pillow_jxl"):
        monkeypatch.setitem(sys.modules, module, None)
    for number, head in enumerate(
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", b"\xff\x0a")
    ):
        (folder / f"z{number}.{('heic', 'mov', 'jxl')[number]}").write_bytes(head)
    run = unprompt("metadata", folder, "--format", "jsonl")
    sources = [Path(json.loads(line)["source"]).name for line in run.out.splitlines()]
    assert run.code == 0
    assert sources[-3:] == ["z0.heic", "z1.mov", "z2.jxl"]
    assert "passed over" not in run.err
