"""What every folder promises, wherever it lies."""

import threading
import uuid
from pathlib import Path

import pytest
from object_stores import ObjectStore

from unprompt.errors import LocationError
from unprompt.locations.address import is_remote, parted, shown
from unprompt.locations.folder import Folder
from unprompt.locations.location import folder_at

pytest.importorskip("s3fs")


@pytest.fixture(params=["local", "file", "memory", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    if request.param == "s3":
        request.getfixturevalue("store")
    places = {
        "local": f"{tmp_path}/new/er",
        "file": f"file://{tmp_path}/new/er",
        "memory": f"memory://{uuid.uuid4().hex}/er",
        "s3": "s3://pictures/new/er",
    }
    return folder_at(places[request.param])


def names(folder: Folder, prefix: str = "") -> list[str]:
    return [entry.name for page in folder.pages(prefix) for entry in page]


def test_nothing_is_there_before_it_is_written(folder: Folder) -> None:
    assert names(folder) == []
    assert folder.entry("a.txt") is None
    folder.remove("a.txt")
    with pytest.raises(LocationError, match="expected") as caught:
        folder.read("a.txt", 10)
    assert caught.value.kind == "not-found"


def test_what_is_written_is_read_and_listed(folder: Folder, tmp_path: Path) -> None:
    folder.write("b/c.txt", b"old")
    folder.write("b/c.txt", b"new")
    folder.write("empty", b"")
    (tmp_path / "large").write_bytes(b"from a file")
    folder.upload("a.bin", str(tmp_path / "large"))

    assert folder.read("b/c.txt", 3) == b"new"
    assert folder.read("empty", 3) == b""
    with folder.open("a.bin") as file:
        assert (file.read(5), file.seek(-4, 2), file.read()) == (b"from ", 7, b"file")
    assert sorted(names(folder)) == ["a.bin", "b/c.txt", "empty"]
    assert names(folder, "b/c") == ["b/c.txt"]
    entry = folder.entry("a.bin")
    assert entry is not None
    assert (entry.size, (entry.modified_s or 0) > 1_600_000_000) == (11, True)
    assert folder.entry("b") is None  # a folder


def test_more_than_the_limit_is_refused(folder: Folder) -> None:
    folder.write("a", b"1234")
    with pytest.raises(LocationError, match="found more") as caught:
        folder.read("a", 3)
    assert caught.value.kind == "too-large"


def test_only_one_of_many_creates(folder: Folder) -> None:
    won: list[str] = []

    def claim(worker: str) -> None:
        if folder.create("claims/7", worker.encode()):
            won.append(worker)

    threads = [threading.Thread(target=claim, args=(f"worker {number}",)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(won) == 1
    assert folder.read("claims/7", 99).decode() == won[0]
    folder.check_creates()
    assert names(folder) == ["claims/7"]


def test_what_is_removed_can_be_created_again(folder: Folder) -> None:
    assert folder.create("claim", b"first")
    folder.remove("claim")
    assert folder.create("claim", b"second")


@pytest.mark.parametrize(
    ("name", "remote"),
    [
        ("s3://b/a", True),
        ("S3://b/a", True),
        ("hf://datasets/x/y", True),
        ("unknown://x", True),
        ("https://host/a", False),
        ("file:///a", False),
        ("C:/a", False),
        ("a://", True),
        ("@s3://b/list", False),
    ],
)
def test_addresses_are_told_from_paths(name: str, remote: bool) -> None:
    assert is_remote(name) == remote


@pytest.mark.parametrize(
    ("location", "found"),
    [
        ("s4://bucket/a", "known: abfs, az, gcs, gs, hf, memory, s3, s3a"),
        ("ftp://host/a", "unknown scheme"),
        ("s3://", "name the bucket"),
        ("s3://key:word@bucket/a", "without credentials"),
        ("https://host/folder", "web address"),
    ],
)
def test_what_is_no_folder_says_why(location: str, found: str) -> None:
    with pytest.raises(LocationError, match=found) as caught:
        folder_at(location)
    assert "word" not in str(caught.value)


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("s3://a:b@bucket/c", "s3://***@bucket/c"),
        ("https://h/p.png?X-Amz-Signature=abc&w=2&sig=d", "https://h/p.png?X-Amz-Signature=***&w=2&sig=***"),
        ("a?sig=b.png", "a?sig=b.png"),
        ("s3://b/\x1b[31m", "s3://b/\\x1b[31m"),
    ],
)
def test_secrets_are_not_shown(location: str, expected: str) -> None:
    assert shown(location) == expected


@pytest.mark.parametrize(
    ("location", "expected"), [("s3://b/c/d.jsonl", ("s3://b/c/", "d.jsonl")), ("d", ("", "d")), ("a/d", ("a/", "d"))]
)
def test_a_file_is_parted_from_its_folder(location: str, expected: tuple[str, str]) -> None:
    assert parted(location) == expected


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unprompt.locations.stores._is_installed", lambda module: module != "s3fs")
    with pytest.raises(LocationError, match=r"pip install 'unprompt\[cloud\]'") as caught:
        folder_at("s3://bucket/a")
    assert caught.value.kind == "missing-extra"


def test_a_store_answers_by_pages_and_each_read_is_one_request(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unprompt.locations.stores.PAGE", 10)
    store.put({f"many/{number:04}.png": b"x" for number in range(23)})
    folder = folder_at("s3://pictures/many")

    pages = list(folder.pages())
    assert [len(page) for page in pages] == [10, 10, 3]
    assert store.asked == {"GET /pictures": 3}
    folder.read("0007.png", 5)
    assert store.asked_for("/pictures/many/0007.png") == 1
