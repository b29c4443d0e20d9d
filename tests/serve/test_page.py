"""The page, in a real browser: what people do with it, and what becomes of it when things go wrong."""

import contextlib
import csv
import json
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import services
from browsing import browser as opened_browser
from browsing import drop, saved, visit, wait_until_done
from services import INFOTEXT, Gated, Running, png

from unprompt.serve.settings import Settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WRITTEN = ("written.png", "image/png", png(1, parameters=INFOTEXT))
PLAIN = ("plain.png", "image/png", png(2))
BROKEN = ("broken.png", "image/png", b"no picture at all")
THREE = [WRITTEN, PLAIN, BROKEN]
MARKUP = '<img src=x onerror="document.title=1"><b>bold</b>'


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with opened_browser() as opened:
        yield opened


@pytest.fixture
def page(browser: "Browser", searching: Running) -> Iterator["Page"]:
    """The page of a service with a bank, which answered nothing yet."""
    with visit(browser, searching.url) as opened:
        yield opened


KEPT_THUMBNAILS = """
() => new Promise((resolve) => {
  indexedDB.open("unprompt-page", 1).onsuccess = ({ target: { result } }) => {
    result.transaction("entries").objectStore("entries").getAll().onsuccess = ({ target }) => {
      result.close();
      resolve(target.result.filter(({ entry }) => entry.thumbnail).length);
    };
  };
})
"""


def card(page: "Page", name: str) -> Any:
    return page.locator(".card", has_text=name)


def details(page: "Page", name: str) -> Any:
    """The details of one picture, opened by its card."""
    card(page, name).locator(".card-open").click()
    detail = page.locator("#detail")
    detail.locator("h2", has_text=name).wait_for()
    return detail


def test_three_dropped_pictures_of_which_one_is_broken(page: "Page") -> None:
    drop(page, THREE)
    wait_until_done(page, 3)
    assert page.locator("#count").inner_text() == "3 pictures"
    assert card(page, "written.png").locator(".badge").inner_text() == "written"
    assert card(page, "written.png").locator("textarea").input_value() == "a cat on the moon"
    assert card(page, "plain.png").locator(".badge").inner_text() == "predicted"
    assert "expected" in card(page, "broken.png").locator(".card-error").inner_text()
    detail = details(page, "written.png")
    assert detail.locator(".prompt .badge").inner_text() == "Written by AUTOMATIC1111"
    assert detail.locator(".prompt-text").inner_text() == "a cat on the moon"
    assert detail.locator(".negative").inner_text() == "a dog"
    assert re.search(r"Sampler\s+Euler a", detail.locator(".settings").first.inner_text())
    assert "This picture was not read" in details(page, "broken.png").inner_text()


def test_similar_prompts_and_candidates(page: "Page", searching: Running) -> None:
    drop(page, [PLAIN])
    page.wait_for_selector(".similar .ranked")
    record = searching.post("/v1/predict?embedding=true", files={"file": PLAIN[2]}).json()
    expected = searching.post("/v1/similar", json={"embedding": record["embedding"]}).json()["results"]
    assert page.locator(".similar .ranked p").all_inner_texts() == [each["text"] for each in expected]
    assert page.locator(".similar .number").all_inner_texts() == [f"{each['similarity']:.2f}" for each in expected]
    others = [each["text"] for each in record["candidates"] if each["text"] != record["prompt"]]
    assert page.locator(".part:has-text('It could also be') .ranked p").all_inner_texts() == others


def test_how_near_a_typed_prompt_comes(page: "Page", searching: Running) -> None:
    drop(page, [WRITTEN])
    page.wait_for_selector("#trial")
    for typed in ("a red dog", "a cat on the moon"):
        page.fill("#trial", "")
        page.wait_for_function("() => !document.querySelector('.trial-found').firstChild")
        page.locator("#trial").press_sequentially(typed)
        page.wait_for_selector(".trial-found .number")
        page.wait_for_selector(".trial-found[data-stale]", state="detached")
        asked = {"prompt": [typed, "a cat on the moon"]}
        one, other = searching.post("/v1/score", files={"file": WRITTEN[2]}, data=asked).json()["scores"]
        assert page.locator(".trial-found .number").inner_text() == f"{one['similarity']:.2f}"
        assert page.locator(".trial-found .hint").inner_text() == f"the written prompt: {other['similarity']:.2f}"


