"""The journal: what was put is there after a kill, on a full disk, beside damage; and for one process at a time."""

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from full_disks import largest_file

from unprompt.errors import DataError, JournalBusyError
from unprompt.output.journal import VERSION, Journal, settings_key
from unprompt.output.packing import pack
from unprompt.prediction import Candidate, Prediction, Vote

MODEL = {"unprompt": "0.1.0", "preset": "embedded", "preset_hash": "fb18", "models": {"vit": "d700", "decoder": "b1d6"}}
SETTINGS = settings_key(MODEL, text=True, top=5, ignore_metadata=False)


def answer(seed: int = 0) -> Prediction:
    vector = np.random.default_rng(seed).standard_normal(384).astype(np.float32)
    vector /= np.linalg.norm(vector)
    return Prediction(
        source=f"pictures/{seed}.png",
        prompt=f"a cat on {seed} roofs",
        origin="prediction",
        vector=vector,
        self_similarity=seed / 3,
        candidates=(Candidate(f"a cat on {seed} roofs", seed / 3, "edited"),),
        votes=(Vote("regressor", 1.0, vector=np.nextafter(vector, np.float32(1))),),
        written=None,
        model=MODEL,
    )


def sha256(seed: int) -> str:
    return hashlib.sha256(str(seed).encode()).hexdigest()


def assert_same(found: Prediction | None, expected: Prediction) -> None:
    assert found is not None
    assert pack(found) == pack(expected)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "answers.journal"


# Settings


def test_the_key_tells_settings_apart() -> None:
    changes = [{}, {"text": False}, {"top": 3}, {"ignore_metadata": True}, {"read_beside": False}]
    keys = {settings_key(MODEL, **{"text": True, "top": 5, "ignore_metadata": False, **change}) for change in changes}
    keys.add(settings_key(MODEL | {"preset_hash": "other"}, text=True, top=5, ignore_metadata=False))
    assert len(keys) == 6


def test_the_key_depends_on_nothing_else() -> None:
    turned = dict(reversed(MODEL.items()))
    assert settings_key(turned, text=True, top=5, ignore_metadata=False) == SETTINGS
    no_text = {settings_key(MODEL, text=False, top=top, ignore_metadata=False) for top in (1, 5)}
    assert len(no_text) == 1


# Putting and getting


def test_what_was_put_is_given(path: Path) -> None:
    with Journal.open(path, SETTINGS) as journal:
        assert journal.get(sha256(0)) is None
        journal.put({sha256(seed): answer(seed) for seed in range(3)})
        assert_same(journal.get(sha256(1)), answer(1))
    with Journal.open(path, SETTINGS) as journal:
        for seed in range(3):
            assert_same(journal.get(sha256(seed)), answer(seed))
        assert journal.get(sha256(3)) is None


def test_the_last_answer_put_counts(path: Path) -> None:
    with Journal.open(path, SETTINGS) as journal:
        journal.put({sha256(0): answer(0)})
        journal.put({sha256(0): answer(1)})
        journal.put({})
        assert_same(journal.get(sha256(0)), answer(1))


def test_answers_of_other_settings_stay_but_are_not_given(path: Path) -> None:
    for settings, seed in (("one", 1), ("two", 2)):
        with Journal.open(path, settings) as journal:
            assert journal.get(sha256(0)) is None
            journal.put({sha256(0): answer(seed)})
    with Journal.open(path, "one") as journal:
        assert_same(journal.get(sha256(0)), answer(1))


def test_a_batch_is_put_whole_or_not_at_all(path: Path) -> None:
    with Journal.open(path, SETTINGS) as journal:
        with pytest.raises(ValueError, match="expected a vector"):
            journal.put({sha256(0): answer(0), sha256(1): dataclasses.replace(answer(1), vector=np.zeros(1))})
        assert journal.get(sha256(0)) is None


def test_threads_read_while_one_writes(path: Path) -> None:
    written = 0
    done = threading.Event()

    def read(seed: int) -> int:
        chance = random.Random(seed)
        found = 0
        while not done.is_set():
            number = chance.randrange(written + 1)
            if (known := journal.get(sha256(number))) is not None:
                assert known.source == f"pictures/{number}.png"
                found += 1
        return found

    with Journal.open(path, SETTINGS) as journal, concurrent.futures.ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read, seed) for seed in range(4)]
        try:
            for start in range(0, 400, 8):
                journal.put({sha256(seed): answer(seed) for seed in range(start, start + 8)})
                written = start + 7
        finally:
            done.set()
        assert all(reader.result() for reader in readers)


