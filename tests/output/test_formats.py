"""Formats: whole JSON and tables, flushed as they come, to streams and files; and those of other packages."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from foreign_packages import install
from full_disks import largest_file

from unprompt.errors import DataError, OutputBusyError, PluginError, UnknownNameError
from unprompt.output import formats
from unprompt.output.formats import GROUP, Stream, Writer, WriterOptions, find_format, format_of, open_writer
from unprompt.output.jsonl import to_json
from unprompt.plugins import find_plugins

RECORDS: list[dict[str, Any]] = [{"source": "a.png", "n": 1}, {"source": "b.png", "error": {}}]


class Watched(io.StringIO):
    """Remembers what stood there at each flush."""

    def __init__(self) -> None:
        super().__init__()
        self.flushed: list[str] = []

    def flush(self) -> None:
        self.flushed.append(self.getvalue())


def line(record: dict[str, Any]) -> str | None:
    return None if "error" in record else record["source"]


def opened_to(stream: Stream, format: str, **columns: bool) -> Writer:
    open_stream = find_format(format).stream
    assert open_stream is not None
    return open_stream(stream, WriterOptions(line, **columns))


def written(format: str, records: list[dict[str, Any]], **columns: bool) -> str:
    stream = io.StringIO()
    opened = opened_to(stream, format, **columns)
    for record in records:
        opened.write(record)
    opened.close()
    return stream.getvalue()


def test_jsonl_is_a_record_a_line() -> None:
    assert [json.loads(row) for row in written("jsonl", RECORDS).splitlines()] == RECORDS
    assert written("jsonl", []) == ""


@pytest.mark.parametrize("records", [[], RECORDS[:1], RECORDS])
def test_json_is_one_array(records: list[dict[str, Any]]) -> None:
    assert json.loads(written("json", records)) == records


def test_text_is_what_the_record_says() -> None:
    assert written("text", RECORDS) == "a.png\n"


@pytest.mark.parametrize("format", ["text", "json", "jsonl", "csv"])
def test_each_record_is_flushed(format: Any) -> None:
    stream = Watched()
    opened = opened_to(stream, format)
    opened.write({"source": "a.png", "prompt": ""})
    assert "a.png" in stream.flushed[-1]


def test_json_shows_scripts_and_hides_what_a_terminal_obeys() -> None:
    hostile = {"prompt": "猫 é \x1b \x7f \x9b \u202e \ud800 \u2028 😀"}
    text = to_json(hostile)
    assert "猫 é" in text
    assert "😀" in text
    assert all(character.isprintable() for character in text)
    assert json.loads(text) == hostile


def test_no_number_that_json_lacks() -> None:
    with pytest.raises(ValueError, match="JSON"):
        to_json({"similarity": float("nan")})


ANSWER: dict[str, Any] = {
    "source": "a.png",
    "prompt": 'a "cat", by night',
    "origin": "metadata",
    "confidence": {"estimate": 0.52, "low": 0.35, "high": 0.66},
    "concepts": [{"name": "castle", "probability": 0.834}, {"name": "oil painting", "probability": 0.41}],
    "self_similarity": 0.123457,
    "similarity": 0.123457,
    "candidates": [],
    "votes": [],
    "tool": "AUTOMATIC1111",
    "certainty": "written",
    "negative_prompt": "dog",
    "settings": {"Seed": 1, "Größe": "1x1"},
    "model": {},
}
FAILED = {"source": "b\udcff.png", "error": {"kind": "truncated", "message": "it ends early"}}
COLUMNS = (
    "source,prompt,origin,confidence,confidence_low,confidence_high,concepts,tool,certainty,negative_prompt,settings,"
    "resources,note,missing,error_kind,error_message"
)


def table(records: list[dict[str, Any]], **columns: bool) -> str:
    return written("csv", records, **columns)


def test_csv() -> None:
    text = table([ANSWER, FAILED])
    assert text.splitlines() == [
        COLUMNS,
        'a.png,"a ""cat"", by night",metadata,0.52,0.35,0.66,castle 0.83; oil painting 0.41,'
        "AUTOMATIC1111,written,dog,"
        '"{""Seed"": 1, ""Größe"": ""1x1""}",,,,,',
        "b\\udcff.png,,,,,,,,,,,,,,truncated,it ends early",
    ]
    assert "\r" not in text
    first, second = csv.DictReader(io.StringIO(text))
    assert first["prompt"] == ANSWER["prompt"]
    assert json.loads(first["settings"]) == ANSWER["settings"]
    assert (second["prompt"], second["confidence"]) == ("", "")


def test_a_row_says_who_did_not_vote_and_why() -> None:
    missing = {"captioner": "ofa-tiny is not here: expected vocab.json", "bank": "no \x1b"}
    text = table([ANSWER | {"model": {"preset": "own", "missing": missing}}, ANSWER, FAILED])
    first, *others = csv.DictReader(io.StringIO(text))
    assert json.loads(first["missing"]) == missing
    assert [row["missing"] for row in others] == ["", ""]


def test_a_table_of_nothing_has_its_head() -> None:
    assert table([]) == COLUMNS + "\n"


def test_columns_that_are_asked_for() -> None:
    (row,) = csv.DictReader(
        io.StringIO(table([ANSWER | {"text": "t", "embedding": [0.5, 1]}], text=True, embedding=True))
    )
    assert list(row)[:3] == ["source", "prompt", "text"]
    assert row["text"] == "t"
    assert json.loads(row["embedding"]) == [0.5, 1]


def test_csv_keeps_line_ends_and_formulas_and_escapes_what_breaks_files() -> None:
    prompt = "=1+1\r\nline\ttab\rreturn \0 \x1b[2J \x9b \ud800 猫 👨‍👩‍👧"
    text = table([ANSWER | {"prompt": prompt, "settings": {"a": "\x1b\x9b\ud800\n"}}])
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert row["prompt"] == "=1+1\nline\ttab\\u000dreturn \\u0000 \\u001b[2J \\u009b \\ud800 猫 👨‍👩‍👧"
    assert json.loads(row["settings"]) == {"a": "\x1b\x9b\ud800\n"}
    text.encode()


def test_csv_for_spreadsheets_has_a_mark_and_no_formulas() -> None:
    formulas = ["=1+1", "+1", "-1 dog", "@SUM(A1)", "\t=1", "＝1", "\r\n=1"]
    texts = [*formulas, "a = b", "'quoted", "猫"]
    text = table([ANSWER | {"prompt": prompt, "negative_prompt": prompt} for prompt in texts], excel=True)
    assert text.startswith("\ufeffsource,prompt,")
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    assert all(
        row["prompt"].startswith("'") and row["negative_prompt"].startswith("'") for row in rows[: len(formulas)]
    )
    assert [row["prompt"][1:] for row in rows[:4]] == formulas[:4]
    assert [row["prompt"] for row in rows[len(formulas) :]] == ["a = b", "'quoted", "猫"]
    with pytest.raises(DataError, match="--excel is for csv"), open_writer("json", None, line, excel=True):
        pass


@pytest.mark.parametrize(
    ("name", "way"), [("a.xlsx", "write .csv with --excel"), ("a.jsnl", "rename it"), ("a.jsonl.gz", "say --format")]
)
def test_an_unknown_ending_names_those_that_are_known(name: str, way: str) -> None:
    with pytest.raises(DataError, match=r"\.txt, \.json, \.jsonl, \.csv, \.parquet, \.html") as raised:
        format_of(None, name)
    assert way in str(raised.value)
    assert format_of("csv", name) == "csv"


def test_a_table_holds_answers_alone() -> None:
    with pytest.raises(DataError, match="use --format text, json or jsonl"):
        table([{"source": "a.png", "scores": []}])


def test_a_row_of_metadata() -> None:
    (row,) = csv.DictReader(io.StringIO(table([{"source": "a.png", "tool": None, "prompt": None}])))
    assert set(row.values()) == {"a.png", ""}


def test_parquet_is_no_stream() -> None:
    with pytest.raises(DataError, match="-o FILE"), open_writer("parquet", None, line):
        pass


def written_to(path: Path, format: Any, records: Iterable[dict[str, Any]], *, resume: bool = False) -> str:
    with open_writer(format, str(path), line, resume=resume) as opened:
        for record in records:
            opened.write(record)
    return path.read_text(encoding="utf-8")


FORMATS = pytest.mark.parametrize("format", ["text", "json", "jsonl", "csv"])
ANSWERS = [ANSWER | {"source": f"{number}.png"} for number in range(5)]


@FORMATS
def test_a_resumed_file_is_the_unbroken_one(tmp_path: Path, format: Any) -> None:
    whole = written_to(tmp_path / "whole", format, [*ANSWERS, FAILED])
    for size in range(0, len(whole.encode()) + 1, 7):
        (tmp_path / "torn").write_bytes(whole.encode()[:size])
        assert written_to(tmp_path / "torn", format, [*ANSWERS, FAILED], resume=True) == whole
    assert written_to(tmp_path / "whole", format, ANSWERS[:2], resume=True) == written_to(
        tmp_path / "short", format, ANSWERS[:2]
    )


@FORMATS
def test_an_interrupted_run_keeps_what_it_wrote_and_what_it_has_not_reached(tmp_path: Path, format: Any) -> None:
    path = tmp_path / "answers"
    two = written_to(tmp_path / "two", format, ANSWERS[:2])

    def interrupted(*, resume: bool) -> str:
        def records() -> Iterator[dict[str, Any]]:
            yield from ANSWERS[:2]
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            written_to(path, format, records(), resume=resume)
        return path.read_text(encoding="utf-8")

    assert interrupted(resume=False) == two
    whole = written_to(path, format, ANSWERS)
    assert interrupted(resume=True) == whole
    assert interrupted(resume=False) == two


def test_one_file_has_one_writer(tmp_path: Path) -> None:
    path = str(tmp_path / "a.jsonl")
    with open_writer("jsonl", path, line), pytest.raises(OutputBusyError), open_writer("csv", path, line):
        pass


def test_a_file_ends_where_it_could_not_be_written(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with largest_file(1000), pytest.raises(DataError, match="free some space and run it again"):
        written_to(path, "json", [ANSWER] * 20)
    assert path.stat().st_size == 1000
    assert json.loads(written_to(path, "json", [ANSWER] * 20, resume=True)) == [ANSWER] * 20


def test_standard_output_is_flushed_and_stays_open() -> None:
    code = (
        "import sys; from unprompt.output.formats import open_writer\n"
        "for format in ('jsonl', 'csv', 'json', 'text'):\n"
        "    with open_writer(format, None, lambda record: record['prompt']) as opened:\n"
        "        opened.write({'source': 'a', 'prompt': 'p'})\n"
        "    print('---')"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    jsonl, table, array, text, _ = run.stdout.split("---\n")
    assert json.loads(jsonl) == json.loads(array)[0] == {"source": "a", "prompt": "p"}
    assert table == f"{COLUMNS}\na,p,,,,,,,,,,,,,,\n"
    assert text == "p\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that packages can be installed into."""
    folder = tmp_path / "site"
    monkeypatch.syspath_prepend(str(folder))
    find_plugins.cache_clear()
    yield folder
    find_plugins.cache_clear()


