"""`unprompt bank` and `unprompt similar`, with the embedded pair."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from kills import COMMAND

from unprompt.bank.bank import Bank
from unprompt.bank.building import build_bank
from unprompt.images.decode import Picture, decode
from unprompt.images.sources import image_refs
from unprompt.towers.embedded import EmbeddedPair

Unprompt = Callable[..., Any]
Nearest = Callable[[Path], list[tuple[float, str]]]

THINGS = ("a red fox", "an old ship", "a lighthouse", "a bowl of ramen", "an astronaut")
PLACES = ("in deep snow", "at night", "by the sea", "on the moon")
PROMPTS = [f"{thing} {place}" for thing in THINGS for place in PLACES]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prompts") / "prompts.txt"
    path.write_text("".join(f"{prompt}\n" for prompt in [*PROMPTS, PROMPTS[3], "  "]))
    return path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, towers: EmbeddedPair) -> Path:
    return build_bank(PROMPTS, tmp_path_factory.mktemp("built") / "bank", towers, threads=1).folder


@pytest.fixture
def bank(built: Path, tmp_path: Path) -> Path:
    """A bank that may be changed."""
    return Path(shutil.copytree(built, tmp_path / "bank"))


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    return tiny_models.pictures(tmp_path / "pictures", 3)


@pytest.fixture(scope="module")
def nearest(towers: EmbeddedPair) -> Nearest:
    """All prompts by their cosine with a picture."""
    texts = towers.encode_texts(PROMPTS)

    def of(path: Path) -> list[tuple[float, str]]:
        picture = decode(next(iter(image_refs([str(path)]))))
        assert isinstance(picture, Picture)
        cosines = texts @ towers.encode_images([picture])[0]
        return [(float(cosines[row]), PROMPTS[row]) for row in np.argsort(-cosines)]

    return of


def parsed(lines: list[str]) -> list[tuple[float, str]]:
    return [(float(number), prompt) for number, prompt in (line.split("\t") for line in lines)]


def assert_near(found: list[tuple[float, str]], expected: list[tuple[float, str]]) -> None:
    assert [prompt for _, prompt in found] == [prompt for _, prompt in expected]
    assert [number for number, _ in found] == pytest.approx([number for number, _ in expected], abs=1e-3)


def test_build_says_what_is_in_the_bank(unprompt: Unprompt, tmp_path: Path, text: Path) -> None:
    run = unprompt("bank", "build", text, text, "-o", tmp_path / "bank")
    assert (run.code, run.out) == (0, "")
    assert f"20 of 42 prompts are in {tmp_path / 'bank'}; left out: 22 copies" in run.err  # lines without text are none
    bank = Bank.open(tmp_path / "bank")
    assert bank.texts(range(20)) == PROMPTS
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bank"]


def test_a_bank_of_pictures_and_their_prompts(unprompt: Unprompt, tmp_path: Path, pictures: list[Path]) -> None:
    rows = [{"file_name": path.name, "prompt": prompt} for path, prompt in zip(pictures, PROMPTS, strict=False)]
    (pictures[0].parent / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert unprompt("bank", "build", pictures[0].parent, "-o", tmp_path / "bank", "-q").code == 0
    assert Bank.open(tmp_path / "bank").texts(range(3)) == PROMPTS[:3]


def test_verify(unprompt: Unprompt, bank: Path) -> None:
    run = unprompt("bank", "verify", bank)
    assert (run.code, run.out) == (0, "")
    assert f"{bank} is whole: 20 prompts, compared by embedded" in run.err
    data = bytearray((bank / "sentences.f16").read_bytes())
    data[1000] ^= 1
    (bank / "sentences.f16").write_bytes(data)
    run = unprompt("bank", "verify", bank)
    assert run.code == 2
    assert "sentences.f16 has another sha256 than its config says; copy it again" in run.err


def test_similar_to_one_picture(unprompt: Unprompt, bank: Path, pictures: list[Path], nearest: Nearest) -> None:
    run = unprompt("similar", pictures[0], "--bank", bank, "--top", 4)
    assert (run.code, run.err) == (0, "")
    assert_near(parsed(run.out.splitlines()), nearest(pictures[0])[:4])


def test_similar_without_a_bank_of_ones_own(unprompt: Unprompt, pictures: list[Path]) -> None:
    run = unprompt("similar", pictures[0])
    assert (run.code, run.err) == (0, "")
    found = parsed(run.out.splitlines())
    assert len(found) == 10
    assert found == sorted(found, key=lambda one: -one[0])


def test_a_bank_of_8_bits_says_what_it_is(unprompt: Unprompt, tmp_path: Path, text: Path) -> None:
    run = unprompt("bank", "build", text, "-o", tmp_path / "bank", "--numbers", "int8", "--licence", "MIT", "-q")
    assert run.code == 0
    config = json.loads((tmp_path / "bank" / "config.json").read_text())
    assert (config["numbers"], config["licence"], config["name"]) == ("int8", "MIT", "bank")
    assert config["origin"] == "built by unprompt bank build from prompts.txt"


def test_similar_to_several_pictures(
    unprompt: Unprompt, bank: Path, pictures: list[Path], nearest: Nearest, tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    run = unprompt("similar", pictures[0], tmp_path / "broken.png", *pictures[1:], "--bank", bank, "--top", 2)
    assert run.code == 3
    assert "broken.png" in run.err
    lines = [line.split("\t", 1) for line in run.out.splitlines()]
    assert [source for source, _ in lines] == [str(path) for path in pictures for _ in range(2)]
    for number, path in enumerate(pictures):
        assert_near(parsed([line for _, line in lines[2 * number : 2 * number + 2]]), nearest(path)[:2])


@pytest.mark.parametrize("format", ["json", "jsonl"])
def test_similar_as_records(
    unprompt: Unprompt, bank: Path, pictures: list[Path], nearest: Nearest, tmp_path: Path, format: str
) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    run = unprompt("similar", tmp_path / "broken.png", pictures[1], "--bank", bank, "--format", format)
    assert run.code == 3
    failed, found = json.loads(run.out) if format == "json" else map(json.loads, run.out.splitlines())
    assert failed["error"]["kind"] == "not-a-picture"
    assert found["source"] == str(pictures[1])
    assert_near([(each["similarity"], each["text"]) for each in found["scores"]], nearest(pictures[1])[:10])


def test_only_broken_pictures(unprompt: Unprompt, bank: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    run = unprompt("similar", tmp_path / "broken.png", "--bank", bank)
    assert (run.code, run.out) == (3, "")


def test_banks_that_cannot_be_used(
    unprompt: Unprompt, bank: Path, text: Path, pictures: list[Path], tmp_path: Path
) -> None:
    run = unprompt("similar", pictures[0], "--bank", tmp_path / "none")
    assert (run.code, "expected a bank with a config.json" in run.err) == (2, True)
    run = unprompt("bank", "build", text, "-o", bank)
    assert (run.code, "found a finished bank" in run.err) == (2, True)
    (bank / "config.json").rename(bank / "building.json")
    run = unprompt("similar", pictures[0], "--bank", bank)
    assert (run.code, "is half built; run the same 'unprompt bank build' again" in run.err) == (2, True)


def test_prompts_from_strangers(unprompt: Unprompt, tmp_path: Path) -> None:
    hostile = tmp_path / "hostile.txt"
    lines = [b"a fox\x00 in snow", b"\xff\xfe broken", b"x" * 3_000_000, b"y" * 5000, "a cat \u202e reversed".encode()]
    hostile.write_bytes(b"\n".join([*lines, b"\x1b[2J\x1b[31mred", b"", b"a fox in snow"]))
    run = unprompt("bank", "build", hostile, "-o", tmp_path / "bank")
    assert (run.code, "--skip-bad" in run.err) == (2, True)
    run = unprompt("bank", "build", hostile, "-o", tmp_path / "bank", "--skip-bad")
    assert run.code == 0
    told = "1 copies, 1 longer than 4,096 characters, 2 bad records"
    assert f"3 of 5 prompts are in {tmp_path / 'bank'}; left out: {told}" in run.err
    assert Bank.open(tmp_path / "bank").texts(range(3)) == ["a fox in snow", "a cat reversed", "red"]


def test_nothing_to_build_of(unprompt: Unprompt, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n\n")
    for name in ("empty.txt", "missing.txt"):
        run = unprompt("bank", "build", tmp_path / name, "-o", tmp_path / "bank")
        assert run.code == 2
        assert "check the path" in run.err or "expected a data set at" in run.err


PORTION = 16
BUILD = f"import sys; from unprompt.bank import building; building._PORTION = {PORTION}; " + COMMAND[2]
"""The command, which keeps what it has after a few prompts rather than a thousand."""


def build_command(text: Path, folder: Path) -> list[str]:
    return [sys.executable, "-c", BUILD, "bank", "build", str(text), "-o", str(folder), "--threads", "1", "-q"]


def many(path: Path, count: int) -> Path:
    path.write_text("".join(f"{PROMPTS[number % 20]} {number}\n" for number in range(count)))
    return path


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
def test_a_build_that_is_killed_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    text = many(tmp_path / "many.txt", 200)
    whole, killed = (tmp_path / run / "bank" for run in ("whole", "killed"))  # the name is part of a bank
    whole.parent.mkdir()
    killed.parent.mkdir()
    subprocess.run(build_command(text, whole), check=True)
    for portions in (1, 2):
        with subprocess.Popen(build_command(text, killed)) as run:
            wait_for(run, killed, portions * PORTION)
            run.send_signal(signal.SIGKILL)
        assert run.returncode == -signal.SIGKILL
        assert not (killed / "config.json").exists()
    assert _rows(killed) >= 2 * PORTION
    subprocess.run(build_command(text, killed), check=True)
    for path in whole.iterdir():
        assert (killed / path.name).read_bytes() == path.read_bytes()
    assert sorted(path.name for path in killed.iterdir()) == sorted(path.name for path in whole.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
def test_only_one_builds_a_bank_at_a_time(unprompt: Unprompt, tmp_path: Path) -> None:
    text = many(tmp_path / "many.txt", 20_000)  # some minutes of work
    with subprocess.Popen(build_command(text, tmp_path / "bank"), stderr=subprocess.PIPE, text=True) as run:
        wait_for(run, tmp_path / "bank", 1)
        second = unprompt("bank", "build", text, "-o", tmp_path / "bank")
        run.send_signal(signal.SIGINT)
        _, said = run.communicate(timeout=60)
    assert second.code == 2
    assert f"another unprompt builds {tmp_path / 'bank'}; wait for it, or choose another -o" in second.err
    assert run.returncode == 130
    assert "interrupted; the same command" in said


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def wait_for(run: subprocess.Popen[Any], folder: Path, rows: int) -> None:
    """Until so many prompts are kept; not for a command that has ended."""
    while run.poll() is None and _rows(folder) < rows:
        time.sleep(0.01)


def _rows(folder: Path) -> int:
    ends = folder / "ends.u64"
    return ends.stat().st_size // 8 if ends.exists() else 0


def test_a_slip_in_the_path_of_the_prompts_begins_no_bank(unprompt: Unprompt, tmp_path: Path) -> None:
    run = unprompt("bank", "build", tmp_path / "promts.txt", "-o", tmp_path / "bank", "-q")
    assert run.code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_bank_in_shards_is_the_same(unprompt: Unprompt, tmp_path: Path, text: Path, built: Path) -> None:
    command = ("bank", "build", text, "--threads", 1, "-q")
    assert "add --shard 0 to 1, or auto" in unprompt(*command, "-o", tmp_path / "out", "--shards", 2).err
    assert unprompt(*command, "-o", tmp_path / "out", "--shards", 2, "--shard", 0).code == 0
    run = unprompt(*command, "-o", tmp_path / "bank", "--parts", tmp_path / "out")
    assert (run.code, "shard 1 missing; compute with: unprompt bank build" in run.err) == (2, True)
    assert unprompt(*command, "-o", tmp_path / "out", "--shards", 2, "--shard", "auto").code == 0
    run = unprompt(*command, "-o", tmp_path / "bank", "--parts", tmp_path / "out", "--numbers", "int8")
    assert (run.code, "as int8 in" in run.err) == (2, True)
    assert unprompt(*command, "-o", tmp_path / "bank", "--parts", tmp_path / "out").code == 0
    ours, whole = Bank.open(tmp_path / "bank"), Bank.open(built)
    assert ours.texts(range(20)) == whole.texts(range(20))
    assert (ours.folder / "sentences.f16").read_bytes() == (built / "sentences.f16").read_bytes()