@pytest.mark.parametrize("name", ["with space?#%.journal", "caf\udce9\n.journal", ":memory:"])
def test_any_name_will_do(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Journal.open(name, SETTINGS) as journal:
        journal.put({sha256(0): answer()})
    assert os.listdir(os.fsencode(tmp_path)) == [os.fsencode(name)]
    with Journal.open(name, SETTINGS) as journal:
        assert_same(journal.get(sha256(0)), answer())


def test_closing_leaves_one_file_and_removing_none(path: Path) -> None:
    journal = Journal.open(path, SETTINGS)
    journal.put({sha256(0): answer()})
    journal.close()
    journal.close()
    assert os.listdir(path.parent) == [path.name]
    Journal.open(path, SETTINGS).close_and_remove()
    assert os.listdir(path.parent) == []


def test_removing_takes_what_a_kill_left_behind(path: Path) -> None:
    journal = Journal.open(path, SETTINGS)
    for suffix in ("-shm", "-journal"):
        path.with_name(path.name + suffix).touch()
    journal.close_and_remove()
    assert os.listdir(path.parent) == []


# Files that are no journal


def damage(path: Path) -> None:
    """Zeros in the middle of a journal of many pages."""
    with Journal.open(path, SETTINGS) as journal:
        journal.put({sha256(seed): answer(seed) for seed in range(100)})
    content = bytearray(path.read_bytes())
    content[8192:] = bytes(len(content) - 8192)
    path.write_bytes(content)


def test_a_damaged_file_is_an_error_that_says_so(path: Path) -> None:
    damage(path)
    with pytest.raises(DataError, match=r"damaged .*malformed.*delete it or choose another -o"):
        Journal.open(path, SETTINGS)


def test_damage_that_shows_late_is_an_error_too(path: Path) -> None:
    with Journal.open(path, SETTINGS) as journal:
        journal.put({sha256(seed): answer(seed) for seed in range(500)})
    content = bytearray(path.read_bytes())
    page = 8192
    content[4 * page :] = bytes(len(content) - 4 * page)
    path.write_bytes(content)
    with Journal.open(path, SETTINGS) as journal, pytest.raises(DataError, match=r"damaged .*delete it"):
        journal.get(sha256(250))


@pytest.mark.parametrize("damaged", [b"", b"no zlib", pack(answer())[:-1], "a text", 7])
def test_a_damaged_answer_is_none_and_can_be_put_again(path: Path, damaged: Any) -> None:
    with Journal.open(path, SETTINGS) as journal:
        journal.put({sha256(0): answer(0), sha256(1): answer(1)})
    edited = sqlite3.connect(path)
    edited.execute("UPDATE answers SET packed = ? WHERE sha256 = ?", (damaged, bytes.fromhex(sha256(0))))
    edited.commit()
    edited.close()
    with Journal.open(path, SETTINGS) as journal:
        assert journal.get(sha256(0)) is None
        assert_same(journal.get(sha256(1)), answer(1))
        journal.put({sha256(0): answer(0)})
        assert_same(journal.get(sha256(0)), answer(0))


def database(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        (["CREATE TABLE photos (name)"], "found another database"),
        (["PRAGMA journal_mode = WAL", "CREATE TABLE photos (name)"], "found another database"),
        (["PRAGMA application_id = 7"], "found another database"),
        (["PRAGMA user_version = 7"], "found another database"),
    ],
)
def test_other_databases_are_left_alone(path: Path, statements: list[str], message: str) -> None:
    database(path, *statements)
    before = path.read_bytes()
    with pytest.raises(DataError, match=message):
        Journal.open(path, SETTINGS)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (
            f"PRAGMA user_version = {VERSION + 1}",
            f"expected a journal of version {VERSION}, found version {VERSION + 1}",
        ),
        ("CREATE TRIGGER t AFTER INSERT ON answers BEGIN DELETE FROM answers; END", "the tables of a journal"),
        ("DROP TABLE answers", "the tables of a journal"),
    ],
)
def test_journals_that_are_not_understood_are_left_alone(path: Path, statement: str, message: str) -> None:
    Journal.open(path, SETTINGS).close()
    database(path, statement)
    before = path.read_bytes()
    with pytest.raises(DataError, match=message):
        Journal.open(path, SETTINGS)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"\n", b"a.png\ta cat\n", b"{}\n" * 10_000, b"SQLite format 3\x00", bytes(20_000)])
def test_other_files_are_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(DataError, match="expected a journal of unprompt"):
        Journal.open(path, SETTINGS)
    assert path.read_bytes() == content


def test_an_empty_file_becomes_a_journal(path: Path) -> None:
    path.touch()
    with Journal.open(path, SETTINGS) as journal:
        journal.put({sha256(0): answer()})
        assert_same(journal.get(sha256(0)), answer())


