"""Tables of terms: the same from a cold and a warm cache, whatever happened to the cache."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from full_disks import largest_file

from unprompt.errors import ModelError
from unprompt.prediction import Vector
from unprompt.progress import Advance, no_advance
from unprompt.towers.embedded import EmbeddedPair
from unprompt.vocabulary import tables, vector_file
from unprompt.vocabulary.category import Category
from unprompt.vocabulary.tables import TermTables, default_cache
from unprompt.vocabulary.vector_file import Label

needs_permissions = pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")

PART = 16
LONG = Category("long", tuple(f"a {word} number {number}" for number in range(100) for word in ("cat", "boat")))
SHORT = Category("short", ("a cat", "oil on canvas", "lone \ud800 surrogate", "../../etc/passwd", "猫", "moon " * 20))

BUILD = f"""
import sys
from pathlib import Path
from unprompt.towers.embedded import EmbeddedPair
from unprompt.vocabulary import tables
from unprompt.vocabulary.category import Category
tables._PART = {PART}
towers = EmbeddedPair(1)
print("ready", flush=True)
sys.stdin.readline()
category = Category("long", tuple(sys.argv[2:]))
tables.TermTables(towers, Path(sys.argv[1])).table(category, lambda done: print(done, flush=True))
"""


class Counting:
    """The embedded pair, which remembers what it was asked to encode."""

    def __init__(self, pair: EmbeddedPair, name: str = "embedded") -> None:
        self.pair, self.name, self.size = pair, name, pair.size
        self.asked: list[str] = []

    def identities(self) -> Mapping[str, str]:
        return self.pair.identities()

    def encode_texts(self, texts: Sequence[str], advance: Advance = no_advance) -> Vector:
        self.asked += texts
        return self.pair.encode_texts(texts, advance)


@pytest.fixture(scope="module")
def pair() -> EmbeddedPair:
    return EmbeddedPair(1)


@pytest.fixture
def towers(pair: EmbeddedPair) -> Counting:
    return Counting(pair)


@pytest.fixture(scope="module")
def expected(pair: EmbeddedPair) -> dict[str, bytes]:
    """The bits of the tables, made without a cache."""
    made = TermTables(pair, None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "_PART", PART)
        return {category.name: made.table(category).vectors.tobytes() for category in (SHORT, LONG)}


@pytest.fixture(scope="module")
def kept(pair: EmbeddedPair, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that holds SHORT, of the pair by its name and by another, and a list of as many terms."""
    cache = tmp_path_factory.mktemp("kept")
    for name in ("embedded", "embeddec"):
        towers = Counting(pair, name)
        for category in (SHORT, Category("other", SHORT.terms[::-1])):
            TermTables(towers, cache).table(category)
    return cache


@pytest.fixture
def cache(tmp_path: Path, kept: Path) -> Path:
    """The same for one test, which may damage it."""
    shutil.copytree(kept, tmp_path / "cache")
    return tmp_path / "cache"


def file_of(cache: Path, towers: Counting, category: Category) -> Path:
    path, _ = TermTables(towers, cache)._place(category, cache)
    return path


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "unprompt.vocabulary.tables"]


