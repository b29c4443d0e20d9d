"""The report as one HTML file."""

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from PIL import Image

from unprompt import Unprompter, load
from unprompt.evaluation.highlights import Highlights
from unprompt.evaluation.page import html_page
from unprompt.evaluation.report import Report, evaluate

HOSTILE = "</script></style><img src=x onerror=alert(1)><!-- \" ' & \u202edesrever\x1b[2J $title {0} %s"
VOID = {"meta", "img"}


class Page(HTMLParser):
    """What a browser would find in a page; fails where tags do not match."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.texts)


@pytest.fixture(scope="module")
def unprompter(tmp_path_factory: pytest.TempPathFactory) -> Unprompter:
    folder = tmp_path_factory.mktemp("models")
    models = [tiny_models.regressor(folder / f"linear.{seed}", seed=seed) for seed in (1, 2)]
    return load(tiny_models.preset(folder / "tiny.toml", *models))


def data(folder: Path, count: int, **fields: Any) -> Path:
    records: list[dict[str, Any]] = [
        {"file_name": f"pictures/{path.name}", "prompt": f"picture {number}", "kind": ("photo", "drawing")[number % 2]}
        for number, path in enumerate(tiny_models.pictures(folder / "pictures", count))
    ]
    records[0] |= fields
    path = folder / "labelled.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def page_of(unprompter: Unprompter, source: Path, *, text: bool = False, by: str | None = "kind") -> tuple[Report, str]:
    highlights = Highlights()
    report = evaluate(unprompter, source, by=by, text=text, heard=lambda outcome, total: highlights.add(outcome))
    html = html_page(report, highlights, source=str(source), by=by, command="unprompt evaluate x", date="2026-11-28")
    return report, html


def test_all_that_was_found_is_said(unprompter: Unprompter, tmp_path: Path) -> None:
    report, html = page_of(unprompter, data(tmp_path, 6), text=True)
    page = Page(html)
    headings = [text for text in page.texts if text in ("Scores", "By kind", "Members alone", "Failures")]
    assert headings == ["Scores", "By kind", "Members alone"]
    assert all(f"{report[what]['mean']:.3f}" in page.text for what in ("vector", "text"))
    numbers = [*report["members"].values(), *(group["text"] for group in report["groups"].values())]
    assert all(f"{mean['mean']:.4f}" in page.text for mean in numbers)
    assert f"{report['vector']['low']:.4f} to {report['vector']['high']:.4f}" in page.text
    assert "percentile bootstrap over 6 prompts, 1,000 resamples" in page.text
    model = report["model"]
    origin = ("unprompt evaluate x", "2026-11-28", model["unprompt"], model["preset_hash"], *model["models"].values())
    assert all(said in page.text for said in origin)
    assert sum(tag == "img" for tag, _ in page.tags) == 6
    assert all(page.text.count(f"picture {number}") == 1 for number in range(6))


def test_it_asks_nobody_for_anything(unprompter: Unprompter, tmp_path: Path) -> None:
    _, html = page_of(unprompter, data(tmp_path, 5))
    page = Page(html)
    policy = next(attrs["content"] for tag, attrs in page.tags if "http-equiv" in attrs)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    assert not {"script", "link", "iframe", "object", "embed", "form", "base", "a"} & {tag for tag, _ in page.tags}
    for _, attrs in page.tags:
        assert (attrs.get("src") or "data:image/jpeg;base64,").startswith("data:image/jpeg;base64,")
        assert not {"href", "xlink:href", "srcset", "style", "data", "action"} & set(attrs)
        assert not [name for name in attrs if name.startswith("on")]
    assert "url(" not in html
    assert "@import" not in html
    assert "://" not in html


@pytest.mark.parametrize("field", ["prompt", "kind"])
def test_what_prompts_say_is_never_markup(unprompter: Unprompter, tmp_path: Path, field: str) -> None:
    page = Page(page_of(unprompter, data(tmp_path, 4, **{field: HOSTILE}), text=True)[1])
    plain = Page(page_of(unprompter, data(tmp_path, 4, **{field: "harmless"}), text=True)[1])
    # Other prompts have other scores, and with them other rows and dots, but not the elements of the hostile text.
    for hostile in ("script", "style", "img"):
        assert [tag for tag, _ in page.tags].count(hostile) == [tag for tag, _ in plain.tags].count(hostile)
    assert all("onerror" not in attrs for _, attrs in page.tags)
    assert "</script></style><img src=x onerror=alert(1)>" in page.text
    assert r"\u202edesrever\x1b[2J $title {0} %s" in page.text


def test_names_are_never_markup(unprompter: Unprompter, tmp_path: Path) -> None:
    source = data(tmp_path, 3, file_name="<img src=y onerror=alert(2)>.png")
    report, html = page_of(unprompter, source)
    page = Page(html)
    assert len(report["failures"]) == 1
    assert sum(tag == "img" for tag, _ in page.tags) == 2
    assert "<img src=y onerror=alert(2)>.png" in page.text
    assert "1 more failed" in page.text


def test_long_texts_are_cut(unprompter: Unprompter, tmp_path: Path) -> None:
    _, html = page_of(unprompter, data(tmp_path, 2, prompt="word " * 100_000))
    assert len(html) < 150_000


def test_pictures_are_small_and_encoded_anew(unprompter: Unprompter, tmp_path: Path) -> None:
    source = data(tmp_path, 2)
    large = Image.new("RGB", (1600, 900), "red")
    large.save(tmp_path / "pictures" / "0.png", pnginfo=_note("secret"))
    page = Page(page_of(unprompter, source)[1])
    addresses = [attrs["src"] or "" for tag, attrs in page.tags if tag == "img"]
    found = [base64.b64decode(address.partition(",")[2]) for address in addresses]
    sizes = {Image.open(io.BytesIO(data)).size for data in found}
    assert max(side for size in sizes for side in size) == 256
    assert (256, 144) in sizes
    assert all(b"secret" not in data and len(data) < 40_000 for data in found)


def _note(text: str) -> Any:
    from PIL.PngImagePlugin import PngInfo

    note = PngInfo()
    note.add_text("parameters", text)
    return note


def test_a_picture_that_is_gone(unprompter: Unprompter, tmp_path: Path) -> None:
    source, highlights = data(tmp_path, 2), Highlights()
    report = evaluate(unprompter, source, text=False, heard=lambda outcome, total: highlights.add(outcome))
    (tmp_path / "pictures" / "0.png").unlink()
    page = Page(html_page(report, highlights, source="d", by=None, command="", date=""))
    assert page.text.count("no longer there") == 1


def test_a_page_without_any_score(unprompter: Unprompter, tmp_path: Path) -> None:
    source = tmp_path / "none.jsonl"
    source.write_text('{"file_name": "none.png", "prompt": "none"}\n')
    (tmp_path / "none.png").write_text("no picture")
    page = Page(page_of(unprompter, source, by=None)[1])
    assert "Failures" in page.text
    assert "expected PNG" in page.text


def test_one_picture(unprompter: Unprompter, tmp_path: Path) -> None:
    page = Page(page_of(unprompter, data(tmp_path, 1))[1])
    assert sum(tag == "img" for tag, _ in page.tags) == 1


def test_too_many_groups_are_counted(unprompter: Unprompter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unprompt.evaluation.page._ROWS", 3)
    report, html = page_of(unprompter, data(tmp_path, 5), by="kind")
    assert "smaller ones" not in html
    report["groups"] = {f"group {n}": report["groups"]["photo"] | {"n": n} for n in range(5)}
    page = Page(html_page(report, Highlights(), source="d", by="kind", command="", date=""))
    assert "and 2 smaller ones" in page.text
    assert "group 4" in page.text
    assert "group 1" not in page.text


def test_the_template_is_whole() -> None:
    template = (Path(__file__).parents[2] / "src/unprompt/evaluation/page.html").read_text()
    assert sorted(set(re.findall(r"\$(\w+)", template))) == ["method", "scores", "sections", "title"]


def test_confidences_are_drawn_where_there_are_any(unprompter: Unprompter, tmp_path: Path) -> None:
    plain = tiny_models.preset(tmp_path / "plain.toml", tiny_models.regressor(tmp_path / "linear.tiny"))
    sure = load(tiny_models.calibrated(plain, tmp_path / "sure.toml", tiny_models.codebook(tmp_path / "book.tiny")))
    source = data(tmp_path, 4)
    report, html = page_of(sure, source)
    page = Page(html)
    assert "Confidence" in page.texts
    assert f"Mean error {report['confidence']['error']:.3f}" in page.text
    assert "(estimated 0.200)" in page.text  # these pictures are noise
    assert 'class="reliability"' in html
    assert "Confidence" not in Page(page_of(unprompter, source)[1]).texts
