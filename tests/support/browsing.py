"""What the tests of the page do in a browser: a Chromium of this machine, driven by Playwright."""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PATIENCE_MS = 60_000
_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-sync",
)
_HAND_OVER = """
([kind, files]) => {
  const transfer = new DataTransfer();
  for (const { name, type, data } of files) {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    transfer.items.add(new File([bytes], name, { type, lastModified: 1 }));
  }
  const event = kind === "paste"
    ? new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true })
    : new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true });
  document.body.dispatchEvent(event);
}
"""


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """A Chromium; skips where there is none. $UNPROMPT_CHROMIUM names another one than the path has."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: see [dev]")
    found = os.environ.get("UNPROMPT_CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.skip("no Chromium on this machine: install one, or name it in UNPROMPT_CHROMIUM")
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=found, args=list(_FLAGS))
        yield launched
        launched.close()


@contextlib.contextmanager
def visit(browser: Browser, url: str, *, ready: bool = True, **options: Any) -> Iterator[Page]:
    """The page at an address, in a profile of its own; in the end it must have asked no other host and met no fault."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 860}, **options})
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    asked: list[str] = []
    faults: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if _is_fault(message) else None)
    # Chromium hands over file choosers only while somebody listens: begun at the press, it may come after the chooser.
    page.on("filechooser", lambda _chooser: None)
    try:
        page.goto(url)
        if ready:
            page.wait_for_selector(".server[data-state=ready]")
        yield page
        own = urlsplit(url).netloc
        others = [
            each for each in asked if urlsplit(each).scheme not in ("data", "blob") and urlsplit(each).netloc != own
        ]
        assert others == []
        assert faults == []
    finally:
        context.close()


def _is_fault(message: Any) -> bool:
    # A browser says "Failed to load resource" of each status from 400 on; what the page makes of it is tested.
    return message.type in ("error", "warning") and "Failed to load resource" not in message.text


def drop(page: Page, files: Sequence[tuple[str, str, bytes]], kind: str = "drop") -> None:
    """Drop or paste files (name, type, content), or drag them over the page ("dragenter")."""
    given = [{"name": name, "type": type, "data": base64.b64encode(data).decode()} for name, type, data in files]
    page.evaluate(_HAND_OVER, [kind, given])


def wait_until_done(page: Page, count: int) -> None:
    """Wait until so many pictures are in the list, each of them answered or failed."""
    done = '.card[data-state="answered"], .card[data-state="failed"]'
    page.wait_for_function("([done, count]) => document.querySelectorAll(done).length === count", arg=[done, count])


def saved(page: Page, kind: str, folder: Path) -> Path:
    """The file that the page saves as one of its formats."""
    page.select_option("#format", kind)
    with page.expect_download() as download:
        page.click("#export")
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path
