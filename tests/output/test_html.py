"""The gallery: pages that need no server, whatever their pictures and prompts hold."""

import base64
import hashlib
import os
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from browsing import browser as opened_browser

from unprompt.errors import DataError
from unprompt.output.formats import PictureWriter, WriterOptions, find_format, format_of
from unprompt.output.html import GalleryWriter

MARKUP = '<script>alert(1)</script><img src=x onerror="x">'


def answer(source: object, prompt: str = "a cat on the moon", **more: Any) -> dict[str, Any]:
    return {
        "source": str(source),
        "prompt": prompt,
        "origin": "prediction",
        "confidence": {"estimate": 0.52, "low": 0.35, "high": 0.66},
        "concepts": [{"name": f"{MARKUP} castle", "probability": 0.83}] * 20,
        "candidates": [],
        **more,
    }


def failure(source: object) -> dict[str, Any]:
    return {"source": str(source), "error": {"kind": "truncated", "message": f"it ends early {MARKUP}"}}


def written(path: Path, *records: dict[str, Any], page_pictures: int = 500) -> str:
    writer = GalleryWriter(str(path), page_pictures)
    for record in records:
        writer.write(record)
    writer.close()
    return path.read_text(encoding="utf-8")


class Elements(HTMLParser):
    """The elements of a page, as a browser takes them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    return tiny_models.pictures(tmp_path / "pictures", 3)


def test_the_ending_names_the_format_and_a_stream_is_refused(tmp_path: Path) -> None:
    assert format_of(None, "gallery.html") == "html"
    format = find_format("html")
    assert (format.stream, format.can_resume) == (None, True)
    assert format.file is not None
    writer = format.file(str(tmp_path / "a.html"), WriterOptions(lambda record: None))
    assert isinstance(writer, PictureWriter)
    writer.close()


def test_prompt_and_thumbnail_stand_side_by_side(tmp_path: Path, pictures: list[Path]) -> None:
    records = [
        answer(pictures[0]),
        answer(pictures[1], tool="AUTOMATIC1111", negative_prompt="a dog", settings={"Steps": 20}, origin="metadata"),
        failure(pictures[2]),
    ]
    page = Elements(written(tmp_path / "gallery.html", *records))
    assert [each["class"] for each in page.of("li")] == ["card predicted", "card written", "card failed"]
    for image in page.of("img"):
        assert str(image["src"]).startswith("data:image/jpeg;base64,")
        assert image["loading"] == "lazy"
    assert len(page.of("img")) == 2
    links = [each["href"] for each in page.of("a")]
    assert links == [f"pictures/{path.name}" for path in pictures[:2]]
    for expected in (
        "a cat on the moon",
        "a dog",
        "Steps",
        "confidence 0.52 (0.35 to 0.66)",
        "castle 0.83; ",
        "kind: truncated",
        "3 pictures, 1 of them",
    ):
        assert expected in page.text


def test_everything_from_files_is_escaped(tmp_path: Path) -> None:
    hostile = answer(f"{MARKUP}\u202e.png", f"{MARKUP}\nsecond\x1b[2Jline", tool=MARKUP, settings={MARKUP: MARKUP})
    found = written(tmp_path / "a&<b>.html", hostile, failure(MARKUP), answer("x", "y" * 50_000, text=MARKUP))
    page = Elements(found)
    assert len(page.of("script")) == 1
    assert page.of("img") == []
    assert not any(name.startswith("on") for _tag, attributes in page.found for name in attributes)
    assert "\u202e" not in found
    assert "\x1b" not in found
    assert len(found) < 60_000


def test_a_pictures_name_becomes_no_other_address(tmp_path: Path) -> None:
    names = ("javascript:alert(1).png", "a b#c?d%.png", '"><b>.png')
    paths = [tmp_path / name for name in names]
    for path, made in zip(paths, tiny_models.pictures(tmp_path / "made", 3), strict=True):
        made.rename(path)
    page = Elements(written(tmp_path / "gallery.html", *map(answer, paths)))
    assert [each["href"] for each in page.of("a")] == [
        "javascript%3Aalert%281%29.png",
        "a%20b%23c%3Fd%25.png",
        "%22%3E%3Cb%3E.png",
    ]


def test_the_policy_allows_its_own_style_and_script_alone(tmp_path: Path) -> None:
    page = written(tmp_path / "gallery.html", answer("a.png"))
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    for kind in ("style", "script"):
        source = re.search(rf"<{kind}>(.*?)</{kind}>", page, re.DOTALL)
        assert source is not None
        digest = base64.b64encode(hashlib.sha256(source[1].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy[1]
    assert "unsafe" not in policy[1]
    assert "default-src 'none'" in policy[1]
    assert "http" not in re.sub("http-equiv", "", page)


def test_many_pictures_go_on_in_a_folder_of_pages(tmp_path: Path) -> None:
    path = tmp_path / "all.html"
    first = written(path, *(answer(f"{number}.png") for number in range(7)), page_pictures=3)
    pages = [first, *((tmp_path / "all.pages" / f"{number}.html").read_text() for number in (2, 3))]
    assert [page.count("<li class") for page in pages] == [3, 3, 1]
    links = [sorted({str(each["href"]) for each in Elements(page).of("a")}) for page in pages]
    assert links == [["all.pages/2.html"], ["../all.html", "3.html"], ["../all.html", "2.html"]]
    (tmp_path / "all.pages" / "4.html").write_text("somebody else's")
    written(path, *(answer(f"{number}.png") for number in range(4)), page_pictures=3)
    assert sorted(os.listdir(tmp_path / "all.pages")) == ["2.html", "4.html"]
    assert (tmp_path / "all.pages" / "2.html").read_text().count("<li class") == 1


def test_each_card_is_on_disk_once_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "gallery.html"
    writer = GalleryWriter(str(path))
    for number in range(2):
        writer.write(answer(f"{number}.png"))
        cut = Elements(path.read_text())  # what a kill leaves
        assert len(cut.of("li")) == number + 1
        assert "tools" in path.read_text()
    writer.break_off()
    before = path.read_text()
    writer = GalleryWriter(str(path))
    writer.write(answer("0.png"))
    assert path.read_text() == before  # a resumed run never has fewer
    writer.write(answer("1.png"))
    writer.write(answer("2.png"))
    writer.close()
    assert path.read_text().startswith(before)
    assert path.read_text().count("<li class") == 3


def test_other_records_are_refused(tmp_path: Path) -> None:
    writer = GalleryWriter(str(tmp_path / "gallery.html"))
    with pytest.raises(DataError, match="expected answers for a gallery, found other records"):
        writer.write({"source": "a.png", "scores": []})
    writer.close()
    with pytest.raises(DataError, match="overwrite a picture"):
        GalleryWriter(str(tmp_path / "a.png"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with opened_browser() as opened:
        yield opened


@pytest.mark.browser
@pytest.mark.slow
def test_search_and_filter_in_a_browser_without_any_request(browser: Any, tmp_path: Path, pictures: list[Path]) -> None:
    records = [
        answer(pictures[0], "a red fox"),
        answer(pictures[1], "a blue ship", tool="ComfyUI"),
        failure(pictures[2]),
    ]
    written(tmp_path / "gallery.html", *records)
    page = browser.new_context(viewport={"width": 360, "height": 740}, offline=True).new_page()
    asked: list[str] = []
    faults: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: faults.append(message.text))
    page.goto((tmp_path / "gallery.html").as_uri())
    assert page.locator("#count").inner_text() == "3 pictures"
    page.fill("#search", "FOX red")
    assert page.locator(".card:visible .prompt").all_inner_texts() == ["a red fox"]
    page.fill("#search", "")
    page.select_option("#show", "written")
    assert page.locator(".card:visible .prompt").all_inner_texts() == ["a blue ship"]
    assert page.evaluate("[...document.images].filter((image) => image.naturalWidth).length") == 2
    assert page.evaluate("getComputedStyle(document.querySelector('.card:not([hidden])')).display") == "grid"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert [each for each in asked if not each.startswith("data:")] == [(tmp_path / "gallery.html").as_uri()]
    assert faults == []
    page.context.close()
