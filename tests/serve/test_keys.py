"""The file of keys."""

from pathlib import Path

import pytest

from unprompt.errors import DataError
from unprompt.serve.keys import Keys

LONG = "0123456789abcdef"


def test_keys_have_names(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# who may ask\n\nalice {LONG}a\nbob:{LONG}b\n  carol : {LONG}c  \n")
    keys = Keys.read(file)
    assert [keys.name_of(LONG + letter) for letter in "abcd"] == ["alice", "bob", "carol", None]
    assert keys.name_of("") is None
    assert keys.name_of("\udcff") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "alice short\n",
        LONG,
        f"alice {LONG}\nalice {LONG}b\n",
        f"alice {LONG} more\n",
        f"a/b {LONG}\n",
    ],
)
def test_files_that_cannot_be_used_are_refused_without_a_key_in_the_message(tmp_path: Path, text: str) -> None:
    file = tmp_path / "keys"
    file.write_text(text)
    with pytest.raises(DataError) as refused:
        Keys.read(file)
    assert LONG not in str(refused.value)
    assert "expected " in str(refused.value)


@pytest.mark.parametrize("data", [None, b"\xff\xfe"])
def test_files_that_cannot_be_read_are_refused(tmp_path: Path, data: bytes | None) -> None:
    file = tmp_path / "keys"
    if data is not None:
        file.write_bytes(data)
    with pytest.raises(DataError):
        Keys.read(file)


def test_without_a_file_there_are_none() -> None:
    assert not Keys.read(None)
