"""`--resume`: runs that are killed, interrupted or out of room lose nothing, and end as if nothing had happened."""

import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from kills import CASES, COMMAND, Case, Proof, answers_in, differences, files_in, losses, make_pictures

Unprompt = Callable[..., Any]

ALL_AT_ONCE = Case(
    "all", ("-o", "a.jsonl", "--vectors", "v.npy", "--failures", "f.jsonl"), "a.jsonl.journal"
)  # in one run, for the sake of the time

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("many"), 80)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("few"), 12)


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory, pictures: Path, preset: Path) -> Proof:
    return Proof(tmp_path_factory.mktemp("proof"), pictures, ("--preset", str(preset), "--no-text"))


def case_of(name: str) -> Case:
    return next(case for case in CASES if case.name == name)


def running(*arguments: object, cwd: Path, **options: Any) -> subprocess.Popen[str]:
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
    return subprocess.Popen([*COMMAND, *map(str, arguments)], cwd=cwd, **options)


def run(*arguments: object, cwd: Path, **options: Any) -> tuple[int, str, str]:
    with running(*arguments, cwd=cwd, **options) as process:
        out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def damage(preset: Path) -> Callable[[], None]:
    """Spoils the preset's regressor, so that nothing can be computed any more; mended by what is returned."""
    model = preset.parent / "linear.tiny" / "model.onnx"
    whole = model.read_bytes()
    model.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    return lambda: model.write_bytes(whole) and None


@pytest.fixture
def own_preset(tmp_path: Path) -> Path:
    folder = tmp_path / "preset"
    return tiny_models.preset(folder / "tiny.toml", tiny_models.regressor(folder / "linear.tiny"))


# Kills


@pytest.mark.parametrize("case", [ALL_AT_ONCE, case_of("parquet"), case_of("append")], ids=lambda case: case.name)
def test_killed_at_random_moments(proof: Proof, case: Case) -> None:
    report = proof.broken(case, 2, signal.SIGKILL, random.Random(case.name))
    assert not report.faults


@pytest.mark.proof
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=lambda how: how.name)
def test_ended_at_many_moments(proof: Proof, case: Case, how: signal.Signals) -> None:
    report = proof.broken(case, 20, how, random.Random(case.name))
    assert not report.faults
    assert report.met["answering"]