def test_captions_are_edited_and_exported(page: "Page", tmp_path: Path) -> None:
    drop(page, [*THREE, ("WRITTEN.jpg", "image/png", png(3, parameters=INFOTEXT))])
    wait_until_done(page, 4)
    edited = 'a dog, "quoted",\nin two lines – é'
    card(page, "plain.png").locator("textarea").fill(edited)
    details(page, "written.png").locator("#caption").fill("another caption")
    assert card(page, "written.png").locator("textarea").input_value() == "another caption"
    with saved(page, "csv", tmp_path).open(encoding="utf-8", newline="") as file:
        rows = {row["source"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["written.png", "plain.png", "broken.png", "WRITTEN.jpg"]
    assert (rows["plain.png"]["caption"], rows["plain.png"]["origin"]) == (edited, "prediction")
    assert (rows["written.png"]["caption"], rows["written.png"]["prompt"]) == ("another caption", "a cat on the moon")
    assert (rows["written.png"]["tool"], rows["written.png"]["negative_prompt"]) == ("AUTOMATIC1111", "a dog")
    assert json.loads(rows["written.png"]["settings"])["Sampler"] == "Euler a"
    assert (rows["broken.png"]["error_kind"], rows["broken.png"]["caption"]) == ("not-a-picture", "")
    lines = saved(page, "jsonl", tmp_path).read_text(encoding="utf-8").splitlines()
    records = {record["source"]: record for record in map(json.loads, lines)}
    assert records["plain.png"]["caption"] == edited
    assert records["broken.png"]["error"]["kind"] == "not-a-picture"
    assert "embedding" not in records["plain.png"]
    for ending in ("txt", "caption"):
        with zipfile.ZipFile(saved(page, ending, tmp_path)) as packed:
            assert packed.testzip() is None
            assert packed.namelist() == [f"written.{ending}", f"plain.{ending}", f"WRITTEN (2).{ending}"]
            assert packed.read(f"plain.{ending}").decode() == f"{edited}\n"
            assert packed.read(f"written.{ending}").decode() == "another caption\n"


def test_only_what_is_shown_is_exported_in_the_order_in_which_it_is_shown(page: "Page", tmp_path: Path) -> None:
    drop(page, [(f"{name}.png", "image/png", png(at)) for at, name in enumerate(("b10", "b9", "c", "a"))])
    wait_until_done(page, 4)
    page.fill("#search", "B")
    page.select_option("#sort", "name")
    page.wait_for_function("() => document.querySelectorAll('.card').length === 2")
    assert page.locator("#count").inner_text() == "2 of 4 pictures"
    lines = saved(page, "jsonl", tmp_path).read_text().splitlines()
    assert [json.loads(line)["source"] for line in lines] == ["b9.png", "b10.png"]
    page.fill("#search", "nowhere")
    page.wait_for_selector("#nothing", state="visible")


def test_sorted_by_confidence_written_prompts_come_first_and_failures_last(page: "Page") -> None:
    drop(page, [BROKEN, PLAIN, ("other.png", "image/png", png(7)), WRITTEN])
    wait_until_done(page, 4)
    page.select_option("#sort", "surest")
    page.wait_for_function("() => document.querySelector('.card .card-name').textContent.includes('written')")
    shown = page.locator(".card .badge").all_inner_texts()
    assert shown == ["written", "predicted", "predicted", "not read"]
    numbers = [float(text) for text in page.locator(".card .number").all_inner_texts()]
    assert numbers == sorted(numbers, reverse=True)
    page.select_option("#show", "metadata")
    page.wait_for_function("() => document.querySelectorAll('.card').length === 1")


def test_with_the_keyboard_alone(page: "Page", tmp_path: Path) -> None:
    for name, _type, data in THREE:
        (tmp_path / name).write_bytes(data)
    press_until(page, "Tab", "choose")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files([tmp_path / name for name, _type, _data in THREE])
    wait_until_done(page, 3)
    page.keyboard.press("/")
    assert focused(page) == "search"
    page.keyboard.type("moon")
    page.wait_for_function("() => document.querySelectorAll('.card').length === 1")
    press_until(page, "Tab", "card-open")
    page.keyboard.press("Enter")
    assert focused(page) == "detail-title"
    press_until(page, "Tab", "caption")
    page.keyboard.press("Control+a")
    page.keyboard.type("typed")
    press_until(page, "Tab", "trial")
    page.keyboard.type("a cat")
    page.wait_for_selector(".trial-found .number")
    page.keyboard.press("Escape")
    page.wait_for_selector("#detail", state="hidden")
    assert focused(page) == "card-open"
    press_until(page, "Tab", "caption")
    assert page.evaluate("document.activeElement.value") == "typed"
    press_until(page, "Shift+Tab", "export")
    with page.expect_download():
        page.keyboard.press("Enter")


def press_until(page: "Page", key: str, name: str) -> None:
    """Press a key until what has the focus is called so."""
    for _ in range(60):
        page.keyboard.press(key)
        if focused(page) == name:
            return
    raise AssertionError(f"{name} was not reached by {key}")


def focused(page: "Page") -> str:
    """The id of what has the focus, or its class."""
    return str(page.evaluate("document.activeElement.id || document.activeElement.className"))


@pytest.mark.parametrize(("width", "height"), [(360, 740), (1280, 860), (2560, 1400)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_every_width_in_light_and_dark(
    browser: "Browser", searching: Running, width: int, height: int, scheme: Any
) -> None:
    long = f"{'a_very_long_name' * 6}.png"
    with visit(
        browser,
        searching.url,
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        reduced_motion="reduce",
    ) as page:
        fits(page)
        drop(page, [*THREE, (long, "image/png", png(5, parameters=f"{'word' * 60} {INFOTEXT}"))])
        wait_until_done(page, 4)
        fits(page)
        narrow = width < 1000
        detail = details(page, long)
        page.wait_for_selector(".similar .ranked")
        fits(page)
        assert page.locator(".pane-list").is_visible() is not narrow
        assert detail.is_visible()
        red, green, blue = map(
            int, re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))
        )
        assert (red + green + blue > 384) is (scheme == "light")
        assert page.evaluate("getComputedStyle(document.querySelector('.button')).transitionDuration") == "0s"
        detail.locator(".close").click()
        assert card(page, long).is_visible()


def fits(page: "Page") -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_reload_keeps_answers_captions_and_thumbnails(page: "Page") -> None:
    drop(page, THREE)
    wait_until_done(page, 3)
    services.wait_for(lambda: page.evaluate(KEPT_THUMBNAILS) == 2)
    card(page, "plain.png").locator("textarea").fill("kept over a reload")
    page.reload()
    wait_until_done(page, 3)
    assert card(page, "plain.png").locator("textarea").input_value() == "kept over a reload"
    assert card(page, "written.png").locator(".badge").inner_text() == "written"
    page.wait_for_function(
        "() => [...document.querySelectorAll('.card img')].filter((image) => image.naturalWidth).length === 2"
    )
    detail = details(page, "plain.png")
    detail.locator("#trial").fill("a cat")  # measured by the thumbnail, as the file is gone
    page.wait_for_selector(".trial-found .number")


def test_another_tab_has_a_list_of_its_own_and_clearing_forgets(page: "Page", searching: Running) -> None:
    drop(page, [WRITTEN, PLAIN])
    wait_until_done(page, 2)
    other = page.context.new_page()
    other.goto(searching.url)
    other.wait_for_selector(".server[data-state=ready]")
    assert other.locator(".card").count() == 0
    other.close()
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("#clear")
    page.wait_for_selector("#work", state="hidden")
    page.reload()
    page.wait_for_selector(".server[data-state=ready]")
    assert page.locator(".card").count() == 0


def test_a_pasted_picture_has_lost_its_prompt_and_the_page_says_so(page: "Page") -> None:
    drop(page, [("image.png", "image/png", png(4))], "paste")
    page.wait_for_selector(".prompt-text")
    assert "This picture was pasted" in page.locator(".note").inner_text()


def test_files_that_are_no_pictures_are_refused_by_name(page: "Page") -> None:
    drop(page, [("notes.txt", "text/plain", b"notes"), WRITTEN])
    wait_until_done(page, 1)
    assert "notes.txt: not a picture" in page.locator("#notices").inner_text()
    drop(page, [WRITTEN])
    page.wait_for_selector("#notices >> text=1 picture was in the list already")
    assert page.locator(".card").count() == 1
    drop(page, [], "dragenter")
    assert not page.locator("#veil").is_visible()
    drop(page, [PLAIN], "dragenter")
    assert page.locator("#veil").is_visible()


def test_a_file_that_is_too_large_costs_the_others_nothing(browser: "Browser", service: Running) -> None:
    large = png(3, (400, 300))
    assert len(large) > service.service.settings.file_limit
    with visit(browser, service.url) as page:
        drop(page, [PLAIN, ("large.png", "image/png", large), WRITTEN])
        wait_until_done(page, 3)
        assert (
            "expected a picture's file of at most 0.2 MB" in card(page, "large.png").locator(".card-error").inner_text()
        )
        assert page.locator('.card[data-state="answered"]').count() == 2
        detail = details(page, "plain.png")
        page.wait_for_selector(".similar .ranked")  # prompts of the package's bank
        assert detail.locator(".prompt-text").inner_text()


def test_names_and_prompts_are_shown_as_text_whatever_they_hold(page: "Page", tmp_path: Path) -> None:
    hostile = png(1, parameters=f"{MARKUP}\nNegative prompt: {MARKUP}\nSteps: 20, Sampler: <b>, Seed: 1, Size: 64x48")
    drop(page, [(f"{MARKUP}.png", "image/png", hostile), (f"{MARKUP}.jpg", "image/png", BROKEN[2])])
    wait_until_done(page, 2)
    page.wait_for_selector(".similar .ranked")
    assert "<b>bold" in page.locator(".prompt-text").inner_text()
    assert page.locator("main b").count() == page.locator("main [onerror]").count() == 0
    assert page.title() == "unprompt"
    (name,) = zipfile.ZipFile(saved(page, "txt", tmp_path)).namelist()
    assert not set(name) & set('<>"')


def test_while_the_server_is_busy_pictures_wait_and_the_page_says_so(
    browser: "Browser", gated: tuple[Running, Gated]
) -> None:
    running, unprompter = gated
    with ThreadPoolExecutor(2) as others, visit(browser, running.url) as page:
        unprompter.gate.clear()
        # Four pictures in work and four that wait: there is no room for another.
        asked = [others.submit(running.post, "/v1/predict", files=some_pictures(20))]
        services.wait_for(lambda: running.service.pictures.in_work == 4)
        asked.append(others.submit(running.post, "/v1/predict", files=some_pictures(30)))
        services.wait_for(lambda: running.service.pictures.waiting == 4)
        drop(page, [(f"{seed}.png", "image/png", png(seed)) for seed in range(5)])
        page.wait_for_selector(".alert.busy")
        assert "The server is busy. Your pictures wait their turn." in page.locator(".alert").inner_text()
        assert page.locator("#server-text").inner_text() == "Busy"
        unprompter.gate.set()
        wait_until_done(page, 5)
        assert page.locator('.card[data-state="answered"]').count() == 5
        page.wait_for_selector(".alert", state="detached")
        assert [answer.result().status_code for answer in asked] == [200, 200]


def some_pictures(first: int) -> list[tuple[str, tuple[str, bytes]]]:
    return [("file", (f"{seed}.png", png(seed))) for seed in range(first, first + 4)]


def test_while_the_server_loads_pictures_wait(browser: "Browser", searching: Running) -> None:
    with visit(browser, "about:blank", ready=False) as blank:
        context = blank.context
        refusal = {"error": {"code": 503, "type": "loading", "message": "loading", "param": None}}
        context.route("**/ready", lambda route: route.fulfill(status=503, json=refusal, headers={"Retry-After": "1"}))
        page = context.new_page()
        page.goto(searching.url)
        page.wait_for_selector(".alert.loading")
        drop(page, [WRITTEN])
        assert page.locator(".card .badge").inner_text() == "waiting"
        context.unroute("**/ready")
        wait_until_done(page, 1)
        page.wait_for_selector(".alert", state="detached")


def test_a_server_that_is_killed_and_comes_back(browser: "Browser", preset: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    first = started(preset, port)
    try:
        with visit(browser, f"http://127.0.0.1:{port}") as page:
            drop(page, [WRITTEN])
            wait_until_done(page, 1)
            first.kill()
            first.wait()
            drop(page, [PLAIN, BROKEN])
            page.wait_for_selector(".alert.gone")
            assert "The server does not answer. Your pictures stay here" in page.locator(".alert").inner_text()
            assert card(page, "written.png").locator("textarea").input_value() == "a cat on the moon"
            assert card(page, "plain.png").locator(".badge").inner_text() == "waiting"
            second = started(preset, port)
            try:
                page.get_by_role("button", name="Ask now").click()
                wait_until_done(page, 3)
                page.wait_for_selector(".alert", state="detached")
                assert card(page, "plain.png").locator(".badge").inner_text() == "predicted"
            finally:
                second.kill()
                second.wait()
    finally:
        first.kill()
        first.wait()


def started(preset: Path, port: int) -> "subprocess.Popen[bytes]":
    """The service as a process of its own, once it listens."""
    command = [
        sys.executable,
        "-m",
        "unprompt",
        "serve",
        "--port",
        str(port),
        "--preset",
        str(preset),
        "--threads",
        "1",
    ]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    services.wait_for(lambda: process.poll() is not None or listens(port))
    assert process.poll() is None
    return process


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def test_a_server_that_asks_for_a_key(browser: "Browser", preset: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("ann 0123456789abcdef0123456789abcdef\n")
    keys.chmod(0o600)
    with (
        services.running(Settings(preset=str(preset), api_key_file=str(keys))) as running,
        visit(browser, running.url, ready=False) as page,
    ):
        drop(page, [WRITTEN])
        page.get_by_label("This server asks for a key").fill("0123456789abcdef0123456789abcdef")
        page.keyboard.press("Enter")
        wait_until_done(page, 1)
        assert page.locator(".prompt-text").inner_text() == "a cat on the moon"


def test_the_first_view_takes_few_requests_and_little(browser: "Browser", searching: Running) -> None:
    with visit(browser, "about:blank", ready=False) as blank:
        page = blank.context.new_page()
        got: list[Any] = []
        page.on("requestfinished", lambda request: got.append((request.url, request.sizes()["responseBodySize"])))
        page.goto(searching.url)
        page.wait_for_selector(".server[data-state=ready]")
        assert len(got) <= 20
        assert sum(size for _url, size in got) < 60_000


def test_axe_finds_nothing_serious(browser: "Browser", searching: Running, axe: str) -> None:
    for options in ({}, {"color_scheme": "dark"}, {"viewport": {"width": 360, "height": 740}}):
        with visit(browser, searching.url, **options) as page:
            found = violations(page, axe)
            drop(page, THREE)
            wait_until_done(page, 3)
            if page.locator("#detail").is_visible():
                page.locator("#detail .close").click()
            found += violations(page, axe)
            for name in ("broken.png", "written.png"):
                details(page, name)
                if name == "written.png":
                    page.fill("#trial", "a red dog")
                    page.wait_for_selector(".trial-found .number")
                    page.wait_for_selector(".similar .ranked")
                found += violations(page, axe)
                page.locator("#detail .close").click()
            assert found == []


def violations(page: "Page", axe: str) -> list[str]:
    """What axe-core finds that is serious or worse, with the elements."""
    page.evaluate(axe)
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{each['id']}: {node['html'][:200]}"
        for each in result["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, which npm brings; it is no part of the project."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("axe-core comes by npm, and there is none on this machine")
    folder = tmp_path_factory.mktemp("axe")
    command = [npm, "pack", "axe-core@4", "--silent", "--ignore-scripts"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    packed = next(folder.glob("axe-core-*.tgz"), None)
    if packed is None:
        pytest.skip(f"npm could not bring axe-core: {run.stderr.strip()[:200]}")
    with tarfile.open(packed) as archive:
        source = archive.extractfile("package/axe.min.js")
        assert source is not None
        return source.read().decode("utf-8")
