"""`unprompt evaluate`: scores, results, pages, comparisons, weights."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_models

from unprompt.evaluation.results import read_results
from unprompt.presets import load_preset

Unprompt = Callable[..., Any]


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    paths = tiny_models.pictures(tmp_path / "pictures", 4)
    path = tmp_path / "labelled.jsonl"
    records = [
        {
            "file_name": f"pictures/{each.name}",
            "prompt": f"a [red] cat {number}",
            "kind": f"[{each.suffix}]",
            "group": number,
        }
        for number, each in enumerate(paths)
    ]
    path.write_text("\n".join(map(json.dumps, records)))
    return path


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A preset of two members."""
    folder = tmp_path_factory.mktemp("pair")
    models = [tiny_models.regressor(folder / f"linear.{seed}", seed=seed) for seed in (1, 2)]
    return tiny_models.preset(folder / "pair.toml", *models)


def results(unprompt: Unprompt, labelled: Path, preset: Path, out: Path, *options: str) -> Path:
    assert unprompt("evaluate", labelled, "--no-text", "--preset", preset, "--results", out, *options).code == 0
    return out


def captioned(labelled: Path) -> Path:
    """The same pictures with a text beside each, as kohya's trainers have them."""
    folder = labelled.parent / "5_cat"
    (labelled.parent / "pictures").rename(folder)
    for number, picture in enumerate(sorted(folder.iterdir())):
        picture.with_suffix(".txt").write_text(f"a [red] cat {number}")
    return folder


def test_a_folder_of_captioned_pictures(unprompt: Unprompt, preset: Path, labelled: Path, tmp_path: Path) -> None:
    folder, out = captioned(labelled), tmp_path / "scores.json"
    asked = ("--no-text", "--preset", preset, "--json", out, "--overwrite")
    run = unprompt("evaluate", folder, *asked, "--by", "class_tokens")
    assert run.code == 0
    assert set(json.loads(out.read_text())["groups"]) == {"cat"}

    next(folder.glob("*.txt")).unlink()
    run = unprompt("evaluate", folder, *asked)
    assert (run.code, "expected a text beside the picture, found none" in run.err) == (2, True)
    run = unprompt("evaluate", folder, *asked, "--skip-bad")
    assert (run.code, "skipped, because they cannot be used: 1 missing-text\n" in run.err) == (0, True)
    report = json.loads(out.read_text())
    assert (report["n"], report["faults"]) == (3, {"missing-text": 1})


def test_a_list_apart_from_its_pictures(unprompt: Unprompt, preset: Path, labelled: Path, tmp_path: Path) -> None:
    moved = tmp_path / "lists" / "all.jsonl"
    moved.parent.mkdir()
    labelled.rename(moved)
    run = unprompt("evaluate", moved, "--no-text", "--preset", preset)
    assert run.code == 2
    assert len(run.err.splitlines()) == 1
    assert f"found none of 4, the first at {tmp_path}/lists/pictures/" in run.err
    assert "--root FOLDER" in run.err
    assert unprompt("evaluate", moved, "--root", tmp_path, "--no-text", "--preset", preset).code == 0