def test_places_without_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    for name, message in [
        ("missing/j", "No such file or directory"),
        ("file/j", "Not a directory"),
        ("n" * 300, "File name too long"),
        ("nul\0", "null"),
        (".", "found a folder or device"),
        ("pipe", "found a folder or device"),
    ]:
        with pytest.raises(DataError, match=message):
            Journal.open(tmp_path / name, SETTINGS)


def test_names_are_shown_escaped(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"red\\x1b\[31m") as caught:
        Journal.open(tmp_path / "red\x1b[31m" / "j", SETTINGS)
    assert "\x1b" not in str(caught.value)


# Other processes

CHILD = """
import sys
from test_journal import SETTINGS, Journal, answer, sha256
"""


class Child:
    """Another process on a journal."""

    def __init__(self, code: str, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD + code, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)

    def rest(self) -> list[str]:
        """What it said until it ended."""
        output, _ = self.process.communicate(timeout=60)
        return output.splitlines()


PUT = """
journal = Journal.open(sys.argv[1], SETTINGS)
start = int(sys.argv[2])
for batch in range(start, start + 100_000, 8):
    journal.put({sha256(seed): answer(seed) for seed in range(batch, batch + 8)})
    print(batch, flush=True)
"""


def test_a_kill_costs_no_answer_that_was_put(path: Path) -> None:
    chance = random.Random(3)
    put: list[int] = []
    for _ in range(4):
        child = Child(PUT, path, len(put) * 8)
        put += [int(child.line()) for _ in range(chance.randrange(1, 40))]
        time.sleep(chance.random() / 50)
        child.kill()
        put += map(int, child.rest())
        assert child.process.returncode == -signal.SIGKILL
        with Journal.open(path, SETTINGS) as journal:  # and no lock is left
            for batch in put:
                for seed in range(batch, batch + 8):
                    assert_same(journal.get(sha256(seed)), answer(seed))


HOLD = """
journal = Journal.open(sys.argv[1], SETTINGS)
journal.put({sha256(0): answer(0)})
print("open", flush=True)
sys.stdin.read()
"""


def test_two_processes_notice_each_other(path: Path) -> None:
    child = Child(HOLD, path)
    assert child.line() == "open"
    for _ in range(2):
        with pytest.raises(
            JournalBusyError, match=r"another unprompt is using .*answers\.journal; wait for it or choose"
        ):
            Journal.open(path, SETTINGS)
    child.kill()
    child.rest()
    with Journal.open(path, SETTINGS) as journal:
        assert_same(journal.get(sha256(0)), answer(0))


def test_a_journal_is_opened_once_in_a_process(path: Path) -> None:
    with Journal.open(path, SETTINGS), pytest.raises(JournalBusyError):
        Journal.open(path, SETTINGS)
    Journal.open(path, SETTINGS).close()


RACE = """
from unprompt.errors import JournalBusyError
print("ready", flush=True)
sys.stdin.readline()
try:
    journal = Journal.open(sys.argv[1], SETTINGS)
    print("open", flush=True)
except JournalBusyError:
    print("busy", flush=True)
sys.stdin.read()
"""


def test_one_of_several_that_make_it_at_once_gets_it(path: Path) -> None:
    children = [Child(RACE, path) for _ in range(3)]
    assert [child.line() for child in children] == ["ready"] * 3
    for child in children:
        assert child.process.stdin is not None
        child.process.stdin.write("go\n")
        child.process.stdin.flush()
    assert sorted(child.line() for child in children) == ["busy", "busy", "open"]
    for child in children:
        child.rest()


def test_a_copy_taken_in_use_gives_right_answers_or_none(path: Path, tmp_path: Path) -> None:
    with Journal.open(path, SETTINGS) as journal:
        for seed in range(50):
            journal.put({sha256(seed): answer(seed)})
        whole, bare = tmp_path / "whole", tmp_path / "bare"
        # In a process of its own: closing the file in this one would free the journal's locks.
        subprocess.run(["cp", path, whole], check=True)
        subprocess.run(["cp", path, bare], check=True)
        subprocess.run(["cp", f"{path}-wal", f"{whole}-wal"], check=True)
    with Journal.open(whole, SETTINGS) as journal:
        for seed in range(50):
            assert_same(journal.get(sha256(seed)), answer(seed))
    with Journal.open(bare, SETTINGS) as journal:
        assert all(journal.get(sha256(seed)) is None for seed in range(50))


# Disks


def fill(journal: Journal) -> tuple[int, str]:
    """Put answers until that fails: how many were put, and what the error said. They are all there, and no other."""
    for seed in range(10_000):
        try:
            journal.put({sha256(seed): answer(seed)})
        except DataError as error:
            assert_known(journal, seed)
            return seed, str(error)
    raise AssertionError("it never failed")


