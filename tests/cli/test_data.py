"""data clean, dedupe, split and stats."""

import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dataset_layouts import records, write_jsonl, write_parquet, write_pictures
from full_disks import largest_file

from unprompt.datasets.pairs import Pair, read_pairs
from unprompt.text.sentence import SentenceEncoder

Unprompt = Callable[..., Any]

ADVICE = "free some space and run it again"

PROMPTS = (
    "a photo of a red fox in deep snow",
    "a photo of a red fox in the deep snow",
    "an oil painting of a sailing ship in a storm",
    "oil painting of a sailing ship in a storm, masterpiece",
    "portrait of an old fisherman with a beard",
    "a bowl of ramen on a wooden table",
    "an astronaut rides a horse on the moon",
    "astronaut riding a horse on the moon",
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.txt"
    path.write_text("".join(f"{prompt}\n" for prompt in (*PROMPTS, PROMPTS[0])))
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two pictures of each prompt."""
    rows = [{**row, "prompt": PROMPTS[number // 2], "kind": "photo"} for number, row in enumerate(records(16))]
    write_pictures(tmp_path / "set", rows)
    return write_jsonl(tmp_path / "set" / "all.jsonl", rows)


def pairs_of(path: Path) -> list[Pair]:
    return [item for item in read_pairs(path) if isinstance(item, Pair)]


def test_clean(unprompt: Unprompt, tmp_path: Path) -> None:
    (tmp_path / "raw.txt").write_text(
        "(a fox:1.2)  in the  deep snow\nshort\na fox in the deep snow of may\n\nКот на крыше\n"
    )
    run = unprompt("data", "clean", tmp_path / "raw.txt", "-o", tmp_path / "clean.txt", "--json", tmp_path / "c.json")
    assert run.code == 0
    assert (tmp_path / "clean.txt").read_text() == "a fox in the deep snow\n"
    counts = json.loads((tmp_path / "c.json").read_text())
    assert {name: n for name, n in counts.items() if n} == {
        "read": 4, "spaces": 1, "marks": 1, "short": 2, "starts": 1, "kept": 1,
    }  # fmt: skip
    assert "│ dropped: fewer than 5 words                │ 2 │" in run.out
    assert run.err == f"unprompt: wrote {tmp_path / 'clean.txt'}\n"


def test_clean_by_other_rules(unprompt: Unprompt, tmp_path: Path) -> None:
    raw = "(a fox:1.2)  in snow\nКот на крыше\n(a fox:1.2)  in snow\n"
    (tmp_path / "raw.txt").write_text(raw)
    off = ("--min-words", 0, "--starts", 0, "--ends", 0, "--any-characters", "--keep-marks", "--keep-spaces")
    run = unprompt("data", "clean", tmp_path / "raw.txt", "-o", tmp_path / "clean.txt", *off, "--keep-copies")
    assert run.code == 0
    # A text file has a prompt a line, with single spaces.
    assert (tmp_path / "clean.txt").read_text() == raw.replace("  ", " ")
    assert unprompt("data", "clean", tmp_path / "raw.txt", "-o", tmp_path / "x.txt", "--keep-spaces").code == 2
    assert unprompt("data", "clean", tmp_path / "raw.txt", "-o", tmp_path / "x.txt", *off, "--quiet").err == ""


def test_clean_keeps_the_pictures_of_a_prompt(unprompt: Unprompt, pictures: Path) -> None:
    output = pictures.parent / "clean.jsonl"
    starts = ("--starts", 10, "--ends", 0)
    assert unprompt("data", "clean", pictures, "-o", output, *starts).code == 0
    assert Counter(pair.prompt for pair in pairs_of(output)).most_common(1) == [(PROMPTS[0], 2)]
    assert unprompt("data", "clean", pictures, "-o", output, *starts, "--drop-copies", "--overwrite").code == 0
    kept = pairs_of(output)
    assert len({pair.prompt[:10] for pair in kept}) == len(kept) == 7


def test_clean_writes_nothing_where_there_are_faults(unprompt: Unprompt, tmp_path: Path) -> None:
    (tmp_path / "raw.txt").write_bytes(b"a fox in the deep snow\n\xff\n")
    output = tmp_path / "clean.txt"
    run = unprompt("data", "clean", tmp_path / "raw.txt", "-o", output)
    assert (run.code, run.out, output.exists()) == (2, "", False)
    assert "1 broken-record" in run.err
    run = unprompt("data", "clean", tmp_path / "raw.txt", "-o", output, "--skip-bad")
    assert (run.code, output.read_text()) == (0, "a fox in the deep snow\n")
    assert "cannot be used: 1 broken-record" in run.err


def test_clean_of_what_the_rules_all_drop(unprompt: Unprompt, tmp_path: Path) -> None:
    (tmp_path / "raw.txt").write_text("a cat\na dog\n")
    run = unprompt("data", "clean", tmp_path / "raw.txt", "-o", tmp_path / "clean.txt")
    assert (run.code, (tmp_path / "clean.txt").exists()) == (2, False)
    assert "found none among 2" in run.err


@pytest.mark.parametrize("name", ["out.txt", "set/out.jsonl", "out.tar"])
def test_what_a_full_disk_stopped_is_continued(unprompt: Unprompt, pictures: Path, tmp_path: Path, name: str) -> None:
    def cleaned(*options: str) -> Any:
        return unprompt("data", "clean", pictures, "-o", tmp_path / name, "--starts", 0, "--ends", 0, *options)

    part = (tmp_path / name).with_name(f".{Path(name).name}.part")
    with largest_file(100):
        run = cleaned()
    assert (run.code, run.out) == (2, "")
    assert run.err == f"unprompt: cannot write {tmp_path / name}: File too large; {ADVICE}, with --resume\n"
    assert part.stat().st_size == 100
    assert not (tmp_path / name).exists()
    begun = part.stat().st_ino
    assert cleaned("--resume").code == 0
    whole = tmp_path / name
    assert whole.stat().st_ino == begun
    continued = whole.read_bytes()
    assert cleaned("--overwrite").code == 0
    assert whole.read_bytes() == continued
    assert not part.exists()


@pytest.mark.parametrize("command", ["clean", "dedupe", "split"])
def test_a_file_that_no_run_began_is_never_continued(
    unprompt: Unprompt, text: Path, tmp_path: Path, command: str
) -> None:
    path = tmp_path / "parts" / "val.txt"
    path.parent.mkdir()
    path.write_text("my notes\n")
    run = unprompt("data", command, text, "-o", path.parent if command == "split" else path, "--resume")
    assert (run.code, run.out) == (2, "")
    assert "nothing that an earlier run left to continue; add --overwrite" in run.err
    assert path.read_text() == "my notes\n"


@pytest.mark.parametrize("command", ["dedupe", "split"])
def test_commands_that_keep_vectors_continue_too(unprompt: Unprompt, text: Path, tmp_path: Path, command: str) -> None:
    output = tmp_path / "out.txt" if command == "dedupe" else tmp_path / "parts"
    assert unprompt("data", "dedupe", text, "-o", tmp_path / "warm.txt").code == 0  # the vectors are kept now
    with largest_file(50):
        run = unprompt("data", command, text, "-o", output)
    assert run.code == 2
    assert run.err.endswith(f"File too large; {ADVICE}, with --resume\n")
    assert unprompt("data", command, text, "-o", output, "--resume").code == 0


def test_dedupe_as_by_brute_force(unprompt: Unprompt, text: Path, tmp_path: Path) -> None:
    vectors = SentenceEncoder.embedded(1).encode(PROMPTS)
    cosines = vectors @ vectors.T
    kept: list[int] = []
    for index in range(len(PROMPTS)):
        if not any(cosines[index, other] >= 0.85 for other in kept):
            kept.append(index)
    assert 4 <= len(kept) < len(PROMPTS)
    expected = {(i + 1, j + 1) for i, j in np.argwhere(np.triu(cosines, 1) >= 0.85).tolist()}

    found = tmp_path / "pairs.jsonl"
    run = unprompt("data", "dedupe", text, "-o", tmp_path / "out.txt", "--pairs", found)
    assert run.code == 0
    assert (tmp_path / "out.txt").read_text().splitlines() == [PROMPTS[index] for index in kept]
    pairs = list(map(json.loads, found.read_text().splitlines()))
    assert {(pair["first_record"], pair["second_record"]) for pair in pairs} == expected
    for pair in pairs:
        assert pair["first"] == PROMPTS[pair["first_record"] - 1]
        assert pair["second"] == PROMPTS[pair["second_record"] - 1]
        assert abs(pair["cosine"] - cosines[pair["first_record"] - 1, pair["second_record"] - 1]) < 1e-3

    # Without the pairs, the same is left; and nothing is encoded a second time.
    again = unprompt("data", "dedupe", text, "-o", tmp_path / "again.txt", "--json", tmp_path / "counts.json")
    assert again.code == 0
    assert (tmp_path / "again.txt").read_text() == (tmp_path / "out.txt").read_text()
    counts = json.loads((tmp_path / "counts.json").read_text())
    assert (counts["records"], counts["distinct"], counts["kept"]) == (9, 8, len(kept))


def test_prompts_that_are_read_in_part_are_counted(unprompt: Unprompt, tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text("a fox in the deep snow\n" + "cat " * 254 + "\n" + "dog " * 255 + "\n")
    command = ("data", "dedupe", tmp_path / "long.txt", "--cache", tmp_path / "vectors")
    told = "1 of the prompts encoded now are longer than the encoder of sentences reads"
    assert told in unprompt(*command, "-o", tmp_path / "1.txt").err
    assert told not in unprompt(*command, "-o", tmp_path / "2.txt").err


def test_dedupe_of_pictures(unprompt: Unprompt, pictures: Path) -> None:
    output = pictures.parent / "out.jsonl"
    assert unprompt("data", "dedupe", pictures, "-o", output).code == 0
    kept = pairs_of(output)
    assert set(Counter(pair.prompt for pair in kept).values()) == {2}
    assert unprompt("data", "dedupe", pictures, "-o", output, "--drop-copies", "--overwrite").code == 0
    assert [pair.name for pair in pairs_of(output)] == [pair.name for pair in kept[::2]]


def test_dedupe_of_a_parquet_file_gives_a_tar(unprompt: Unprompt, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    rows = [{**row, "prompt": prompt} for row, prompt in zip(records(8), PROMPTS, strict=True)]
    source = write_parquet(tmp_path / "all.parquet", rows)
    assert unprompt("data", "dedupe", source, "-o", tmp_path / "out.tar", "--threshold", 1).code == 0
    assert [pair.picture.read() for pair in pairs_of(tmp_path / "out.tar")] == [row["picture"] for row in rows]
    run = unprompt("data", "dedupe", source, "-o", tmp_path / "out.jsonl")
    assert run.code == 2
    assert "write -o FILE.tar" in run.err


def test_faults_stop_before_anything_is_encoded(unprompt: Unprompt, tmp_path: Path, cache: Path) -> None:
    (tmp_path / "raw.txt").write_bytes(b"a fox in the deep snow\n\xff\n")
    for command in ("dedupe", "split", "stats"):
        output = () if command == "stats" else ("-o", tmp_path / ("out.txt" if command == "dedupe" else "parts"))
        run = unprompt("data", command, tmp_path / "raw.txt", *output)
        assert (run.code, run.out) == (2, "")
        assert "1 broken-record" in run.err
    assert not cache.exists()


@pytest.mark.parametrize("kind", ["text", "pictures"])
def test_no_two_sides_of_a_split_are_similar(
    unprompt: Unprompt, text: Path, pictures: Path, tmp_path: Path, kind: str
) -> None:
    source, suffix = (text, "txt") if kind == "text" else (pictures, "jsonl")
    folder = tmp_path / "parts" if kind == "text" else pictures.parent
    options = ("--share", 0.4, "--group", 0.7, "--json", tmp_path / "counts.json")
    assert unprompt("data", "split", source, "-o", folder, *options).code == 0
    counts = json.loads((tmp_path / "counts.json").read_text())
    if kind == "text":
        sides = [(folder / f"{name}.txt").read_text().splitlines() for name in ("train", "val")]
    else:
        parts = [pairs_of(folder / f"{name}.jsonl") for name in ("train", "val")]
        sides = [[pair.prompt for pair in part] for part in parts]
        train, val = ({pair.fields["group"] for pair in part} for part in parts)
        assert train.isdisjoint(val)
        assert train | val == set(range(counts["groups"]))
    assert Counter(sides[0] + sides[1]) == Counter(text.read_text().splitlines() if kind == "text" else PROMPTS * 2)
    assert [len(side) for side in sides] == [counts["train_records"], counts["validation_records"]]
    assert counts["validation_records"] >= 2
    encoder = SentenceEncoder.embedded(1)
    assert (encoder.encode(sides[0]) @ encoder.encode(sides[1]).T).max() < 0.7
    first = [(folder / f"{name}.{suffix}").read_bytes() for name in ("train", "val")]
    assert unprompt("data", "split", source, "-o", folder, *options).code == 2
    assert unprompt("data", "split", source, "-o", folder, *options, "--overwrite").code == 0
    assert [(folder / f"{name}.{suffix}").read_bytes() for name in ("train", "val")] == first


def test_options_of_split_that_make_no_sense(unprompt: Unprompt, text: Path, tmp_path: Path, cache: Path) -> None:
    for options, said in (
        (("--share", 0), "expected --share above 0 and below 1, found 0"),
        (("--share", 1), "expected --share above 0 and below 1, found 1"),
        (("--tar",), "expected pictures with --tar"),
    ):
        run = unprompt("data", "split", text, "-o", tmp_path / "parts", *options)
        assert (run.code, run.out) == (2, "")
        assert said in run.err
    assert not (tmp_path / "parts").exists()
    assert not cache.exists()


def test_split_of_one_group(unprompt: Unprompt, tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text(f"{PROMPTS[0]}\n{PROMPTS[1]}\n")
    run = unprompt("data", "split", tmp_path / "one.txt", "-o", tmp_path / "parts")
    assert run.code == 2
    assert "found 1; raise --group" in run.err
    assert list((tmp_path / "parts").iterdir()) == []


def test_split_of_pictures_elsewhere(unprompt: Unprompt, pictures: Path, tmp_path: Path) -> None:
    run = unprompt("data", "split", pictures, "-o", tmp_path / "parts")
    assert run.code == 2
    assert "may not lead out of it" in run.err
    assert unprompt("data", "split", pictures, "-o", tmp_path / "parts", "--tar").code == 0
    parts = [pairs_of(tmp_path / "parts" / f"{name}.tar") for name in ("train", "val")]
    assert sum(map(len, parts)) == 16


def test_stats(unprompt: Unprompt, pictures: Path, tmp_path: Path) -> None:
    run = unprompt("data", "stats", pictures, "--json", tmp_path / "stats.json")
    assert (run.code, run.err) == (0, "")
    stats = json.loads((tmp_path / "stats.json").read_text())
    assert (stats["records"], stats["distinct_prompts"]) == (16, 8)
    assert stats["fields"] == {"kind": {"photo": 16}}
    assert stats["near_duplicates"]["threshold"] == 0.85
    assert stats["near_duplicates"]["count"] >= 1
    assert "│ masterpiece " in run.out


def test_stats_without_vectors(unprompt: Unprompt, text: Path, cache: Path) -> None:
    run = unprompt("data", "stats", text, "--threshold", 0)
    assert run.code == 0
    assert "near an earlier one" not in run.out
    assert not cache.exists()


def test_a_plot_needs_matplotlib(
    unprompt: Unprompt, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    run = unprompt("data", "stats", text, "--threshold", 0, "--plot", tmp_path / "plot.png")
    assert (run.code, run.out) == (2, "")
    assert "pip install 'unprompt[torch]'" in run.err


@pytest.mark.parametrize(("plot", "message"), [("plot.jpg", "to end in .png"), ("none/plot.png", "make it first")])
def test_a_plot_that_cannot_be_written(unprompt: Unprompt, text: Path, tmp_path: Path, plot: str, message: str) -> None:
    run = unprompt("data", "stats", text, "--threshold", 0, "--plot", tmp_path / plot)
    assert (run.code, run.out) == (2, "")
    assert message in run.err


@pytest.mark.torch
def test_stats_with_a_plot(unprompt: Unprompt, text: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert unprompt("data", "stats", text, "--threshold", 0, "--plot", tmp_path / "plot.png").code == 0
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["prompts.txt", "out.txt", "pairs.jsonl", "none/counts.json"])
def test_documents_have_a_place_of_their_own(unprompt: Unprompt, text: Path, tmp_path: Path, name: str) -> None:
    before = text.read_text()
    files = ("-o", tmp_path / "out.txt", "--pairs", tmp_path / "pairs.jsonl", "--json", tmp_path / name)
    run = unprompt("data", "dedupe", text, *files)
    assert (run.code, run.out, text.read_text()) == (2, "", before)
    assert not (tmp_path / "out.txt").exists()


@pytest.mark.parametrize(
    ("command", "option", "name"),
    [
        (("clean", "-o", "new.txt"), "--json", "old.json"),
        (("dedupe", "-o", "new.txt"), "--json", "old.json"),
        (("dedupe", "-o", "new.txt"), "--pairs", "old.jsonl"),
        (("split", "-o", "parts"), "--json", "old.json"),
        (("stats",), "--json", "old.json"),
    ],
)
def test_a_report_that_is_there_is_left_alone(
    unprompt: Unprompt,
    text: Path,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
    option: str,
    name: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    old = tmp_path / name
    old.write_text("an hour's work")
    name, *output = command
    run = unprompt("data", name, text, *output, option, old)
    assert (run.code, run.out, old.read_text()) == (2, "", "an hour's work")
    assert f"found that {old} is there; add --overwrite to replace it, or name another" in run.err
    assert not any(path.exists() for path in (cache, tmp_path / "new.txt", tmp_path / "parts"))
    assert unprompt("data", name, text, *output, option, old, "--overwrite").code == 0
    assert old.read_text() != "an hour's work"


@pytest.mark.torch
def test_a_plot_that_is_there_is_left_alone(unprompt: Unprompt, text: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    old = tmp_path / "old.png"
    old.write_text("a picture")
    run = unprompt("data", "stats", text, "--threshold", 0, "--plot", old)
    assert (run.code, "is there; add --overwrite" in run.err, old.read_text()) == (2, True, "a picture")


# Prompts alone, and folders as trainers keep them


@pytest.fixture
def kaggle(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.csv"
    rows = "".join(f'{number:09x},"{prompt}, 4k"\n' for number, prompt in enumerate((*PROMPTS, PROMPTS[0])))
    path.write_text(f"imgId,prompt\n{rows}")
    return path


def test_kaggles_prompts(unprompt: Unprompt, kaggle: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    assert unprompt("data", "dedupe", kaggle, "-o", out, "--threshold", 1).code == 0
    assert out.read_text().splitlines() == kaggle.read_text().splitlines()[:-1]
    assert unprompt("data", "clean", kaggle, "-o", tmp_path / "clean.jsonl", "--starts", 0, "--ends", 0).code == 0
    first = json.loads((tmp_path / "clean.jsonl").read_text().splitlines()[0])
    assert first == {"prompt": f"{PROMPTS[0]}, 4k", "imgId": "000000000"}
    assert unprompt("data", "stats", kaggle, "--threshold", 0, "--json", tmp_path / "s.json").code == 0
    assert json.loads((tmp_path / "s.json").read_text())["records"] == 9
    run = unprompt("data", "dedupe", kaggle, "-o", tmp_path / "out.tar")
    assert (run.code, "prompts alone have no pictures" in run.err) == (2, True)
    run = unprompt("evaluate", kaggle)
    assert (run.code, "expected a column of pictures in 'file_name'" in run.err) == (2, True)


def test_a_split_of_prompts_alone_keeps_their_fields(unprompt: Unprompt, kaggle: Path, tmp_path: Path) -> None:
    assert unprompt("data", "split", kaggle, "-o", tmp_path / "parts", "--share", 0.3, "--group", 1).code == 0
    lines = [line for name in ("train", "val") for line in (tmp_path / f"parts/{name}.jsonl").read_text().splitlines()]
    rows = [json.loads(line) for line in lines]
    assert sorted(row["imgId"] for row in rows) == [f"{number:09x}" for number in range(9)]
    assert all(set(row) == {"prompt", "imgId", "group"} for row in rows)


def test_a_folder_of_captioned_pictures(unprompt: Unprompt, pictures: Path, tmp_path: Path) -> None:
    folder = pictures.parent
    pictures.unlink()
    for number, picture in enumerate(sorted(folder.glob("*.png"))):
        picture.with_suffix(".caption" if number % 2 else ".txt").write_text(PROMPTS[number // 2])
    assert unprompt("data", "dedupe", folder, "-o", folder / "kept.jsonl", "--threshold", 1, "--drop-copies").code == 0
    kept = pairs_of(folder / "kept.jsonl")
    assert [(pair.name, pair.prompt) for pair in kept] == [
        (f"{2 * number:03}.png", prompt) for number, prompt in enumerate(PROMPTS)
    ]
