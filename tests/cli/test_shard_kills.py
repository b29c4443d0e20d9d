"""Workers of one run that are killed, suspended, interrupted, or ended by a picture: each picture once, none lost."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import foreign_packages
import pytest
import tiny_models
from kills import COMMAND, make_pictures
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from unprompt.scale.places import WORK
from unprompt.scale.shards import DEADLY

Unprompt = Callable[..., Any]

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")]

LEASE_S = 2
READY_S = 120.0


class Workers:
    """Processes that work on one run."""

    def __init__(self, arguments: list[object], out: Path) -> None:
        self.out = out
        self._command = [*COMMAND, *map(str, arguments), "--lease-s", str(LEASE_S), "-o", str(out)]
        self.running: list[subprocess.Popen[str]] = []

    def start(self, shard: str = "auto", **options: Any) -> subprocess.Popen[str]:
        options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True} | options
        worker = subprocess.Popen([*self._command, "--shard", shard], **options)
        self.running.append(worker)
        return worker

    def kill(self, worker: subprocess.Popen[str], *, elsewhere: bool = False) -> None:
        """Kills one outright; `elsewhere`: as if on another machine, where nobody sees that it is dead."""
        worker.kill()
        worker.communicate()
        self.running.remove(worker)
        for claim in self.claims() if elsewhere else ():
            said = json.loads(claim.read_text() or "{}")
            if said.get("process") == worker.pid:
                claim.write_text(json.dumps(said | {"machine": "another"}))

    def claims(self) -> list[Path]:
        try:
            return [path for path in (self.out / WORK).iterdir() if path.name.rpartition(".")[2].isdecimal()]
        except FileNotFoundError:
            return []

    def wait_until(self, holds: Callable[[], object]) -> None:
        start = time.monotonic()
        while not holds():
            assert time.monotonic() - start < READY_S
            time.sleep(0.02)

    def is_writing(self) -> bool:
        """Whether a part has its first line."""
        return any(path.stat().st_size for path in self.out.glob(f"{WORK}/*.jsonl"))

    def end(self) -> list[tuple[int, str]]:
        """Waits until all have ended; their exit codes and what they said."""
        ended = []
        for worker in self.running:
            _, said = worker.communicate(timeout=READY_S)
            ended.append((worker.returncode, said))
        self.running = []
        return ended


@pytest.fixture
def own(tmp_path: Path, preset: Path) -> Callable[..., Workers]:
    def workers(pictures: Path, shards: int, *more: object) -> Workers:
        return Workers([pictures, "--preset", preset, "--shards", shards, *more], tmp_path / "out")

    return workers


def answered_once(unprompt: Unprompt, workers: Workers, pictures: Path, preset: Path, *more: object) -> None:
    """Checks that the parts are, put together, what one process writes."""
    one = workers.out.parent / "one.jsonl"
    unprompt(pictures, "--preset", preset, *more, "-o", one, "--quiet")
    merged = unprompt("merge", workers.out, "--quiet")
    assert merged.code == 3, merged.err
    assert merged.out == one.read_text()
    assert sorted(os.listdir(workers.out)) == ["parts", "run.json"]


def kill_at_random(workers: Workers, kills: int, chance: random.Random) -> None:
    """Keeps two workers until the run is done; kills one after the other until then, at most so many."""
    life_s = 3.0
    while kills:
        while len(workers.running) < 2:
            workers.start()
        workers.wait_until(lambda: workers.claims() or any(worker.poll() is not None for worker in workers.running))
        time.sleep(chance.uniform(0, life_s))
        worker = chance.choice(workers.running)
        if worker.poll() is not None:
            return
        workers.kill(worker, elsewhere=chance.random() < 0.5)
        kills -= 1
    workers.start()


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.proof)])
def test_killed_at_random(
    unprompt: Unprompt, own: Callable[..., Workers], preset: Path, tmp_path: Path, kills: int
) -> None:
    pictures = make_pictures(tmp_path / "pictures", 12 * kills)
    workers = own(pictures, 2 * kills, "--no-text")
    kill_at_random(workers, kills, random.Random(kills))
    assert {code for code, _ in workers.end()} <= {0, 3}
    answered_once(unprompt, workers, pictures, preset, "--no-text")


def test_one_that_sleeps_longer_than_its_lease_loses_its_shard(
    unprompt: Unprompt, own: Callable[..., Workers], preset: Path, tmp_path: Path
) -> None:
    pictures = make_pictures(tmp_path / "pictures", 200)
    workers = own(pictures, 1, "--no-text")
    sleeper = workers.start()
    workers.wait_until(workers.is_writing)
    sleeper.send_signal(signal.SIGSTOP)
    other = workers.start()
    other.wait(READY_S)
    sleeper.send_signal(signal.SIGCONT)
    (code, said), (other_code, _) = workers.end()
    assert (code, other_code) == (0, 3), said
    assert "another worker took shard 0 over" in said
    answered_once(unprompt, workers, pictures, preset, "--no-text")


def test_what_is_interrupted_is_free_at_once(
    unprompt: Unprompt, own: Callable[..., Workers], preset: Path, tmp_path: Path
) -> None:
    pictures = make_pictures(tmp_path / "pictures", 200)
    workers = own(pictures, 1, "--no-text")
    first = workers.start("0")
    workers.wait_until(workers.is_writing)
    first.send_signal(signal.SIGTERM)
    ((code, said),) = workers.end()
    assert code == 130
    assert said.splitlines()[-1].endswith("what was answered is kept; the same command continues")
    assert workers.claims() == []
    workers.start("0")
    assert workers.end()[0][0] == 3
    answered_once(unprompt, workers, pictures, preset, "--no-text")


ENDS_IT = """
import os

def read(fields):
    if "the last text of its reader" in fields.text.values():
        os._exit(9)
"""


def test_a_picture_that_ends_its_workers_costs_itself_alone(
    unprompt: Unprompt, own: Callable[..., Workers], preset: Path, tmp_path: Path
) -> None:
    """What ends them is a reader of another package, which a text in the picture asks to."""
    modules, entries = {"ends_it.py": ENDS_IT}, {"unprompt.metadata": {"ends_it": "ends_it:read"}}
    site = foreign_packages.install(tmp_path / "site", "ends-it", modules, entries)
    places = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
    pictures = tiny_models.pictures(tmp_path / "pictures", 8)
    deadly = tmp_path / "pictures" / "3.deadly.png"
    text = PngInfo()
    text.add_text("Comment", "the last text of its reader")
    Image.new("RGB", (9, 9)).save(deadly, pnginfo=text)

    workers = own(deadly.parent, 1, "--no-text")
    codes = []
    while not codes or codes[-1] not in (0, 3):
        assert len(codes) <= DEADLY + 1
        workers.start(env=environment)
        codes += [code for code, _ in workers.end()]
    assert codes == [9] * (DEADLY + 1) + [3]

    one = unprompt(*pictures, "--preset", preset, "--no-text", "--format", "jsonl").out.splitlines()
    merged = unprompt("merge", workers.out, "--quiet").out.splitlines()
    (lost,) = [json.loads(line) for line in merged if line not in one]
    assert [line for line in merged if line in one] == one
    assert (lost["source"], lost["error"]["kind"]) == (str(deadly), "deadly")
