"""What is left of a data set can be read as one, and takes the place of nothing by half."""

import os
from pathlib import Path

import pytest
from dataset_layouts import records, write_jsonl, write_parquet, write_pictures, write_tar

from unprompt.datasets.outputs import OutputPlace
from unprompt.datasets.pairs import Pair, read_pairs
from unprompt.datasets.prompts import PromptSource
from unprompt.errors import DataError


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    rows = records(4)
    write_pictures(tmp_path / "set" / "pictures", rows)
    return write_jsonl(tmp_path / "set" / "pictures" / "all.jsonl", rows)


def copied(source: str, output: Path, **fields: object) -> list[Pair]:
    """Every second record of a source, written and read again."""
    prompts = PromptSource(source)
    place = OutputPlace(str(output), prompts)
    with place.open() as opened:
        for number, entry in enumerate(prompts.entries()):
            place.check(entry)
            if number % 2:
                opened.write(entry, f"new {entry.prompt}", **fields)
    return [item for item in read_pairs(output) if isinstance(item, Pair)]


@pytest.mark.parametrize("where", ["pictures/half.jsonl", "half.jsonl", "../half.jsonl"])
def test_records_name_the_pictures_from_where_they_lie(dataset: Path, where: str) -> None:
    pairs = copied(str(dataset), dataset.parent.parent / where, group=7)
    assert [(pair.prompt, pair.fields) for pair in pairs] == [
        (f"new picture, {number}", {"seed": number, "group": 7}) for number in (1, 3)
    ]
    assert [pair.picture.read() for pair in pairs] == [(dataset.parent / f"00{n}.png").read_bytes() for n in (1, 3)]


def test_records_cannot_lead_out_of_their_folder(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(DataError, match="may not lead out of it"):
        copied(str(dataset), tmp_path / "elsewhere" / "half.jsonl")
    assert os.listdir(tmp_path / "elsewhere") == []


@pytest.mark.parametrize("layout", ["jsonl", "tar", "parquet"])
def test_a_tar_holds_pictures_from_anywhere(dataset: Path, tmp_path: Path, layout: str) -> None:
    source = dataset
    if layout == "tar":
        source = write_tar(tmp_path / "all.tar", records(4))
    elif layout == "parquet":
        pytest.importorskip("pyarrow")
        source = write_parquet(tmp_path / "all.parquet", records(4))
    pairs = copied(str(source), tmp_path / "half.tar", group=7)
    assert [pair.prompt for pair in pairs] == ["new picture, 1", "new picture, 3"]
    assert [(pair.fields["seed"], pair.fields["group"]) for pair in pairs] == [(1, 7), (3, 7)]
    assert [pair.picture.read() for pair in pairs] == [records(4)[number]["picture"] for number in (1, 3)]


def test_pictures_in_an_archive_have_no_names_for_records(tmp_path: Path) -> None:
    source = write_tar(tmp_path / "all.tar", records(2))
    with pytest.raises(DataError, match=r"write -o FILE\.tar"):
        copied(str(source), tmp_path / "half.jsonl")


def test_numbers_that_json_has_none_for(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    rows = [{**row, "score": [float("nan"), 1.5], "loss": float("inf")} for row in records(2)]
    (pair,) = copied(str(write_parquet(tmp_path / "all.parquet", rows)), tmp_path / "half.tar")
    assert (pair.fields["score"], pair.fields["loss"]) == ([None, 1.5], None)


def test_prompts_alone(dataset: Path, tmp_path: Path) -> None:
    prompts = PromptSource(str(dataset))
    with OutputPlace(str(tmp_path / "out.txt"), prompts).open() as output:
        for entry in prompts.entries():
            output.write(entry, f"two\nlines, {entry.prompt}")
    assert (tmp_path / "out.txt").read_text().splitlines()[3] == "two lines, picture, 3"


@pytest.mark.parametrize(
    ("source", "output", "message"),
    [
        ("set/pictures/all.jsonl", "set/pictures/all.jsonl", "which is read"),
        ("set/pictures/all.jsonl", "set/link.jsonl", "which is read"),
        ("set", "set/metadata.jsonl", "which is read"),
        ("set", "set/pictures/metadata.jsonl", "which is read"),
        ("set", "set/pictures/deep.tar", "which is read"),
        ("set/pictures/*.jsonl", "set/pictures/new.jsonl", "which is read"),
        ("set/**/*.tar", "set/pictures/new.tar", "which is read"),
        ("set/pictures/all.jsonl", "out.csv", "to end in .jsonl or .tar or .txt"),
        ("prompts.txt", "out.jsonl", "to end in .txt"),
        ("prompts.csv", "out.tar", "to end in .jsonl or .csv or .txt, .*; prompts alone have no pictures"),
        ("prompts.jsonl", "out.csv", "to end in .jsonl or .txt"),
        ("captioned", "captioned/a.txt", "which is read"),
        ("prompts.txt", "none/out.txt", "make it first"),
        ("prompts.txt", "folder.txt", "a plain file"),
    ],
)
def test_places_that_do_not_fit(dataset: Path, tmp_path: Path, source: str, output: str, message: str) -> None:
    (tmp_path / "prompts.txt").write_text("a cat\n")
    (tmp_path / "prompts.csv").write_text("prompt\na cat\n")
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "a cat"}\n')
    (tmp_path / "captioned").mkdir()
    (tmp_path / "captioned" / "a.png").touch()
    (tmp_path / "folder.txt").mkdir()
    (tmp_path / "set" / "link.jsonl").symlink_to(dataset)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=message):
        OutputPlace(str(tmp_path / output), PromptSource(str(tmp_path / source)))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("suffix", ["jsonl", "tar", "txt"])
