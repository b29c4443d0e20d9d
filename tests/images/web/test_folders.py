"""Folders and tars on the web, from servers of our own on loopback."""

import http.server
import io
import re
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from unprompt.errors import PictureError
from unprompt.images.ref import ImageRef
from unprompt.images.sources import count, image_refs, may_be_many
from unprompt.images.web.limits import WebLimits

PNG = b"\x89PNG\r\n\x1a\n"
OPEN = WebLimits(timeout_s=10, allow_private=True)


@pytest.fixture(autouse=True)
def _online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)  # nothing below leaves this machine


class Handler(http.server.SimpleHTTPRequestHandler):
    """The standard library's pages of folders, and parts of files, which it does not give."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def send_head(self) -> Any:
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        path = Path(self.translate_path(self.path))
        if asked is None or "whole" in self.path or not path.is_file():
            return super().send_head()
        data = path.read_bytes()
        part = data[int(asked[1]) : int(asked[2]) + 1]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {asked[1]}-{int(asked[1]) + len(part) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        return io.BytesIO(part)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    handler = type("Here", (Handler,), {"__init__": lambda *a, **k: Handler.__init__(*a, directory=str(tmp_path), **k)})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def packed(path: Path, *names: str) -> None:
    with tarfile.open(path, "w") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(PNG)
            tar.addfile(info, io.BytesIO(PNG))


def refs(url: str, limits: WebLimits = OPEN) -> list[ImageRef]:
    return list(image_refs(url, web=limits))


def failure(ref: ImageRef) -> str:
    with pytest.raises(PictureError) as caught:
        ref.read()
    return caught.value.kind


def test_a_folder_stands_for_what_its_page_links_to_below_it(site: str, tmp_path: Path) -> None:
    (tmp_path / "in" / "b c").mkdir(parents=True)
    for name in ("in/2.png", "in/1 a#.PNG", "in/notes.txt", "in/b c/3.jpg", "out.png"):
        (tmp_path / name).write_bytes(PNG)
    packed(tmp_path / "in" / "s.tar", "x.png")

    found = refs(f"{site}/in/")
    assert [ref.source for ref in found] == [
        f"{site}/in/{name}" for name in ("1%20a%23.PNG", "2.png", "s.tar/x.png", "b%20c/3.jpg")
    ]
    assert [ref.below for ref in found] == ["1 a#.PNG", "2.png", "s/x.png", "b c/3.jpg"]
    assert [ref.read() for ref in found] == [PNG] * 4


def test_a_tar_is_read_in_parts(site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unprompt.images.web.folders.BLOCK", 1024)
    packed(tmp_path / "s.tar", "a.png", "b.png", "c.png")
    assert [ref.read() for ref in refs(f"{site}/s.tar")] == [PNG] * 3


@pytest.mark.parametrize(
    ("path", "kind"),
    [("empty/", "no-pictures"), ("gone/", "not-found"), ("gone.tar", "not-found"), ("whole.tar", "unreadable")],
)
def test_what_is_not_there_is_one_failure(site: str, tmp_path: Path, path: str, kind: str) -> None:
    (tmp_path / "empty").mkdir()
    packed(tmp_path / "whole.tar", "a.png")
    [ref] = refs(f"{site}/{path}")
    assert (ref.source, failure(ref)) == (f"{site}/{path}", kind)


def test_links_that_lead_away_are_not_followed(site: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    away = (
        "../secret.png",
        "/secret.png",
        "https://other.invalid/in/a.png",
        "?C=N;O=D",
        "a/b.png",
        "http://[/x.png",
        ".",
    )
    links = (*away, "a.png#top", "a.png", "../in/a.png")
    (tmp_path / "in" / "index.html").write_text("".join(f'<a href="{link}">x</a>' for link in links))
    assert [ref.source for ref in refs(f"{site}/in/")] == [f"{site}/in/a.png"]


@pytest.mark.parametrize("limits", [WebLimits(), WebLimits(allow_private=True, offline=True)])
@pytest.mark.parametrize("path", ["in/", "s.tar"])
def test_folders_and_tars_are_guarded_as_pictures_are(site: str, tmp_path: Path, limits: WebLimits, path: str) -> None:
    [ref] = refs(f"{site}/{path}", limits)
    assert failure(ref) == ("offline" if limits.offline else "forbidden-address")


def test_nobody_knows_how_many_a_web_folder_holds() -> None:
    assert (may_be_many("https://host.invalid/a/"), may_be_many("https://host.invalid/a.png")) == (True, False)
    assert count(["https://host.invalid/a/"]) is None