def test_scores(unprompt: Unprompt, preset: Path, labelled: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.json"
    run = unprompt("evaluate", labelled, "--by", "kind", "--json", out, "--no-text", "--preset", preset)
    report = json.loads(out.read_text())
    assert (run.code, run.err) == (0, "")
    assert report["n"] == 4
    assert set(report["groups"]) == {"[.png]", "[.jpg]", "[.webp]"}
    assert all(text in run.out for text in ("[.png]", "all", "linear.tiny alone", f"{report['vector']['mean']:.4f}"))
    assert "95 %: percentile bootstrap over 4 groups of similar prompts, 1,000 resamples" in run.out


def test_failures_are_named(unprompt: Unprompt, preset: Path, labelled: Path, tmp_path: Path) -> None:
    labelled.write_text(labelled.read_text() + '\n{"file_name": "none.png", "prompt": "none"}')
    out = tmp_path / "r.jsonl"
    run = unprompt("evaluate", labelled, "--no-text", "--preset", preset, "--results", out)
    assert run.code == 3
    assert "none.png: expected a file" in run.err
    assert "1 of 5 pictures failed" in run.err
    assert [("error" in json.loads(line)) for line in out.read_text().splitlines()] == [False] * 4 + [True]


def test_no_picture_that_can_be_read(unprompt: Unprompt, preset: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "broken.jsonl").write_text('{"file_name": "broken.png", "prompt": "none"}')
    run = unprompt("evaluate", tmp_path / "broken.jsonl", "--no-text", "--preset", preset)
    assert run.code == 2
    assert "1 of 1 pictures failed; there is nothing to score" in run.err


def test_no_data_set(unprompt: Unprompt, preset: Path, tmp_path: Path) -> None:
    for arguments in ((tmp_path / "none.jsonl",), ()):
        run = unprompt("evaluate", *arguments, "--preset", preset)
        assert (run.code, run.out) == (2, "")
        assert len(run.err.splitlines()) == 1
        assert "expected a data set" in run.err


def test_unknown_field(unprompt: Unprompt, preset: Path, labelled: Path) -> None:
    run = unprompt("evaluate", labelled, "--by", "knd", "--preset", preset)
    assert (run.code, run.out) == (2, "")
    assert "did you mean 'kind'" in run.err


def test_page(unprompt: Unprompt, preset: Path, labelled: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    assert unprompt("evaluate", labelled, "--by", "kind", "--html", out, "--preset", preset).code == 0
    html = out.read_text()
    assert html.startswith("<!doctype html>")
    assert html.count("<img ") == 4
    assert f"evaluate {labelled} --by kind --html {out}" in html


def test_results_say_what_each_picture_scored(unprompt: Unprompt, preset: Path, labelled: Path, tmp_path: Path) -> None:
    lines = results(unprompt, labelled, preset, tmp_path / "r.jsonl").read_text().splitlines()
    records = list(map(json.loads, lines))
    names = ["pictures/0.png", "pictures/1.jpg", "pictures/2.webp", "pictures/3.png"]
    assert [record["name"] for record in records] == names
    assert records[1]["true_prompt"] == "a [red] cat 1"
    assert records[1]["fields"] == {"kind": "[.jpg]", "group": 1}
    assert records[1]["members"] == {"linear.tiny": records[1]["vector"]}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_results_of_a_run_that_was_stopped_are_kept(preset: Path, tmp_path: Path, number: signal.Signals) -> None:
    paths = tiny_models.pictures(tmp_path / "pictures", 60)
    data, out = tmp_path / "data.jsonl", tmp_path / "r.jsonl"
    lines = [json.dumps({"file_name": f"pictures/{path.name}", "prompt": f"picture {path.stem}"}) for path in paths]
    data.write_text("\n".join(lines))
    command = [sys.executable, "-m", "unprompt", "evaluate", data, "--preset", preset, "--results", out]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and not (out.exists() and out.read_text().count("\n") >= 2):
            time.sleep(0.01)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    scores = read_results(out).scores
    assert [score.name for score in scores] == [f"pictures/{path.name}" for path in paths[: len(scores)]]
    assert 2 <= len(scores) < 60
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert said.startswith(f"unprompt: interrupted: {len(scores)} of 60 pictures")
        assert f"their scores are in {out}" in said


@pytest.mark.parametrize(
    ("option", "name", "said"),
    [
        ("--json", "none/a.json", "expected an existing folder"),
        ("--html", "none/a.html", "expected an existing folder"),
        ("--results", "none/a.jsonl", "expected an existing folder"),
        ("--html", "a.png", "would overwrite a picture"),
        ("--results", "a.csv", "expected --results FILE.jsonl"),
        ("--results", "labelled.jsonl", "which is read"),
        ("--json", "labelled.jsonl", "which is read"),
        ("--json", "pictures", "it is a folder"),
    ],
)
def test_outputs_are_checked_before_the_work(
    unprompt: Unprompt, labelled: Path, tmp_path: Path, option: str, name: str, said: str
) -> None:
    before = labelled.read_text()
    run = unprompt("evaluate", labelled, "--no-text", "--preset", damaged(tmp_path), option, tmp_path / name)
    assert (run.code, run.out) == (2, "")
    assert said in run.err
    assert labelled.read_text() == before


def damaged(tmp_path: Path) -> Path:
    """A preset whose model is damaged, which only work would find out."""
    path = tiny_models.preset(tmp_path / "broken.toml", tiny_models.regressor(tmp_path / "linear.broken"))
    (tmp_path / "linear.broken" / "model.onnx").write_bytes(b"damaged")
    return path


@pytest.mark.parametrize(
    ("option", "name"),
    [("--json", "old.json"), ("--html", "old.html"), ("--results", "old.jsonl"), ("--fit-weights", "old.toml")],
)
def test_what_is_there_is_left_alone_before_the_work(
    unprompt: Unprompt, labelled: Path, tmp_path: Path, option: str, name: str
) -> None:
    old = tmp_path / name
    old.write_text("an hour's work")
    run = unprompt("evaluate", labelled, "--no-text", "--preset", damaged(tmp_path), option, old)
    assert (run.code, run.out, old.read_text()) == (2, "", "an hour's work")
    assert f"found that {old} is there; add --overwrite to replace it, or name another" in run.err


def test_what_is_there_is_replaced_if_asked(unprompt: Unprompt, preset: Path, labelled: Path, tmp_path: Path) -> None:
    old = [tmp_path / name for name in ("old.json", "old.html", "old.jsonl")]
    for path in old:
        path.write_text("an hour's work")
    outputs = ("--json", old[0], "--html", old[1], "--results", old[2])
    assert unprompt("evaluate", labelled, "--no-text", "--preset", preset, *outputs, "--overwrite").code == 0
    assert not any("an hour's work" in path.read_text() for path in old)


def test_a_comparison_that_is_there_is_left_alone(unprompt: Unprompt, labelled: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.json"
    old.write_text("an hour's work")
    broken = damaged(tmp_path)
    run = unprompt("evaluate", labelled, "--no-text", "--compare", broken, broken, "--json", old)
    assert (run.code, "is there; add --overwrite" in run.err, old.read_text()) == (2, True, "an hour's work")


def test_an_output_that_would_be_read_as_the_data_set(unprompt: Unprompt, preset: Path, labelled: Path) -> None:
    own = labelled.rename(labelled.with_name("metadata.jsonl"))
    before = own.read_text()
    for arguments in (("--results", own), ("--json", own), ("--html", own.with_name("metadata.csv"))):
        run = unprompt("evaluate", own.parent, "--no-text", "--preset", preset, *arguments)
        assert (run.code, run.out) == (2, "")
        assert "which is read or would be the next time" in run.err
    run = unprompt("evaluate", own.parent, "--no-text", "--compare", preset, preset, "--json", own)
    assert (run.code, "which is read or would be" in run.err) == (2, True)
    run = unprompt("data", "stats", own.parent, "--threshold", 0, "--json", own)
    assert (run.code, "which is read or would be" in run.err) == (2, True)
    assert own.read_text() == before


def test_weights(unprompt: Unprompt, pair: Path, labelled: Path, tmp_path: Path) -> None:
    out = tmp_path / "fitted.toml"
    run = unprompt("evaluate", labelled, "--no-text", "--preset", pair, "--fit-weights", out)
    assert (run.code, run.err) == (0, "")
    assert "On held-out pictures the fitted weights score" in run.out
    weights = [member.weight for member in load_preset(out).members]
    assert sum(weights) == pytest.approx(1)
    assert "linear.1" in run.out
    again = unprompt("evaluate", labelled, "--no-text", "--preset", out)
    assert again.code == 0


def test_the_short_way_to_fitted_weights(
    unprompt: Unprompt, pair: Path, labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    long = unprompt("evaluate", labelled, "--no-text", "--preset", pair, "--fit-weights", "long.toml")
    short = unprompt("presets", "fit", labelled, "--preset", pair, "-o", "short.toml")
    assert (short.code, short.out) == (0, long.out)
    assert short.err == "unprompt: wrote short.toml: unprompt PICTURE --preset short.toml\n"
    assert Path("short.toml").read_text() == Path("long.toml").read_text()
    assert unprompt("presets", "fit", labelled, "--preset", pair, "--limit", 40).code == 0
    assert load_preset(f"{pair.stem}-fitted.toml").members
    run = unprompt("presets", "fit", labelled, "--preset", "embedded", "--quiet")
    assert (run.code, "expected a preset of two members or more" in run.err) == (2, True)
    run = unprompt("presets", "fit", labelled, "--quiet")  # of a preset that there is something to fit in
    assert (run.code, "'unprompt models fetch wd-vit-tagger-v3' brings it" in run.err) == (2, True)


def test_weights_are_fitted_without_the_codebook_which_stays_in_the_preset(
    unprompt: Unprompt, pair: Path, labelled: Path, tmp_path: Path
) -> None:
    drawing = tiny_models.with_codebook(pair, tmp_path / "drawing.toml", tiny_models.codebook(tmp_path / "book.tiny"))
    runs, fitted = {}, {}
    for path in (pair, drawing):
        out = tmp_path / f"fitted.{path.name}"
        runs[path] = unprompt("evaluate", labelled, "--no-text", "--preset", path, "--fit-weights", out)
        assert runs[path].code == 0
        fitted[path] = load_preset(out)
    assert fitted[drawing].members == fitted[pair].members
    assert fitted[drawing].codebook == load_preset(drawing).codebook
    assert "On held-out pictures (no codebook drew the vectors) the fitted weights score" in runs[drawing].out
    assert "# All scores are of the fused vector, before the codebook draws it." in fitted[drawing].text
    assert "codebook" not in runs[pair].out + fitted[pair].text


def test_a_report_scores_the_drawn_vector_and_members_as_they_are(
    unprompt: Unprompt, preset: Path, labelled: Path, tmp_path: Path
) -> None:
    drawing = tiny_models.with_codebook(preset, tmp_path / "drawing.toml", tiny_models.codebook(tmp_path / "book.tiny"))
    reports = []
    for path in (preset, drawing):
        out = tmp_path / f"{path.stem}.json"
        assert unprompt("evaluate", labelled, "--no-text", "--json", out, "--preset", path).code == 0
        reports.append(json.loads(out.read_text()))
    plain, drawn = reports
    assert drawn["members"] == plain["members"]
    assert plain["vector"] == plain["members"]["linear.tiny"]
    assert drawn["vector"] != plain["vector"]


@pytest.mark.parametrize(
    ("name", "said"), [("fitted.json", "expected --fit-weights FILE.toml"), ("no/a.toml", "existing folder")]
)
def test_where_weights_cannot_go(
    unprompt: Unprompt, pair: Path, labelled: Path, tmp_path: Path, name: str, said: str
) -> None:
    run = unprompt("evaluate", labelled, "--no-text", "--preset", pair, "--fit-weights", tmp_path / name)
    assert (run.code, run.out) == (2, "")
    assert said in run.err


def test_weights_never_replace_the_preset_that_they_come_from(unprompt: Unprompt, pair: Path, labelled: Path) -> None:
    before = pair.read_text()
    assert unprompt("evaluate", labelled, "--no-text", "--preset", pair, "--fit-weights", pair).code == 2
    assert pair.read_text() == before


def test_weights_of_one_member(unprompt: Unprompt, preset: Path, labelled: Path, tmp_path: Path) -> None:
    run = unprompt("evaluate", labelled, "--no-text", "--preset", preset, "--fit-weights", tmp_path / "a.toml")
    assert (run.code, run.out) == (2, "")
    assert "expected a preset of two members or more" in run.err
    assert not (tmp_path / "a.toml").exists()


def test_presets_are_compared(unprompt: Unprompt, preset: Path, pair: Path, labelled: Path, tmp_path: Path) -> None:
    out = tmp_path / "c.json"
    run = unprompt("evaluate", labelled, "--no-text", "--by", "kind", "--compare", preset, pair, "--json", out)
    assert (run.code, run.err) == (0, "")
    found = json.loads(out.read_text())
    assert (found["n"], found["a"]["name"], found["b"]["name"]) == (4, str(preset), str(pair))
    assert found["vector"]["mean"] == pytest.approx(found["vector"]["a"] - found["vector"]["b"], abs=2e-6)
    assert f"{found['vector']['mean']:+.4f}" in run.out
    assert "[.webp]" in run.out
    assert f"A: {preset}\n" in run.out


def test_results_files_give_the_same_as_presets(
    unprompt: Unprompt, preset: Path, pair: Path, labelled: Path, tmp_path: Path
) -> None:
    live, kept, mixed = (tmp_path / f"{name}.json" for name in ("live", "kept", "mixed"))
    assert unprompt("evaluate", labelled, "--no-text", "--compare", preset, pair, "--json", live).code == 0
    a = results(unprompt, labelled, preset, tmp_path / "a.jsonl")
    b = results(unprompt, labelled, pair, tmp_path / "b.jsonl")
    run = unprompt("evaluate", "--compare", a, b, "--by", "kind", "--json", kept)
    assert (run.code, run.err) == (0, "")
    assert unprompt("evaluate", labelled, "--no-text", "--compare", a, pair, "--json", mixed).code == 0
    first, second, third = (json.loads(path.read_text()) for path in (live, kept, mixed))
    assert first["vector"] == second["vector"] == third["vector"]
    assert set(second["groups"]) == {"[.png]", "[.jpg]", "[.webp]"}
    assert [first[side]["models"] for side in "ab"] == [
        [{**model, "models": first[side]["models"][0]["models"]} for model in second[side]["models"]] for side in "ab"
    ]


def test_what_one_alone_has_is_said(unprompt: Unprompt, preset: Path, labelled: Path, tmp_path: Path) -> None:
    a = results(unprompt, labelled, preset, tmp_path / "a.jsonl")
    b = results(unprompt, labelled, preset, tmp_path / "b.jsonl", "--limit", "3")
    run = unprompt("evaluate", "--compare", a, b)
    assert run.code == 0
    assert "3 pictures are compared; 1 that only A has and 0 that only B has are not" in run.err


def test_a_file_against_itself(unprompt: Unprompt, preset: Path, labelled: Path, tmp_path: Path) -> None:
    a = results(unprompt, labelled, preset, tmp_path / "a.jsonl")
    os.symlink(a, tmp_path / "link.jsonl")
    for other in (a, tmp_path / "link.jsonl"):
        run = unprompt("evaluate", "--compare", a, other)
        assert run.code == 0
        assert "A and B are the same, so every difference is 0" in run.err
        assert "+0.0000" in run.out
        assert "50.0 %" in run.out


def test_comparisons_that_cannot_be(unprompt: Unprompt, preset: Path, labelled: Path, tmp_path: Path) -> None:
    a = results(unprompt, labelled, preset, tmp_path / "a.jsonl")
    other = tmp_path / "other.jsonl"
    other.write_text(a.read_text().replace('"name": "', '"name": "x'))
    refused = [
        ([preset, preset], "expected a data set on which to compare presets"),
        ([labelled, "--compare", a, a], "two results files are compared as they are"),
        (["--compare", a, other], "found none that both have"),
        (["--compare", a, labelled], "expected a result of `unprompt evaluate --results`"),
        (["--compare", a, tmp_path / "none.jsonl"], "expected a file, found none"),
        (["--compare", a, other, "--limit", "2"], "--limit is for a data set"),
        (["--compare", a, other, "--html", tmp_path / "c.html"], "--compare goes with none of"),
        (["--compare", a, other, "--preset", preset], "--compare goes with none of"),
        (["--compare", a, other, "--json", a], "which is read"),
        (["--compare", a, a, "--by", "knd"], "did you mean 'kind'"),
        ([labelled, "--compare", "embeded", preset], "did you mean 'embedded'"),
    ]
    refused[0] = (["--compare", *refused[0][0]], refused[0][1])
    for arguments, said in refused:
        run = unprompt("evaluate", *arguments)
        assert (run.code, run.out) == (2, ""), arguments
        assert said in run.err