def test_what_a_kill_leaves_of_a_sidecar_is_taken_up(
    unprompt: Unprompt, preset: Path, few: Path, tmp_path: Path
) -> None:
    options = (few, "--sidecar", "-o", tmp_path / "tree", "--preset", preset, "--no-text", "--template", "{name}")
    unprompt(*options)
    whole = files_in(tmp_path)
    (sidecar,) = (tmp_path / "tree").rglob("0000.txt")
    code = (
        "import os; from unprompt.durable import replace_file; os.replace = lambda *_: os.kill(os.getpid(), 9); "
        f"replace_file({str(sidecar)!r}, b'half')"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    sidecar.unlink()
    assert files_in(tmp_path).keys() - whole.keys()
    unprompt(*options, "--resume")
    assert files_in(tmp_path) == whole


# Ctrl-C and requests to end


@pytest.mark.parametrize(
    ("name", "signals"),
    [
        ("json", [signal.SIGINT]),
        pytest.param("json", [signal.SIGTERM, signal.SIGTERM], marks=pytest.mark.proof),
        pytest.param("parquet", [signal.SIGTERM], marks=pytest.mark.proof),
        ("parquet", [signal.SIGINT, signal.SIGTERM, signal.SIGINT]),
    ],
)
def test_interrupted(proof: Proof, name: str, signals: list[signal.Signals]) -> None:
    case = case_of(name)
    whole, _ = proof.unbroken(case)
    folder = proof.begin(case, "interrupted")
    with running(*proof.command(case)[3:], cwd=folder, stdout=subprocess.DEVNULL) as process:
        while answers_in(folder / case.journal) < 20:
            time.sleep(0.01)
        for number in signals:
            process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert [
        line for line in err.splitlines() if "truncated" not in line and "not-a" not in line and "expected" not in line
    ] == [err.splitlines()[-1]]
    assert err.splitlines()[-1].startswith("unprompt: interrupted: ")
    assert err.endswith("--resume\n")
    (written,) = files_in(folder).values()
    (expected,) = whole.values()
    if name == "json":
        records = json.loads(written)
        assert 0 < len(records) < len(json.loads(expected))
        assert records == json.loads(expected)[: len(records)]
    else:
        assert expected.startswith(written)
    assert subprocess.run(proof.command(case, "--resume"), cwd=folder, capture_output=True).returncode == 3
    assert files_in(folder) == whole


def test_an_interrupted_replay_keeps_the_longer_table(proof: Proof) -> None:
    case = case_of("parquet")
    whole, _ = proof.unbroken(case)
    folder = proof.begin(case, "replayed")
    assert subprocess.run(proof.command(case, "--resume"), cwd=folder, capture_output=True).returncode == 3
    with running("-", *proof.command(case, "--resume", "--quiet")[4:], cwd=folder, stdin=subprocess.PIPE) as process:
        assert process.stdin
        process.stdin.write(f"{proof.command(case)[3]}/part0/0000.png\n")
        process.stdin.flush()
        while not (folder / ".a.parquet.part").exists():
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        # Python goes on with a read that was interrupted only after the handler: the interrupt is taken at once.
        process.wait(timeout=60)
    assert process.returncode == 130
    assert files_in(folder) == whole


# A disk that fills up


@contextmanager
def disk(folder: Path, kilobytes: int) -> Iterator[None]:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small file system: run as root, with CAP_SYS_ADMIN")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("kilobytes", [36, 120, *(pytest.param(n, marks=pytest.mark.proof) for n in range(4, 400, 28))])
def test_a_full_disk(proof: Proof, tmp_path: Path, kilobytes: int) -> None:
    whole, _ = proof.unbroken(ALL_AT_ONCE)
    folder = tmp_path / "disk"
    with disk(folder, kilobytes):
        code, _, err = run(*proof.command(ALL_AT_ONCE, "--quiet")[3:], cwd=folder)
        assert code == 2, err
        (line,) = [line for line in err.splitlines() if "part" not in line]
        assert line.startswith("unprompt: cannot ")
        assert "Traceback" not in err
        before = files_in(folder)
        code, _, _ = run(*proof.command(ALL_AT_ONCE, "--resume", "--quiet")[3:], cwd=folder)
        assert code == 2  # it is still full
        assert not losses(before, files_in(folder))
        subprocess.run(["mount", "-o", "remount,size=20m", str(folder)], check=True)
        code, _, _ = run(*proof.command(ALL_AT_ONCE, "--resume", "--quiet")[3:], cwd=folder)
        assert code == 3
        assert not differences(files_in(folder), whole)


# Two processes


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("-o", "a.jsonl"), ("-o", "a.jsonl")),
        (("-o", "a.jsonl", "--vectors", "v.npy"), ("-o", "b.jsonl", "--vectors", "v.npy", "--failures", "f.jsonl")),
        (
            ("--sidecar", "-o", "tree", "--template", "{name}"),
            ("--sidecar", "-o", "tree", "--template", "{name}", "--existing", "overwrite"),
        ),
    ],
)
def test_two_at_once(preset: Path, few: Path, tmp_path: Path, first: tuple[str], second: tuple[str]) -> None:
    (tmp_path / "b.jsonl").write_text("of yesterday\n")
    (tmp_path / "f.jsonl").write_text("of yesterday\n")
    options = ("--preset", preset, "--no-text", "--resume")
    with running("-", *first, *options, cwd=tmp_path, stdin=subprocess.PIPE) as process:
        assert process.stdin
        print(few / "part0" / "0000.png", file=process.stdin, flush=True)
        while not list(tmp_path.rglob("*.journal")) or (first[0] == "--vectors" and not (tmp_path / "v.npy").exists()):
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(0.5)  # until it has its locks
        before = files_in(tmp_path)
        for resume in (("--overwrite",), ("--resume",)):
            code, _, err = run(few, *second, *options[:3], *resume, "--quiet", cwd=tmp_path)
            assert (code, len(err.splitlines())) == (2, 1)
            foreign = resume == ("--resume",) and "b.jsonl" in second  # which is not even looked at
            assert ("nothing that an earlier run left" if foreign else "another unprompt is") in err
        assert files_in(tmp_path) == before
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert not list(tmp_path.glob("b.jsonl.journal*"))


# What goes on, and what begins anew


