"""The files of the page: a fixed list, with types, tags and a compressed copy."""

import gzip
from pathlib import Path

import pytest
from services import Running

from unprompt.serve.page_files import FOLDER, page_files


def test_only_known_types_are_served(tmp_path: Path) -> None:
    for name in ("index.html", "page.css", "a.js", "b.py", ".hidden", "notes.txt"):
        (tmp_path / name).write_text(name)
    (tmp_path / "folder.js").mkdir()
    files = page_files(tmp_path)
    assert {path: file.type for path, file in files.items()} == {
        "/": "text/html; charset=utf-8",
        "/static/page.css": "text/css; charset=utf-8",
        "/static/a.js": "text/javascript; charset=utf-8",
    }
    (tmp_path / "a.js").write_text("changed")
    assert files["/static/a.js"].data == b"a.js"


def test_without_a_page_there_is_a_hint(tmp_path: Path) -> None:
    assert b"docs" in page_files(tmp_path / "nothing")["/"].data


def test_a_file_is_compressed_and_has_a_tag(service: Running) -> None:
    answer = service.get("/", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.content == page_files(FOLDER)["/"].data
    assert gzip.decompress(page_files(FOLDER)["/"].compressed or b"") == answer.content
    again = service.get("/", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    assert again.content == b""
    plain = service.get("/", headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers


@pytest.mark.parametrize("path", sorted(page_files()))
def test_pages_load_nothing_from_elsewhere(service: Running, path: str) -> None:
    answer = service.get(path)
    assert "unsafe-inline" not in answer.headers["Content-Security-Policy"]
    assert "'self'" in answer.headers["Content-Security-Policy"]
    assert service.client.head(path).headers["Content-Type"] == answer.headers["Content-Type"]