def test_an_error_leaves_what_was_there(dataset: Path, suffix: str) -> None:
    path = dataset.parent / f"half.{suffix}"
    path.write_text("what was there")
    prompts = PromptSource(str(dataset))
    entry = next(prompts.entries())

    def broken_off() -> None:
        with OutputPlace(str(path), prompts).open() as output:
            output.write(entry, "a cat")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken_off()
    assert path.read_text() == "what was there"
    assert [name for name in os.listdir(dataset.parent) if name.endswith(".part")] == []


@pytest.mark.parametrize("content", [None, b"no picture"])
def test_a_picture_that_cannot_be_read_is_no_part_of_a_tar(
    dataset: Path, tmp_path: Path, content: bytes | None
) -> None:
    if content is None:
        (dataset.parent / "001.png").unlink()
    else:
        (dataset.parent / "001.png").write_bytes(content)
    with pytest.raises(DataError, match=r"001\.png: expected .*; --skip-bad leaves it out"):
        copied(str(dataset), tmp_path / "half.tar")
    assert not (tmp_path / "half.tar").exists()

    prompts = PromptSource(str(dataset), skip_bad=True)
    with OutputPlace(str(tmp_path / "all.tar"), prompts).open() as output:
        for entry in prompts.entries():
            output.write(entry, entry.prompt)
    assert prompts.faults == {"missing-file" if content is None else "broken-picture": 1}
    assert [pair.prompt for pair in read_pairs(tmp_path / "all.tar") if isinstance(pair, Pair)] == [
        f"picture, {number}" for number in (0, 2, 3)
    ]


def test_missing_pictures_show_before_the_work(dataset: Path, tmp_path: Path) -> None:
    (dataset.parent / "001.png").unlink()
    prompts = PromptSource(str(dataset))
    _there, missing = list(prompts.entries())[:2]
    with pytest.raises(DataError, match="found no file"):
        OutputPlace(str(tmp_path / "all.tar"), prompts).check(missing)


@pytest.mark.parametrize(
    ("output", "content"),
    [
        ("out.csv", 'id,group,prompt\n1,7,"a cat, new"\n2,7,"a dog, new"\n'),
        ("out.jsonl", '{"prompt":"a cat, new","id":"1","group":7}\n{"prompt":"a dog, new","id":"2","group":7}\n'),
        ("out.txt", "a cat, new\na dog, new\n"),
    ],
)
def test_a_table_of_prompts_alone(tmp_path: Path, output: str, content: str) -> None:
    (tmp_path / "prompts.csv").write_text("id,prompt\n1,a cat\n2,a dog\n")
    prompts = PromptSource(str(tmp_path / "prompts.csv"))
    place = OutputPlace(str(tmp_path / output), prompts)
    with place.open() as file:
        for entry in prompts.entries():
            place.check(entry)
            file.write(entry, f"{entry.prompt}, new", group=7)
    assert (tmp_path / output).read_text().replace('": ', '":').replace(', "', ',"') == content
    assert [entry.prompt for entry in PromptSource(str(tmp_path / output)).entries()] == ["a cat, new", "a dog, new"]