def test_a_table_is_the_same_from_a_cold_and_a_warm_cache_and_without_one(
    tmp_path: Path, towers: Counting, expected: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    cold = TermTables(towers, tmp_path).table(SHORT)
    assert towers.asked == list(SHORT.terms)
    warm = TermTables(towers, tmp_path).table(SHORT)
    assert towers.asked == list(SHORT.terms)
    for table in (cold, warm):
        assert table.vectors.tobytes() == expected["short"]
        assert table.vectors.dtype == np.float16
        assert isinstance(table.vectors.base, np.memmap)
        assert (table.texts, table.category, table.weights) == (SHORT.terms, "short", None)
    exact = towers.pair.encode_texts(SHORT.terms)
    assert np.abs(cold.vectors - exact).max() < 2e-4
    assert said(caplog) == []


def test_a_file_can_be_read_by_all_that_read_safetensors(kept: Path, towers: Counting, expected: dict) -> None:
    path = file_of(kept, towers, SHORT)
    assert safetensors.numpy.load_file(path)["vectors"].tobytes() == expected["short"]
    with safetensors.safe_open(path, "np") as file:
        assert file.metadata()["model"] == "embedded"
        assert file.metadata()["list_identity"] == SHORT.identity


def test_names_of_files_are_hashes_alone(kept: Path) -> None:
    for path in kept.rglob("*"):
        assert set(path.name.removesuffix(".safetensors")) <= set("0123456789abcdef")


def test_a_second_call_is_free(towers: Counting) -> None:
    made = TermTables(towers, None)
    heard: list[int] = []
    first = made.table(SHORT, heard.append)
    assert made.table(SHORT, heard.append) is first
    assert sum(heard) == 2 * len(SHORT.terms)
    assert len(towers.asked) == len(SHORT.terms)


def test_weights_are_those_of_the_category_and_cost_no_vectors(tmp_path: Path, towers: Counting) -> None:
    made = TermTables(towers, tmp_path)
    made.table(SHORT)
    weighted = made.table(Category("short", SHORT.terms, weights={"猫": 1.5}))
    assert weighted.weights is not None
    assert weighted.weights.tolist() == [1, 1, 1, 1, 1.5, 1]
    assert len(towers.asked) == len(SHORT.terms)


def test_a_category_without_terms(tmp_path: Path, towers: Counting) -> None:
    assert TermTables(towers, tmp_path).table(Category("none", ())).vectors.shape == (0, 384)


def test_a_model_that_gives_no_numbers_is_not_kept(tmp_path: Path) -> None:
    class Broken(EmbeddedPair):
        def encode_texts(self, texts: Sequence[str], advance: Advance = no_advance) -> Vector:
            return super().encode_texts(texts, advance) / 0.0

    with np.errstate(all="ignore"), pytest.raises(ModelError, match="expected finite vectors of terms from embedded"):
        TermTables(Broken(1), tmp_path).table(SHORT)
    assert list(tmp_path.rglob("*")) == []


SIZE = len(SHORT.terms) * 384 * 2  # bytes of SHORT's vectors
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    **{f"cut to {left}": lambda content, left=left: content[:left] for left in (0, 1, 7, 8, 9, 100, 400, 1000)},
    **{f"cut by {lost}": lambda content, lost=lost: content[:-lost] for lost in (1, 2, 768, 4000)},
    **{
        f"bit {bit} of byte {at}": lambda content, at=at, bit=bit: flipped(content, at, bit)
        for at, bit in [(0, 0), (7, 7), (8, 1), (30, 0), (200, 3), (330, 6), (-1, 7), (-2, 0), (-2000, 4), (-SIZE, 1)]
    },
    "one byte more": lambda content: content + b"\0",
    "a header of 2**60 bytes": lambda content: (1 << 60).to_bytes(8, "little") + content[8:],
    "a tensor of 2**60 bytes": lambda content: content.replace(b"[0, 4608]", b"[0, 1e60]"),
    "only zeros": lambda content: bytes(len(content)),
    "zeros for vectors": lambda content: content[:-SIZE] + bytes(SIZE),
}