def assert_known(journal: Journal, count: int) -> None:
    for seed in range(count):
        assert_same(journal.get(sha256(seed)), answer(seed))
    assert journal.get(sha256(count)) is None


def test_a_disk_that_fails_keeps_what_was_put(path: Path) -> None:
    with Journal.open(path, SETTINGS) as journal:
        with largest_file(300_000):
            count, message = fill(journal)
        assert "answers.journal: disk I/O error; free some space and run again with --resume" in message
        journal.put({sha256(count): answer(count)})
    with Journal.open(path, SETTINGS) as journal:
        assert_known(journal, count + 1)


def test_a_file_that_may_not_grow_keeps_what_was_put(path: Path) -> None:
    with Journal.open(path, SETTINGS) as journal:
        journal._connection.execute("PRAGMA max_page_count = 10")
        count, message = fill(journal)
    assert "database or disk is full; free some space and run again with --resume" in message
    with Journal.open(path, SETTINGS) as journal:
        assert_known(journal, count)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    run = subprocess.run([mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, text=True)
    if run.returncode:
        pytest.skip(f"no small disk may be mounted here: {run.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_keeps_what_was_put(small_disk: Path) -> None:
    path = small_disk / "answers.journal"
    with Journal.open(path, SETTINGS) as journal:
        count, message = fill(journal)
    assert "is full; free some space and run again with --resume" in message
    assert count > 10
    with Journal.open(path, SETTINGS) as journal:
        assert_known(journal, count)


def test_a_journal_opens_on_a_disk_without_any_room(small_disk: Path) -> None:
    path = small_disk / "answers.journal"
    with Journal.open(path, SETTINGS) as journal:
        journal.put({sha256(0): answer(0)})
    use_up(small_disk)
    with Journal.open(path, SETTINGS) as journal:
        assert_known(journal, 1)
    with pytest.raises(DataError, match="is full; free some space"):
        Journal.open(small_disk / "new.journal", SETTINGS)


def use_up(disk: Path) -> None:
    with contextlib.suppress(OSError), open(disk / "filling", "wb", buffering=0) as filling:
        while True:
            filling.write(bytes(4096))


def test_a_disk_for_reading_only(small_disk: Path) -> None:
    path = small_disk / "answers.journal"
    Journal.open(path, SETTINGS).close()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(DataError, match="found one that may not be read and written"):
        Journal.open(path, SETTINGS)
    with pytest.raises(DataError, match=r"cannot make the journal .*Read-only file system"):
        Journal.open(small_disk / "new.journal", SETTINGS)


# Answers of another journal


def test_answers_are_adopted_from_a_journal_that_is_in_use(path: Path, tmp_path: Path) -> None:
    other_settings = settings_key(MODEL, text=False, top=5, ignore_metadata=False)
    with Journal.open(tmp_path / "other", other_settings) as other:
        other.put({sha256(999): answer(999)})
    with Journal.open(tmp_path / "other", SETTINGS) as other, Journal.open(path, SETTINGS) as journal:
        other.put({sha256(seed): answer(seed) for seed in range(300)})  # in the log beside the file
        journal.put({sha256(1): answer(1)})
        assert journal.adopt(tmp_path / "other") == 300
        for seed in (0, 1, 299):
            assert_same(journal.get(sha256(seed)), answer(seed))
        assert journal.get(sha256(999)) is None
    assert sorted(file.name for file in tmp_path.iterdir()) == [path.name, "other"]


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + bytes(100)])
def test_nothing_is_adopted_from_what_is_no_journal(path: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other").write_bytes(content)
    with Journal.open(path, SETTINGS) as journal:
        assert journal.adopt(tmp_path / "other") == 0
        assert journal.adopt(tmp_path / "missing") == 0
    assert (tmp_path / "other").read_bytes() == content


def test_what_is_damaged_is_not_adopted(path: Path, tmp_path: Path) -> None:
    with Journal.open(tmp_path / "other", SETTINGS) as other:
        other.put({sha256(seed): answer(seed) for seed in range(40)})
    data = bytearray((tmp_path / "other").read_bytes())
    chance = random.Random(4)
    for _ in range(20):
        data[chance.randrange(9000, len(data))] ^= 1 << chance.randrange(8)
    (tmp_path / "other").write_bytes(data)
    with Journal.open(path, SETTINGS) as journal:
        assert 0 < journal.adopt(tmp_path / "other") < 40
        for seed in range(40):
            if (found := journal.get(sha256(seed))) is not None:
                assert_same(found, answer(seed))