WRITERS = """
from pathlib import Path
from unprompt.output.formats import Format

class Sources:
    def __init__(self, stream, options):
        self.stream, self.options = stream, options

    def write(self, record):
        self.stream.write(f"{record['source']} {self.options.text} {self.options.line(record)}\\n")
        self.stream.flush()

    def close(self):
        self.stream.write("end\\n")
        self.stream.flush()

class Count:
    def __init__(self, path, options):
        self.path, self.count = Path(path), 0

    def write(self, record):
        self.count += 1

    def close(self):
        self.path.write_text(str(self.count))

class Kept(Count):
    def break_off(self):
        self.path.write_text("broken off")

STREAM, FILE, KEPT = Format(stream=Sources), Format(file=Count), Format(file=Kept, resumes=True)
"""


def test_a_format_of_another_package_writes_to_streams_and_files(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(site, "foreign-formats", {"foreign_streams.py": WRITERS}, {GROUP: {"src": "foreign_streams:STREAM"}})
    with open_writer("src", None, line, text=True) as opened:
        opened.write(RECORDS[0])
    assert capsys.readouterr().out == "a.png True a.png\nend\n"
    assert find_format("src").can_resume
    path = tmp_path / "answers.src"
    whole = written_to(path, "src", RECORDS)
    assert whole == "a.png False a.png\nb.png False None\nend\n"
    path.write_text(whole[:20])
    assert written_to(path, "src", RECORDS, resume=True) == whole


def test_a_format_of_another_package_writes_a_file_of_its_own(site: Path, tmp_path: Path) -> None:
    names = {"count": "foreign_files:FILE", "kept": "foreign_files:KEPT"}
    install(site, "foreign-formats", {"foreign_files.py": WRITERS}, {GROUP: names})
    assert (find_format("count").can_resume, find_format("kept").can_resume) == (False, True)
    path = tmp_path / "answers"
    assert written_to(path, "count", RECORDS) == "2"

    def interrupted() -> Iterator[dict[str, Any]]:
        yield RECORDS[0]
        raise KeyboardInterrupt

    for name, resume, found in [("count", False, "1"), ("count", True, "1"), ("kept", True, "broken off")]:
        with pytest.raises(KeyboardInterrupt):
            written_to(path, name, interrupted(), resume=resume)
        assert path.read_text() == found
    with (
        pytest.raises(DataError, match=r"expected a file for count, found a stream; name one: -o FILE\.count"),
        open_writer("count", None, line),
    ):
        pass
    with pytest.raises(DataError, match=r"cannot write .*/nowhere/a: No such file or directory; expected an existing"):
        written_to(tmp_path / "nowhere" / "a", "count", [])


def test_a_format_is_known_by_its_ending(site: Path) -> None:
    names = dict.fromkeys(("md", "csv", "txt"), "foreign_endings:FORMAT")
    install(site, "foreign-formats", {}, {GROUP: names})
    endings = {"a.jsonl": "jsonl", "A.CSV": "csv", "a.MD": "md", "a.txt": "text", "a": "text"}
    assert {path: format_of(None, path) for path in endings} == endings
    assert format_of("json", "a.md") == "json"
    assert format_of(None, None) == "text"


def test_nobody_waits_for_other_packages_who_names_a_format_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    def looked_up(group: str) -> None:
        raise AssertionError

    monkeypatch.setattr(formats, "find_plugins", looked_up)
    for name in formats.FORMATS:
        assert find_format(format_of(None, f"a.{name}")).can_resume
    assert [format_of(None, path) for path in ("a.txt", "answers", None)] == ["text"] * 3


def test_a_format_that_nobody_has(site: Path) -> None:
    install(site, "foreign-formats", {}, {GROUP: {"markdown": "foreign_formats:FORMAT"}})
    for name, meant in (("jsn", "json"), ("markdwn", "markdown")):
        with pytest.raises(UnknownNameError, match=f"unknown format '{name}'; did you mean '{meant}'"):
            find_format(name)


BROKEN = """
from unprompt.output.formats import Format

class Writer:
    def __init__(self, target, options):
        self.fail("open")

    def write(self, record):
        self.fail("write")

    def close(self):
        self.fail("close")

    def fail(self, when):
        if when == "{when}":
            raise KeyError(when)
"""


@pytest.mark.parametrize("kind", ["stream", "file"])
@pytest.mark.parametrize("when", ["open", "write", "close"])
def test_a_fault_of_another_package_names_it(site: Path, tmp_path: Path, kind: str, when: str) -> None:
    module = f"foreign_{kind}_{when}"
    code = BROKEN.replace("{when}", when) + f"FORMAT = Format({kind}=Writer)\n"
    install(site, "foreign-formats", {f"{module}.py": code}, {GROUP: {"bad": f"{module}:FORMAT"}}, "2.1")
    with pytest.raises(PluginError) as caught:
        written_to(tmp_path / "a.bad", "bad", RECORDS)
    assert str(caught.value) == (
        f"expected {module}:FORMAT of the package foreign-formats 2.1 to work as unprompt.outputs 'bad', "
        f"found KeyError: '{when}'; update the package or uninstall it"
    )


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("FORMAT = 1", "TypeError: it is a int, not a Format"),
        ("from unprompt.output.formats import Format; FORMAT = Format()", "TypeError: expected either `stream` or"),
        ("import a_module_that_nobody_has", "ModuleNotFoundError: No module named 'a_module_that_nobody_has'"),
    ],
)
def test_what_is_no_format_names_its_package(site: Path, code: str, found: str) -> None:
    module = f"foreign_{abs(hash(code))}"
    install(site, "foreign-formats", {f"{module}.py": code}, {GROUP: {"bad": f"{module}:FORMAT"}})
    with pytest.raises(PluginError, match=f"of the package foreign-formats 1.0 to work as .*, found {found}"):
        find_format("bad")