def test_nothing_is_computed_again(unprompt: Unprompt, own_preset: Path, few: Path, tmp_path: Path) -> None:
    before = tmp_path / "before"
    shutil.copytree(few, before)
    options = ("-o", tmp_path / "a.jsonl", "--preset", own_preset, "--no-text", "--resume", "--quiet")
    journal = tmp_path / "a.jsonl.journal"
    assert unprompt(before, *options).code == 3
    answers = answers_in(journal)
    mend = damage(own_preset)
    after = before.rename(tmp_path / "after")
    assert unprompt(after, *options).code == 3
    sources = [json.loads(line)["source"] for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert sources == sorted(map(str, after.rglob("*.*")))
    assert answers_in(journal) == answers

    tiny_models.pictures(after / "part1", 1)
    assert "another sha256" in unprompt(after, *options).err
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == len(sources)
    mend()
    assert unprompt(after, *options).code == 3
    assert answers_in(journal) == answers + 1

    shutil.copy(few / "part0" / "0000.png", after / "part0" / "0001.jpg")  # known, under another name
    unprompt(after, *options)
    assert answers_in(journal) == answers + 1
    tiny_models.pictures(after / "part0", 2)[1].rename(after / "part0" / "0002.webp")  # another content
    (after / "part0" / "0.png").unlink()
    unprompt(after, *options)
    assert answers_in(journal) == answers + 2


def test_other_settings_begin_anew(unprompt: Unprompt, preset: Path, tmp_path: Path) -> None:
    options = ("-o", tmp_path / "a.jsonl", "--resume", "--quiet")
    other = tiny_models.preset(tmp_path / "other.toml", tiny_models.regressor(tmp_path / "other.tiny", seed=1))
    few = make_pictures(tmp_path / "three", 3)
    counts = []
    for more in (
        ("--preset", preset, "--no-text"),
        ("--preset", other, "--no-text"),
        ("--preset", preset, "--no-text", "--ignore-metadata"),
        ("--preset", preset, "--top", "1"),
        ("--preset", preset, "--top", "2"),
    ):
        unprompt(few, *options, *more)
        resumed = (tmp_path / "a.jsonl").read_bytes()
        counts.append(answers_in(tmp_path / "a.jsonl.journal"))
        unprompt(few, "-o", tmp_path / "fresh.jsonl", "--overwrite", "--quiet", *more)
        assert resumed == (tmp_path / "fresh.jsonl").read_bytes()
    assert counts == [counts[0] * number for number in range(1, 6)]


@pytest.mark.parametrize("output", ["-o", "--vectors", "--failures"])
def test_a_file_that_no_run_began_is_never_continued(
    unprompt: Unprompt, preset: Path, few: Path, tmp_path: Path, output: str
) -> None:
    path = tmp_path / ("notes.npy" if output == "--vectors" else "notes.jsonl")
    path.write_text("my notes\n")
    more = ("-o", tmp_path / "a.jsonl") if output == "--failures" else ()
    options = (few, output, path, *more, "--preset", preset, "--no-text", "--quiet")
    for _ in range(2):
        refused = unprompt(*options, "--resume")
        assert (refused.code, refused.out) == (2, "")
        assert "nothing that an earlier run left to continue; add --overwrite" in refused.err
        assert files_in(tmp_path).keys() == {path.name}
    assert path.read_text() == "my notes\n"
    assert "--resume continues what an interrupted run left" in unprompt(*options).err


def test_the_file_that_says_whose_the_vectors_are_is_left_alone_too(
    unprompt: Unprompt, preset: Path, few: Path, tmp_path: Path
) -> None:
    (tmp_path / "v.sources.jsonl").write_text("my notes\n")
    run = unprompt(few, "--vectors", tmp_path / "v.npy", "--no-text", "--preset", preset, "--quiet")
    assert (run.code, "v.sources.jsonl is there" in run.err) == (2, True)
    assert files_in(tmp_path) == {"v.sources.jsonl": b"my notes\n"}


def test_a_run_in_which_all_failed_is_resumed(unprompt: Unprompt, own_preset: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"not yet copied")
    options = (tmp_path / "in", "-o", tmp_path / "a.jsonl", "--preset", own_preset, "--resume", "--quiet", "--no-text")
    assert unprompt(*options).code == 3
    assert unprompt(*options).code == 3
    tiny_models.pictures(tmp_path / "in", 1)[0].rename(tmp_path / "in" / "a.png")
    assert unprompt(*options).code == 0


def test_without_resume(unprompt: Unprompt, own_preset: Path, few: Path, tmp_path: Path) -> None:
    options = (few, "-o", tmp_path / "a.jsonl", "--preset", own_preset, "--no-text", "--quiet")
    assert unprompt(*options).code == 3
    whole = files_in(tmp_path)
    assert not list(tmp_path.glob("*.journal*"))
    refused = unprompt(*options, "--fail-fast")
    assert (refused.code, "--overwrite" in refused.err) == (2, True)
    assert files_in(tmp_path) == whole
    assert unprompt(*options, "--overwrite", "--fail-fast").code == 3
    begun = files_in(tmp_path)
    answers = answers_in(tmp_path / "a.jsonl.journal")
    assert answers > 0
    refused = unprompt(*options)
    assert refused.code == 2
    assert "--resume" in refused.err
    assert files_in(tmp_path) == begun
    assert unprompt(*options, "--resume").code == 3
    assert files_in(tmp_path) == whole
    assert answers_in(tmp_path / "a.jsonl.journal") > answers


def test_only_what_failed_is_tried_again(unprompt: Unprompt, preset: Path, few: Path, tmp_path: Path) -> None:
    pictures, failures = tmp_path / "pictures", tmp_path / "failures.jsonl"
    shutil.copytree(few, pictures)
    options = ("--preset", preset, "--no-text", "--quiet", "--format", "jsonl")
    assert unprompt(pictures, *options, "--failures", failures).code == 3
    (broken,) = pictures.rglob("*broken*")
    shutil.copy(few / "part0" / "0000.png", broken)
    before = failures.read_bytes()
    both = unprompt(f"@{failures}", *options, "--failures", failures)
    assert (both.code, failures.read_bytes()) == (2, before)
    assert "expected another file" in both.err
    again = unprompt(f"@{failures}", *options, "--failures", tmp_path / "left.jsonl")
    assert again.code == 0
    assert [json.loads(line)["source"] for line in again.out.splitlines()] == [str(broken)]
    assert (tmp_path / "left.jsonl").read_bytes() == b""


# Places that are none


def test_streams_have_no_journal(preset: Path, few: Path, tmp_path: Path) -> None:
    options = (few, "--preset", preset, "--no-text", "--quiet", "--format", "jsonl")
    code, _, _ = run(*options, "-o", "/dev/null", cwd=tmp_path)
    assert code == 3
    code, _, err = run(*options, "-o", "/dev/full", cwd=tmp_path)
    assert code == 2
    assert "/dev/full: No space left on device" in err.splitlines()[-1]
    code, _, err = run(*options, "-o", "/dev/null", "--resume", cwd=tmp_path)
    assert (code, len(err.splitlines())) == (2, 1)
    head = f"{' '.join(map(repr, COMMAND[:2]))} '{COMMAND[2]}' {' '.join(map(str, options))} -o /dev/stdout | head -1"
    done = subprocess.run(["sh", "-c", head], cwd=tmp_path, capture_output=True, text=True)
    assert (len(done.stdout.splitlines()), "Traceback" in done.stderr) == (1, False)
    with (tmp_path / "a.jsonl").open("w") as file:
        code, _, _ = run(*options, "-o", "/dev/stdout", cwd=tmp_path, stdout=file)
    assert code == 3
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 12
    assert os.listdir(tmp_path) == ["a.jsonl"]
    assert not list(Path("/dev").glob("stdout.journal*"))


def test_a_folder_is_no_output(unprompt: Unprompt, preset: Path, few: Path, tmp_path: Path) -> None:
    run = unprompt(few, "-o", tmp_path, "--preset", preset, "--no-text", "--quiet")
    assert (run.code, len(run.err.splitlines())) == (2, 1)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(unprompt: Unprompt, preset: Path, few: Path, tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    run = unprompt(few, "-o", tmp_path / "a.jsonl", "--preset", preset, "--no-text", "--quiet")
    tmp_path.chmod(stat.S_IRWXU)
    assert (run.code, len(run.err.splitlines())) == (2, 1)


@pytest.mark.parametrize("options", [("-o", "a.jsonl"), ("-o", "a.parquet"), ("--vectors", "v.npy")])
def test_an_output_that_is_deleted_meanwhile(preset: Path, few: Path, tmp_path: Path, options: tuple[str, str]) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    options = (options[0], str(folder / options[1]))
    with running("-", *options, "--preset", preset, "--no-text", cwd=tmp_path, stdin=subprocess.PIPE) as process:
        assert process.stdin
        print(few / "part0" / "0000.png", file=process.stdin, flush=True)
        while not any(path.stat().st_size for path in folder.glob("*[lyt]")):
            time.sleep(0.01)
        time.sleep(0.5)
        shutil.rmtree(folder)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert len(err.splitlines()) == 1
    assert str(folder) in err
