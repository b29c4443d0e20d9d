"""Files that are written whole at the end, and checked at the beginning."""

import os
from pathlib import Path

import pytest

from unprompt.errors import DataError
from unprompt.output.documents import check_apart, check_new, check_writable, write_document

needs_permissions = pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")


def test_writing_replaces_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_text("before")
    check_writable(str(path))
    assert path.read_text() == "before"
    write_document(str(path), "ä\ud800")
    assert path.read_bytes() == "ä\\ud800".encode()
    assert os.listdir(tmp_path) == ["a.html"]


def test_checking_leaves_nothing(tmp_path: Path) -> None:
    check_writable(str(tmp_path / "new.json"))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [("none/a.json", "expected an existing folder"), ("", "folder"), ("a.png", "would overwrite a picture")],
)
def test_places_that_take_nothing(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        check_writable(str(tmp_path / name))


@needs_permissions
def test_a_closed_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match="permission"):
        check_writable(str(tmp_path / "a.json"))


def test_what_is_there_is_left_alone_unless_somebody_says_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    check_new(str(path), overwrite=False)
    path.touch()
    check_new(str(path), overwrite=False)  # nothing in it could be lost
    path.write_text("an answer")
    check_new(str(path), overwrite=True)
    check_new(str(path), overwrite=False, resume=True, begun=True)
    check_new(None, overwrite=False)
    check_new(os.devnull, overwrite=False)
    with pytest.raises(DataError, match=r"add --overwrite to replace it, or name another$"):
        check_new(str(path), overwrite=False)
    with pytest.raises(DataError, match=r"or name another; --resume continues what an interrupted run left$"):
        check_new(str(path), overwrite=False, resume=False)
    with pytest.raises(DataError, match="add --overwrite to replace it or --resume to continue it"):
        check_new(str(path), overwrite=False, begun=True)
    with pytest.raises(DataError, match="nothing that an earlier run left to continue; add --overwrite"):
        check_new(str(path), overwrite=False, resume=True)


def test_a_device_is_written_to_and_not_replaced() -> None:
    check_writable(os.devnull)
    write_document(os.devnull, "text")
    assert not os.path.isfile(os.devnull)


def test_outputs_stay_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data.jsonl").write_text("data")
    os.symlink("data.jsonl", "link.jsonl")
    check_apart(["a.json", "b.json"], ["data.jsonl", "embedded"])
    for outputs in (["./data.jsonl"], ["link.jsonl"], ["new.json", str(tmp_path / "data.jsonl")]):
        with pytest.raises(DataError, match="which is read; name another"):
            check_apart(outputs, ["data.jsonl"])
    with pytest.raises(DataError, match="for two"):
        check_apart(["a.json", "b.html", str(tmp_path / "a.json")], [])
    check_apart([os.devnull, os.devnull], [])