def flipped(content: bytes, at: int, bit: int) -> bytes:
    changed = bytearray(content)
    changed[at] ^= 1 << bit
    return bytes(changed)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_noticed_and_replaced(
    cache: Path, towers: Counting, expected: dict[str, bytes], caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    path = file_of(cache, towers, SHORT)
    whole = path.read_bytes()
    path.write_bytes(DAMAGES[damage](whole))
    assert path.read_bytes() != whole
    assert TermTables(towers, cache).table(SHORT).vectors.tobytes() == expected["short"]
    (message,) = said(caplog)
    assert message.startswith("expected ")
    assert message.endswith("; they are computed again")
    assert path.read_bytes() == whole
    TermTables(towers, cache).table(SHORT)
    assert towers.asked == list(SHORT.terms)
    assert len(said(caplog)) == 1


@pytest.mark.parametrize("other", ["model", "list"])
def test_the_file_of_another_is_noticed_and_replaced(
    cache: Path, towers: Counting, expected: dict[str, bytes], caplog: pytest.LogCaptureFixture, other: str
) -> None:
    path = file_of(cache, towers, SHORT)
    whole = path.read_bytes()
    if other == "model":
        foreign = file_of(cache, Counting(towers.pair, "embeddec"), SHORT)
    else:
        foreign = file_of(cache, towers, Category("other", SHORT.terms[::-1]))
    assert foreign.stat().st_size == len(whole)
    shutil.copy(foreign, path)
    assert TermTables(towers, cache).table(SHORT).vectors.tobytes() == expected["short"]
    (message,) = said(caplog)
    assert "found damaged or other ones; they are computed again" in message
    assert path.read_bytes() == whole


@pytest.mark.parametrize("number", [np.nan, -np.inf])
def test_a_file_that_is_whole_but_holds_no_numbers_is_refused(
    cache: Path, towers: Counting, expected: dict[str, bytes], caplog: pytest.LogCaptureFixture, number: float
) -> None:
    made = TermTables(towers, cache)
    path, label = made._place(SHORT, cache)
    vectors = np.frombuffer(expected["short"], np.float16).reshape(label.shape).copy()
    vectors[3, 7] = number
    vector_file.write(path, label, [vectors])
    assert made.table(SHORT).vectors.tobytes() == expected["short"]
    assert len(said(caplog)) == 1


def test_a_layout_of_later_is_not_read(
    cache: Path, towers: Counting, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(vector_file, "_LAYOUT", "unprompt terms 9")
    TermTables(towers, cache).table(SHORT)
    assert len(said(caplog)) == 1
    assert towers.asked == list(SHORT.terms)


def test_other_weights_have_other_files(kept: Path, towers: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    before = file_of(kept, towers, SHORT)
    monkeypatch.setattr(Counting, "identities", lambda self: {**self.pair.identities(), "tower": "0"})
    assert file_of(kept, towers, SHORT).parent != before.parent


def works_without(cache: Path, towers: Counting, expected: dict[str, bytes], caplog: pytest.LogCaptureFixture) -> None:
    """Tables are made, in whole, and it is said once that they are not kept."""
    made = TermTables(towers, cache)
    for category in (SHORT, LONG):
        assert made.table(category).vectors.tobytes() == expected[category.name]
    (message,) = said(caplog)
    assert message.startswith(f"vectors of terms cannot be cached in {cache} (")
    assert len(towers.asked) == len(SHORT.terms) + len(LONG.terms)


@pytest.fixture
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists of more than a few terms are made in parts."""
    monkeypatch.setattr(tables, "_PART", PART)


@needs_permissions
@pytest.mark.usefixtures("short_parts")
def test_a_folder_that_cannot_be_written(
    tmp_path: Path, towers: Counting, expected: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    tmp_path.chmod(0o500)
    works_without(tmp_path, towers, expected, caplog)


@pytest.mark.usefixtures("short_parts")
def test_a_file_where_the_folder_should_be(
    tmp_path: Path, towers: Counting, expected: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    works_without(tmp_path / "file", towers, expected, caplog)


@pytest.mark.usefixtures("short_parts")
def test_a_file_where_the_folder_above_should_be(
    tmp_path: Path, towers: Counting, expected: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    works_without(tmp_path / "file" / "terms", towers, expected, caplog)


@pytest.mark.usefixtures("short_parts")
def test_a_full_disk(
    tmp_path: Path, towers: Counting, expected: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    with largest_file(3000):
        works_without(tmp_path, towers, expected, caplog)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.usefixtures("short_parts")
def test_a_disk_that_is_full_when_the_parts_are_joined_keeps_them(
    tmp_path: Path, towers: Counting, expected: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    with largest_file(20_000):
        table = TermTables(towers, tmp_path).table(LONG)
    assert table.vectors.tobytes() == expected["long"]
    assert len(said(caplog)) == 1
    assert len(list(tmp_path.rglob("*.safetensors"))) == -(-len(LONG.terms) // PART)
    again = Counting(towers.pair)
    assert TermTables(again, tmp_path).table(LONG).vectors.tobytes() == expected["long"]
    assert again.asked == []
    assert len(list(tmp_path.rglob("*.safetensors"))) == 1


def test_a_folder_where_the_file_should_be(
    cache: Path, towers: Counting, expected: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    path = file_of(cache, towers, SHORT)
    path.unlink()
    path.mkdir()
    assert TermTables(towers, cache).table(SHORT).vectors.tobytes() == expected["short"]
    assert len(said(caplog)) == 1
    assert list(path.parent.glob(".*")) == []


@needs_permissions
def test_a_cache_that_can_only_be_read_is_read(cache: Path, towers: Counting, caplog: pytest.LogCaptureFixture) -> None:
    for folder in (cache, *(path for path in cache.iterdir())):
        folder.chmod(0o500)
    TermTables(towers, cache).table(SHORT)
    assert towers.asked == []
    assert said(caplog) == []


@pytest.mark.usefixtures("short_parts")
def test_a_long_list_is_made_in_parts_and_heard_of(
    tmp_path: Path, towers: Counting, expected: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[int] = []
    table = TermTables(towers, tmp_path).table(LONG, heard.append)
    assert table.vectors.tobytes() == expected["long"]
    assert sum(heard) == len(LONG.terms)
    assert len(heard) == -(-len(LONG.terms) // PART)
    assert [path.name for path in tmp_path.rglob("*.*")] == [f"{LONG.identity}.safetensors"]
    assert said(caplog) == []


def building(cache: Path) -> subprocess.Popen[str]:
    """A process that makes LONG once it is told to, and says how many more are done."""
    command = [sys.executable, "-c", BUILD, str(cache), *LONG.terms]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def begin(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_what_a_killed_process_made_is_taken_up(
    tmp_path: Path,
    towers: Counting,
    expected: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with building(tmp_path) as process:
        begin(process)
        assert process.stdout is not None
        for _ in range(4):  # so three parts are on the disk, or more
            assert process.stdout.readline() == f"{PART}\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    monkeypatch.setattr(tables, "_PART", PART)
    heard: list[int] = []
    assert TermTables(towers, tmp_path).table(LONG, heard.append).vectors.tobytes() == expected["long"]
    assert sum(heard) == len(LONG.terms)
    assert 0 < len(towers.asked) <= len(LONG.terms) - 3 * PART
    assert [path.name for path in tmp_path.rglob("*.safetensors")] == [f"{LONG.identity}.safetensors"]
    assert said(caplog) == []


@pytest.mark.usefixtures("short_parts")
def test_a_damaged_part_is_made_again(
    tmp_path: Path, towers: Counting, expected: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    with largest_file(20_000):  # the parts stay
        TermTables(towers, tmp_path).table(LONG)
    folder = file_of(tmp_path, towers, LONG).parent
    first, second = (folder / f"{LONG.identity}.{at}.safetensors" for at in (0, PART))
    shutil.copy(first, second)
    caplog.clear()
    again = Counting(towers.pair)
    assert TermTables(again, tmp_path).table(LONG).vectors.tobytes() == expected["long"]
    assert again.asked == list(LONG.terms[PART : 2 * PART])
    assert len(said(caplog)) == 1


def test_two_processes_may_make_a_list_at_once(tmp_path: Path, towers: Counting, expected: dict[str, bytes]) -> None:
    with building(tmp_path) as one, building(tmp_path) as other:
        begin(one)
        begin(other)
        one.communicate()
        other.communicate()
    assert (one.returncode, other.returncode) == (0, 0)
    assert TermTables(towers, tmp_path).table(LONG).vectors.tobytes() == expected["long"]
    assert towers.asked == []
    assert [path.name for path in tmp_path.rglob("*.*") if path.is_file()] == [f"{LONG.identity}.safetensors"]


@pytest.mark.usefixtures("short_parts")
def test_what_a_killed_process_was_writing_is_taken_up(tmp_path: Path, towers: Counting) -> None:
    path = file_of(tmp_path, towers, LONG)
    path.parent.mkdir(parents=True)
    for name in (path.name, path.with_suffix(f".{PART}{path.suffix}").name):
        (path.parent / f".{name}.part").write_bytes(b"half")
    TermTables(towers, tmp_path).table(LONG)
    assert list(path.parent.iterdir()) == [path]


def test_a_header_is_aligned_and_says_what_it_must() -> None:
    header = Label('a "name"\n\ud800', "m", "l", (3, 4), 7).header(2**32 - 1)
    assert len(header) % 64 == 0
    assert int.from_bytes(header[:8], "little") == len(header) - 8
    assert json.loads(header[8:])["__metadata__"]["model"] == 'a "name"\n\ud800'


def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert default_cache() == Path("/somewhere/unprompt/terms")


@pytest.fixture(autouse=True)
def _warnings_are_heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
