"""Shards, claimed and written by real processes; what draws is a function that fills a picture with one colour."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from PIL import Image

from unprompt.datasets.generation.plan import Drawing, Plan
from unprompt.datasets.generation.settings import Settings
from unprompt.datasets.generation.shards import WORK, Drawn, Progress, Shards
from unprompt.datasets.pairs import checked_pairs
from unprompt.errors import DataError
from unprompt.scale.claims import Claims

PLAN = Plan([f"prompt {number}" for number in range(9)], 2, 4)  # 18 pictures, 5 shards

PROCESS = """
import os, sys, time
from pathlib import Path
from PIL import Image
sys.path.insert(0, sys.argv[2])
from test_shards import PLAN, draw, settings
from unprompt.datasets.generation.shards import Shards

def logged(drawings):
    for drawing, drawn in zip(drawings, draw(drawings)):
        time.sleep(0.01)
        with open(sys.argv[3], "a") as log:
            log.write(f"{drawing.number}\\n")
        yield drawn

print("ready", flush=True)
sys.stdin.readline()
for step in Shards(Path(sys.argv[1]), PLAN, settings()).generate(logged):
    pass
"""


def settings(format: str = "png") -> Settings:
    return Settings(
        model="tiny",
        precision="fp32",
        steps=2,
        guidance=7.5,
        size=8,
        save_size=8,
        format=format,
        prompts=PLAN.digest(),
        seeds=2,
        shard_size=4,
    )


def draw(drawings: Sequence[Drawing]) -> Iterator[Drawn]:
    for drawing in drawings:
        yield Drawn(Image.new("RGB", (8, 8), drawing.seed % 2**24), truncated=drawing.number == 3)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def total(steps: Sequence[Progress]) -> tuple[int, int, int]:
    return sum(step.made for step in steps), sum(step.dropped for step in steps), sum(step.skipped for step in steps)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken")
    assert total(list(Shards(folder, PLAN, settings()).generate(draw))) == (18, 0, 0)
    return folder


def test_the_reader_gives_back_what_was_drawn(unbroken: Path) -> None:
    pairs, faults = checked_pairs(unbroken)
    drawings = [drawing for shard in range(PLAN.shards) for drawing in PLAN.shard(shard)]
    assert not faults
    assert [(pair.prompt, pair.fields["seed"]) for pair in pairs] == [(each.prompt, each.seed) for each in drawings]
    assert [pair.name for pair in pairs][3:5] == ["shard-00000/00000003.png", "shard-00001/00000004.png"]
    assert pairs[3].fields == {
        "seed": drawings[3].seed,
        "generator": "tiny",
        "steps": 2,
        "guidance": 7.5,
        "scheduler": "dpmsolver++",
        "width": 8,
        "height": 8,
        "truncated": True,
    }


def test_nothing_but_the_shards_is_left(unbroken: Path) -> None:
    assert sorted(os.listdir(unbroken)) == [f"shard-0000{number}" for number in range(5)]


@pytest.mark.parametrize("format", ["jpg", "webp", "png"])
def test_pictures_say_nothing_of_their_prompt(tmp_path: Path, format: str) -> None:
    plan = Plan(["a secret word"], 1, 1)
    list(Shards(tmp_path, plan, settings(format)).generate(draw))
    picture = tmp_path / "shard-00000" / f"00000000.{format}"
    assert b"secret" not in picture.read_bytes()
    with Image.open(picture) as opened:
        assert opened.format == {"jpg": "JPEG", "webp": "WEBP", "png": "PNG"}[format]
        assert not opened.getexif()


def test_a_second_run_draws_nothing(unbroken: Path) -> None:
    def never(drawings: Sequence[Drawing]) -> Iterator[Drawn]:
        raise AssertionError(drawings)

    assert total(list(Shards(unbroken, PLAN, settings()).generate(never))) == (0, 0, 18)


def test_a_run_that_is_closed_keeps_its_finished_shards(tmp_path: Path, unbroken: Path) -> None:
    run = Shards(tmp_path, PLAN, settings()).generate(draw)
    for _ in range(6):
        next(run)
    run.close()
    assert sorted(os.listdir(tmp_path)) == [WORK, "shard-00000"]
    assert os.listdir(tmp_path / WORK) == []
    assert total(list(Shards(tmp_path, PLAN, settings()).generate(draw))) == (14, 0, 4)
    assert files(tmp_path) == files(unbroken)


def test_what_is_not_kept_is_counted(tmp_path: Path) -> None:
    def doubtful(drawings: Sequence[Drawing]) -> Iterator[Drawn]:
        for drawing, drawn in zip(drawings, draw(drawings), strict=True):
            yield Drawn(None, fault="filtered" if drawing.number < 5 else "black") if drawing.number < 6 else drawn

    shards = Shards(tmp_path, PLAN, settings())
    assert total(list(shards.generate(doubtful))) == (12, 6, 0)
    assert shards.count_dropped() == Counter(filtered=5, black=1)
    pairs, faults = checked_pairs(tmp_path)
    assert (len(pairs), faults) == (12, Counter())
    first = json.loads((tmp_path / "shard-00000" / "dropped.jsonl").read_text().splitlines()[0])
    assert first == {"prompt": "prompt 0", "seed": PLAN.shard(0)[0].seed, "reason": "filtered"}


def test_who_slept_does_not_write_what_another_has_done(tmp_path: Path, unbroken: Path) -> None:
    sleeper = Shards(tmp_path, PLAN, settings()).generate(draw)
    steps = [next(sleeper) for _ in range(2)]
    impatient = Shards(tmp_path, PLAN, settings(), Claims(tmp_path / WORK, stale_s=-1000))
    assert total(list(impatient.generate(draw))) == (18, 0, 0)
    steps += list(sleeper)
    assert total(steps) == (0, 0, 18)
    assert files(tmp_path) == files(unbroken)


def test_who_slept_through_its_last_picture_gives_way(tmp_path: Path, unbroken: Path) -> None:
    sleeper = Shards(tmp_path, PLAN, settings()).generate(draw)
    steps = [next(sleeper) for _ in range(4)]  # the shard is whole, and not yet in its place
    other = Shards(tmp_path, PLAN, settings(), Claims(tmp_path / WORK, stale_s=-1000)).generate(draw)
    next(other)
    steps.append(next(sleeper))
    assert total(steps) == (0, 0, 0)
    sleeper.close()
    assert total(list(other)) == (17, 0, 0)
    assert files(tmp_path) == files(unbroken)


def test_what_others_draw_is_waited_for(tmp_path: Path) -> None:
    one, other = (Shards(tmp_path, Plan(["a"], 2, 2), settings()).generate(draw) for _ in range(2))
    next(one)
    waiting = next(other)
    assert waiting.waiting.startswith(f"waiting for shard-00000, drawn by process {os.getpid()}")
    assert total(list(one)) == (1, 0, 0)
    assert total(list(other)) == (0, 0, 2)


def test_what_cannot_be_written_ends_the_run(tmp_path: Path) -> None:
    from full_disks import largest_file  # not at the top: other processes import this file without tests/support

    with (
        largest_file(200),  # enough for the pictures, not for the metadata
        pytest.raises(DataError, match=r"cannot write .*: File too large; finished shards are kept"),
    ):
        list(Shards(tmp_path, PLAN, settings()).generate(draw))
    assert not list((tmp_path / WORK).glob("shard-*-*"))


def test_a_folder_that_is_removed_ends_the_run(tmp_path: Path) -> None:
    folder = tmp_path / "pairs"
    folder.mkdir()
    run = Shards(folder, PLAN, settings()).generate(draw)
    next(run)
    shutil.rmtree(folder)
    with pytest.raises(DataError, match=r"cannot write .*: No such file"):
        list(run)
    assert not folder.exists()


def processes(count: int, folder: Path, log: Path) -> list[subprocess.Popen[str]]:
    """Processes that work on one folder, all ready to begin."""
    folder.mkdir()
    command = [sys.executable, "-c", PROCESS, str(folder), str(Path(__file__).parent), str(log)]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(count)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    return started


def begin(started: Sequence[subprocess.Popen[str]]) -> None:
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()


def test_processes_share_the_work(tmp_path: Path, unbroken: Path) -> None:
    folder, log = tmp_path / "pairs", tmp_path / "log"
    started = processes(3, folder, log)
    begin(started)
    for process in started:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert sorted(map(int, log.read_text().split())) == list(range(18))  # nothing twice
    assert files(folder) == files(unbroken)


def test_a_kill_costs_the_shard_in_work(tmp_path: Path, unbroken: Path) -> None:
    folder, log = tmp_path / "pairs", tmp_path / "log"
    (process,) = processes(1, folder, log)
    begin([process])
    while not log.exists() or len(log.read_text().split()) < 6:
        assert process.poll() is None
    process.kill()
    process.communicate()
    assert (folder / "shard-00000").exists()
    assert os.listdir(folder / WORK)
    _made, _dropped, skipped = total(list(Shards(folder, PLAN, settings()).generate(draw)))
    assert 4 <= skipped < 18
    assert files(folder) == files(unbroken)
