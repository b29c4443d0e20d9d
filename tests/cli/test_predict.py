"""`unprompt PATH...`: what comes out, where, and with which exit code."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_models

Unprompt = Callable[..., Any]

PROMPT = "a full moon rising over blue mountains, reflected in a calm lake, starry night sky, flat vector illustration"


def process(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "import sys; from unprompt.cli.main import main; sys.exit(main())"]
    return subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, timeout=120, **options)


def test_one_picture_gives_its_prompt_alone(unprompt: Unprompt, preset: Path, examples: Path) -> None:
    assert unprompt(examples / "written.png", "--preset", preset) == (0, PROMPT + "\n", "")


def test_predict_is_the_default_command(unprompt: Unprompt, preset: Path, examples: Path) -> None:
    written = examples / "written.png"
    named = unprompt("predict", written, "--preset", preset)
    assert unprompt(written, "--preset", preset) == named
    assert unprompt("--preset", preset, written) == named
    assert unprompt("--format", "json", "--preset", preset, written).out.startswith("[\n")


def test_a_file_called_like_a_command(
    unprompt: Unprompt, preset: Path, examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(examples / "written.png", "score")
    assert unprompt("./score", "--preset", preset).out == PROMPT + "\n"


def test_several_pictures_have_a_line_each(unprompt: Unprompt, preset: Path, examples: Path) -> None:
    written = examples / "written.png"
    run = unprompt(written, written, "--preset", preset)
    assert run.out == f"{written}\t{PROMPT}\n" * 2


def test_a_folder_names_its_pictures(unprompt: Unprompt, preset: Path, examples: Path, tmp_path: Path) -> None:
    shutil.copy(examples / "written.png", tmp_path)
    assert unprompt(tmp_path, "--preset", preset).out == f"{tmp_path / 'written.png'}\t{PROMPT}\n"


def test_records_and_embeddings(unprompt: Unprompt, preset: Path, examples: Path) -> None:
    run = unprompt(examples, "--no-text", "--format", "jsonl", "--embedding", "--preset", preset)
    records = [json.loads(line) for line in run.out.splitlines()]
    assert run.code == 0
    assert [Path(record["source"]).name for record in records] == sorted(path.name for path in examples.glob("*.*g"))
    assert {record["origin"] for record in records} == {"prediction", "metadata"}
    assert all(len(record["embedding"]) == 384 for record in records)
    assert all(sum(x * x for x in record["embedding"]) == pytest.approx(1, abs=1e-4) for record in records)


def test_ignore_metadata(unprompt: Unprompt, preset: Path, examples: Path) -> None:
    options = ("--ignore-metadata", "--no-text", "--format", "jsonl", "--preset", preset)
    record = json.loads(unprompt(examples / "written.png", *options).out)
    assert record["origin"] == "prediction"
    assert "negative_prompt" not in record


def test_vectors_without_a_place_are_an_error(unprompt: Unprompt, preset: Path, examples: Path) -> None:
    run = unprompt(examples / "rocket.jpg", "--no-text", "--preset", preset)
    assert (run.code, run.out) == (2, "")
    assert "add --vectors FILE.npy, -o FILE.jsonl or --format jsonl" in run.err
    run = unprompt(examples / "written.png", "--embedding", "--preset", preset)
    assert (run.code, run.out) == (0, PROMPT + "\n")
    assert "vectors are not written as text" in run.err


def test_some_failed(unprompt: Unprompt, preset: Path, examples: Path, gone: Path) -> None:
    run = unprompt(gone, examples / "written.png", "--preset", preset, "--format", "jsonl")
    failed, answered = map(json.loads, run.out.splitlines())
    assert run.code == 3
    assert failed == {"source": str(gone), "error": {"kind": "not-found", "message": failed["error"]["message"]}}
    assert answered["prompt"] == PROMPT
    assert run.err.startswith(f"unprompt: {gone}: expected a file")
    assert len(run.err.splitlines()) == 1


@pytest.mark.parametrize("kind", ["not-a-picture", "truncated", "too-large"])
def test_bad_pictures(unprompt: Unprompt, preset: Path, examples: Path, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "bad.jpg"
    whole = (examples / "rocket.jpg").read_bytes()
    content = {"not-a-picture": b"text", "truncated": whole[: len(whole) // 2], "too-large": whole}
    path.write_bytes(content[kind])
    run = unprompt(path, "--pixel-limit-mp", 0.01, "--preset", preset, "--format", "json")
    if kind == "truncated":
        run = unprompt(path, "--no-text", "--preset", preset, "--format", "json")
    assert run.code == 3
    assert json.loads(run.out)[0]["error"]["kind"] == kind
    assert len(run.err.splitlines()) == 1


def test_text_of_a_failure_goes_to_standard_error(unprompt: Unprompt, preset: Path) -> None:
    run = unprompt("no\x1bne.png", "--preset", preset)
    assert (run.code, run.out) == (2, "")
    assert "found none by the name no\\x1bne.png" in run.err


@pytest.mark.parametrize(("name", "start"), [("a.json", "["), ("a.jsonl", "{"), ("a.txt", PROMPT)])
def test_the_format_follows_the_file(
    unprompt: Unprompt, preset: Path, examples: Path, tmp_path: Path, name: str, start: str
) -> None:
    run = unprompt(examples / "written.png", "-o", tmp_path / name, "--preset", preset)
    assert run == (0, "", "")
    assert (tmp_path / name).read_text().startswith(start)


def test_what_was_computed_is_kept(unprompt: Unprompt, examples: Path, tmp_path: Path) -> None:
    model = tiny_models.regressor(tmp_path / "linear.tiny")
    weights = bytearray((model.path / "model.onnx").read_bytes())
    weights[100] ^= 1
    (model.path / "model.onnx").write_bytes(weights)
    preset = tiny_models.preset(tmp_path / "own.toml", model)
    out = tmp_path / "out.json"
    run = unprompt(examples / "written.png", examples / "rocket.jpg", "--preset", preset, "-o", out)
    assert run.code == 2
    assert "another sha256" in run.err
    assert len(run.err.splitlines()) == 1
    assert [record["prompt"] for record in json.loads(out.read_text())] == [PROMPT]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-", "--preset", "embeded"], "did you mean 'embedded'"),
        (["-", "--preset", "none.toml"], "expected a preset"),
        (["-", "--batch-size", "0"], "--batch-size"),
        (["-", "--format", "yaml"], "yaml"),
        (["-", "--no-txt"], "--no-text"),
        (["predict"], "PATH"),
    ],
)
def test_what_is_not_understood(unprompt: Unprompt, arguments: list[str], said: str) -> None:
    run = unprompt(*arguments)
    assert (run.code, run.out) == (2, "")
    assert said in run.err
    assert "Traceback" not in run.err


def test_empty_folder(unprompt: Unprompt, preset: Path, tmp_path: Path) -> None:
    run = unprompt(tmp_path, "--preset", preset)
    assert (run.code, run.out) == (2, "")
    assert "no pictures in the folder" in run.err


def test_preset_that_needs_an_extra(unprompt: Unprompt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_models.regressor(tmp_path / "linear.tiny")
    preset = tiny_models.preset(tmp_path / "large.toml", model, requires='["torch"]')
    monkeypatch.setitem(sys.modules, "torch", None)
    run = unprompt("-", "--preset", preset)
    assert (run.code, run.out) == (2, "")
    assert "pip install 'unprompt[torch]'" in run.err


def test_a_picture_is_never_overwritten(unprompt: Unprompt, preset: Path, examples: Path, tmp_path: Path) -> None:
    picture = Path(shutil.copy(examples / "written.png", tmp_path / "a.png"))
    for permission in ((), ("--overwrite",), ("--resume",)):
        run = unprompt(picture, "-o", picture, "--preset", preset, *permission)
        assert run.code == 2
        assert "overwrite a picture" in run.err
    assert picture.read_bytes() == (examples / "written.png").read_bytes()


def test_a_file_that_cannot_be_written(unprompt: Unprompt, preset: Path, examples: Path, tmp_path: Path) -> None:
    run = unprompt(examples / "written.png", "-o", tmp_path / "none" / "a.txt", "--preset", preset)
    assert (run.code, run.out) == (2, "")
    assert "cannot write" in run.err


def test_score(unprompt: Unprompt, preset: Path, examples: Path) -> None:
    run = unprompt("score", examples / "rocket.jpg", "a rocket", "a cat", "--preset", preset)
    assert run.code == 0
    assert [line.split("\t")[1] for line in run.out.splitlines()] == ["a rocket", "a cat"]
    assert all(-1 <= float(line.split("\t")[0]) <= 1 for line in run.out.splitlines())
    one = json.loads(unprompt("score", examples / "rocket.jpg", "x", "--preset", preset, "--format", "jsonl").out)
    assert [score["text"] for score in one["scores"]] == ["x"]
    assert unprompt("score", "none.png", "a cat", "--preset", preset).code == 2


def test_score_of_an_empty_or_a_very_long_prompt(unprompt: Unprompt, preset: Path, examples: Path) -> None:
    run = unprompt("score", examples / "rocket.jpg", "a rocket", "", "--preset", preset)
    assert (run.code, run.out) == (2, "")
    assert run.err == "unprompt: expected prompts to compare with the picture, found that number 2 is empty\n"
    run = unprompt("score", examples / "rocket.jpg", "a rocket", "rocket " * 300, "--preset", preset)
    assert run.code == 0
    assert run.err == "unprompt: prompt 2 is longer than the encoder of sentences reads: the score is its beginning's\n"


def test_score_of_several_pictures(unprompt: Unprompt, preset: Path, examples: Path) -> None:
    run = unprompt("score", f"{examples}/*.jpg", "a rocket", "--preset", preset)
    assert run.code == 2
    assert re.match(r"unprompt: expected one picture, found \d+; give the path of one of them\n", run.err)


def test_standard_input_and_streams(preset: Path, examples: Path, gone: Path) -> None:
    with (examples / "written.png").open("rb") as picture:
        run = process("-", gone, "--preset", preset, stdin=picture)
    assert run.returncode == 3
    assert run.stdout == f"-\t{PROMPT}\n"
    assert run.stderr.startswith(f"unprompt: {gone}: ")


def test_a_closed_standard_error_stops_nothing(preset: Path, examples: Path, tmp_path: Path, gone: Path) -> None:
    out = tmp_path / "out.jsonl"
    arguments = [gone, examples / "written.png", gone, "--preset", preset, "-o", out, "--batch-size", 1]
    command = [sys.executable, "-c", "import sys; from unprompt.cli.main import main; sys.exit(main())"]
    read, write = os.pipe()
    os.close(read)
    run = subprocess.run([*command, *map(str, arguments)], stdout=write, stderr=write, timeout=120)
    os.close(write)
    assert run.returncode == 3
    assert len(out.read_text().splitlines()) == 3


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_standard_output_is_said(preset: Path, examples: Path) -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-c", "import sys; from unprompt.cli.main import main; sys.exit(main())"]
        arguments = [str(examples / "written.png"), "--format", "jsonl", "--preset", str(preset)]
        run = subprocess.run([*command, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
    assert run.returncode == 2
    assert "cannot write to standard output" in run.stderr
    assert "Traceback" not in run.stderr


def test_options_that_do_not_go_together(unprompt: Unprompt, preset: Path, examples: Path, tmp_path: Path) -> None:
    picture, base = examples / "written.png", ("--preset", preset)
    archive = tmp_path / "a.tar"
    archive.write_bytes(b"not to be lost")
    for arguments, said in (
        (("--sidecar", "--no-text"), "sidecars hold sentences"),
        (("--sidecar", "--vectors", tmp_path / "v.npy"), "--existing overwrite"),
        (("--existing", "append"), "add --sidecar"),
        (("--sidecar-suffix", ".caption"), "add --sidecar"),
        (("--keep-tokens", 1), "add --shuffle-tags"),
        (("--drop-if", "cat", "--no-text"), "omit --no-text"),
        (("--must-contain", " "), "expected words after --must-contain"),
        (("--must-contain", "cat", "--shards", 2, "--shard", 0, "-o", tmp_path / "out"), "omit --must-contain"),
        (("--resume",), "needs a place"),
        (("-o", archive), "overwrite"),
        (("--replace", "cat"), "OLD=NEW"),
    ):
        run = unprompt(picture, *arguments, *base)
        assert (run.code, run.out) == (2, "")
        assert said in run.err
        assert len(run.err.splitlines()) == 1
    assert archive.read_bytes() == b"not to be lost"


def test_dash_is_standard_output(unprompt: Unprompt, preset: Path, examples: Path) -> None:
    assert unprompt(examples / "written.png", "-o", "-", "--preset", preset) == (0, PROMPT + "\n", "")


def test_defaults_are_those_of_the_library(unprompt: Unprompt) -> None:
    import inspect

    from unprompt import Unprompter
    from unprompt.cli.predict import predict
    from unprompt.images.web.limits import WebLimits

    command = {name: parameter.default for name, parameter in inspect.signature(predict).parameters.items()}
    library = inspect.signature(Unprompter.predict).parameters
    shared = command.keys() & library.keys() - {"self"}
    assert {name: command[name] for name in shared} == {name: library[name].default for name in shared}
    assert (command["url_timeout_s"], command["url_limit_mb"]) == (WebLimits().timeout_s, WebLimits().limit_mb)


def test_a_password_in_an_address_is_not_repeated(unprompt: Unprompt, preset: Path) -> None:
    run = unprompt("https://me:secret@example.org/a.png", "--preset", preset, "--format", "jsonl")
    assert run.code == 3
    assert "secret" not in run.out + run.err


@pytest.mark.parametrize("table", [False, True])
def test_a_closed_pipe_ends_it_quietly(preset: Path, examples: Path, table: bool) -> None:
    read, write = os.pipe()
    os.close(read)
    written = str(examples / "written.png")
    command = [sys.executable, "-c", "import sys; from unprompt.cli.main import main; sys.exit(main())"]
    arguments = ["models", "list"] if table else [written, written, "--preset", str(preset), "--format", "json", "-q"]
    run = subprocess.run([*command, *arguments], stdout=write, stderr=subprocess.PIPE, text=True, timeout=120)
    os.close(write)
    assert (run.returncode, run.stderr) == (0, "")


def test_closed_streams_change_no_exit_code() -> None:
    command = f"{shlex.quote(sys.executable)} -c 'import sys; from unprompt.cli.main import main; sys.exit(main())'"
    for arguments, streams, code in (("models list", "1>&-", 0), ("kaggle check gone.csv", "2>&-", 2)):
        run = subprocess.run(["sh", "-c", f"{command} {arguments} {streams}"], capture_output=True, timeout=120)
        assert (run.returncode, run.stdout, run.stderr) == (code, b"", b"")


def test_the_path_to_a_prediction_is_light(preset: Path, examples: Path) -> None:
    code = (
        "import sys; from unprompt.cli.main import main; assert not main();"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    arguments = [str(examples / "rocket.jpg"), "--preset", str(preset), "--format", "jsonl"]
    # main() ends by SystemExit where typer has done its work.
    code = code.replace("assert not main();", "\ntry: main()\nexcept SystemExit as end: assert not end.code\n")
    run = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    answer, modules = run.stdout.splitlines()
    assert json.loads(answer)["prompt"]
    loaded = set(modules.split())
    assert loaded.isdisjoint({"torch", "transformers", "timm", "open_clip", "rich"})
    assert "onnxruntime" in loaded


def box(kind: bytes, body: bytes) -> bytes:
    return (8 + len(body)).to_bytes(4, "big") + kind + body


def video(comment: str) -> bytes:
    """An MP4 without frames, with a tag as ffmpeg writes it."""
    tag = box(b"\xa9cmt", box(b"data", b"\0\0\0\1\0\0\0\0" + comment.encode()))
    handler = box(b"hdlr", bytes(8) + b"mdirappl" + bytes(9))
    tags = box(b"udta", box(b"meta", bytes(4) + handler + box(b"ilst", tag)))
    return box(b"ftyp", b"isom\0\0\2\0isommp41") + box(b"moov", tags)


def test_a_video_is_answered_by_the_prompt_that_is_written_in_it(
    unprompt: Unprompt, preset: Path, tmp_path: Path
) -> None:
    graph = {
        "3": {"class_type": "KSampler", "inputs": {"positive": ["6", 0], "seed": 1}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a fox in the snow"}},
        "9": {"class_type": "VHS_VideoCombine", "inputs": {"images": ["3", 0], "save_output": True}},
    }
    (tmp_path / "a.mp4").write_bytes(video(json.dumps({"prompt": json.dumps(graph)})))
    (tmp_path / "b.mp4").write_bytes(video("nothing"))
    assert unprompt(tmp_path / "a.mp4", "--preset", preset) == (0, "a fox in the snow\n", "")
    run = unprompt(tmp_path / "b.mp4", "--preset", preset)
    assert (run.code, run.out) == (3, "")
    assert "expected a picture, found an MP4 video" in run.err
    assert "save a frame of it as PNG" in run.err


def test_a_folder_says_what_it_passed_over(
    unprompt: Unprompt, preset: Path, examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("pillow_heif", "pillow_jxl"):
        monkeypatch.setitem(sys.modules, module, None)
    shutil.copy(examples / "written.png", tmp_path)
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic")
    (tmp_path / "b.jxl").write_bytes(b"\xff\x0a")
    (tmp_path / "c.mov").write_bytes(b"\0\0\0\x14ftypqt  \0\0\0\0qt  ")
    run = unprompt(tmp_path, "--preset", preset)
    assert (run.code, run.out) == (0, f"{tmp_path / 'written.png'}\t{PROMPT}\n")
    assert "passed over 1 HEIC, 1 JPEG XL (pip install 'unprompt[formats]' reads them); 1 MOV (" in run.err
    assert "passed over" not in unprompt(tmp_path, "-q", "--preset", preset).err
    named = unprompt(tmp_path / "a.heic", "--preset", preset)
    assert (named.code, named.out) == (3, "")
    assert "found a HEIC; install its decoder: pip install 'unprompt[formats]'" in named.err


def test_a_style_reaches_the_record_and_one_that_changes_nothing_says_so(
    unprompt: Unprompt, preset: Path, tmp_path: Path, gone: Path
) -> None:
    (picture,) = tiny_models.pictures(tmp_path, 1)
    run = unprompt(picture, "--preset", preset, "--style", "tags", "--format", "jsonl")
    assert (run.code, run.err) == (0, "")
    assert json.loads(run.out)["model"]["style"] == "tags"
    lone = tmp_path / "lone.toml"
    lone.write_text('[[members]]\nkind = "interrogator"\nmodel = "embedded"\nmode = "caption"\ncaption = "a picture"\n')
    run = unprompt(gone, "--preset", lone, "--style", "tags")
    assert "--style changes nothing: the preset lone has no decoder" in run.err
    assert "changes nothing" not in unprompt(gone, "--preset", lone, "--style", "tags", "-q").err
    assert unprompt(picture, "--style", "haiku").code == 2


# What trainers ask for


@pytest.fixture
def train(examples: Path, tmp_path: Path) -> Path:
    """A picture that holds its prompt, and one that has a caption already."""
    folder = tmp_path / "10_moon"
    folder.mkdir()
    for name in ("a", "b"):
        shutil.copy(examples / "written.png", folder / f"{name}.png")
    (folder / "b.caption").write_text("mine")
    return folder


def test_sidecars_of_each_kind(unprompt: Unprompt, preset: Path, train: Path) -> None:
    run = unprompt(train, "--sidecar", "--preset", preset)
    assert (run.code, run.out) == (0, "")
    assert run.err.endswith("unprompt: skipped for a sidecar of another kind: 1 .caption\n")
    assert (train / "a.txt").read_text() == PROMPT
    assert not (train / "b.txt").exists()

    asked = (train, "--sidecar", "--preset", preset, "--existing", "append", "--quiet")
    assert unprompt(*asked, "--sidecar-suffix", ".json", "--prefix", "sks, ") == (0, "", "")
    assert [json.loads((train / f"{name}.json").read_text())["caption"] for name in "ab"] == [
        f"sks, {PROMPT}",
        f"mine, sks, {PROMPT}",
    ]
    assert unprompt(*asked, "--sidecar-suffix", ".caption") == (0, "", "")
    assert unprompt(*asked, "--sidecar-suffix", ".caption", "--replace", "blue mountains=hills") == (0, "", "")
    assert (train / "b.caption").read_text() == f"mine, {PROMPT.replace('blue mountains', 'hills')}"
    assert unprompt("data", "stats", train, "--threshold", 0).code == 0


def test_answers_that_are_left_out(unprompt: Unprompt, preset: Path, train: Path, examples: Path) -> None:
    asked = (train, examples / "written.png", "--preset", preset, "--format", "jsonl")
    left = unprompt(*asked, "--drop-if", "MOON", "--drop-if", "x")
    assert (left.code, left.out) == (0, "")
    assert "3 left out" in left.err
    alone = unprompt(examples / "written.png", "--preset", preset, "--drop-if", "MOON")
    assert alone == (0, "", "unprompt: 1 left out by --must-contain or --drop-if\n")
    assert (
        unprompt(*asked, "--drop-if", "moo", "--must-contain", "calm lake", "--must-contain", "sky").out.count("\n")
        == 3
    )
    beside = unprompt(train, "--sidecar", "--preset", preset, "--existing", "overwrite", "--must-contain", "dog", "-q")
    assert beside == (0, "", "")
    assert sorted(path.name for path in train.iterdir()) == ["a.png", "b.caption", "b.png"]
