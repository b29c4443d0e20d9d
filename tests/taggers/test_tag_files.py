"""Lists of tags as they are published, and broken ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny_taggers

from unprompt.errors import ModelError
from unprompt.taggers.tag_files import read_tags, read_thresholds


def test_the_list_of_wd(tmp_path: Path) -> None:
    tags = read_tags(tiny_taggers.write_wd(tmp_path) / "selected_tags.csv")
    assert tags.names == tuple(name for name, _, _ in tiny_taggers.WD)
    assert tags.categories == ("rating",) * 4 + ("general",) * 10 + ("character",) * 2


def test_the_list_of_pixai_knows_the_series_of_characters(tmp_path: Path) -> None:
    tags = read_tags(tiny_taggers.write_pixai(tmp_path) / "selected_tags.csv")
    assert tags.categories == ("general", "general", "character", "character")
    assert tags.copyrights == {"hu_tao_(genshin_impact)": ("genshin_impact",), "skadi_(arknights)": ("arknights",)}
    assert read_thresholds(tmp_path / "thresholds.csv") == {"general": 0.3, "character": 0.85}


def test_the_list_of_joytag(tmp_path: Path) -> None:
    tags = read_tags(tiny_taggers.write_joytag(tmp_path) / "top_tags.txt")
    assert tags.names == tiny_taggers.JOYTAG
    assert set(tags.categories) == {"general"}


@pytest.mark.parametrize("second", [False, True])
def test_the_lists_of_camie(tmp_path: Path, second: bool) -> None:
    tiny_taggers.write_camie(tmp_path, second=second)
    (path,) = tmp_path.glob("*.json")
    tags = read_tags(path)
    assert tags.names == (
        *("1girl", "hatsune_miku", "vocaloid", "someone", "highres"),
        *("2024", "general", "explicit"),
    )
    assert tags.categories == ("general", "character", "copyright", "artist", "meta", "year", "rating", "rating")


def test_names_that_others_take_for_nothing_are_read(tmp_path: Path) -> None:
    """A reader of tables takes these names for missing numbers, unless it is told."""
    path = tmp_path / "selected_tags.csv"
    path.write_text('tag_id,name,category,count\r\n1,null,0,5\r\n2,nan,4,5\r\n3,"a,""b""",2,5\r\n')
    tags = read_tags(path)
    assert tags.names == ("null", "nan", 'a,"b"')
    assert tags.categories == ("general", "character", "meta")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("tags.csv", "tag_id,title,category\n1,a,0\n", "expected the column name, found"),
        ("tags.csv", "name\na\n", "expected the column category"),
        ("tags.csv", "name,category\na\n", "line 2: expected 2 columns, found fewer"),
        ("tags.csv", "name,category\n", "expected 1 to 1,000,000 tags, found 0"),
        ("tags.csv", "", "expected the column name"),
        ("tags.csv", 'name,category\n"a,0\n', "is no list of tags"),
        ("tags.csv", "name,category\na,0\n ,0\n", "tag 2 has no name"),
        ("tags.csv", "name,category\na\x1b[2J,0\n", "tag 1 has a name that cannot be shown"),
        ("tags.csv", f"name,category\n{'a' * 301},0\n", "tag 1 has a name of more than 300 characters"),
        ("tags.txt", "\n\n", "found 0"),
        ("tags.json", "[]", "expected a table idx_to_tag"),
        ("tags.json", "{}", "expected a table idx_to_tag"),
        (
            "tags.json",
            '{"idx_to_tag": {"1": "a"}, "tag_to_category": {}}',
            "1 tags that are numbered from 0, found None",
        ),
        ("tags.json", '{"idx_to_tag": {"0": 7}, "tag_to_category": {}}', "numbered from 0, found 7 as 0"),
        ("tags.json", "[" * 100_000, "is no list of tags"),
        ("tags.json", "nothing", "is no list of tags"),
    ],
)
def test_a_broken_list_is_an_error_that_says_what_to_do(tmp_path: Path, name: str, content: str, said: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ModelError) as raised:
        read_tags(path)
    assert said in str(raised.value)
    assert str(raised.value).startswith(str(path))
    assert "put the model there again" in str(raised.value)


@pytest.mark.parametrize("cell", ["['genshin_impact']", "7", '{"a": 1}', "[7]", "[" * 5000, '[""]', ""])
def test_a_series_that_cannot_be_read_is_none(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "selected_tags.csv"
    escaped = cell.replace('"', '""')
    path.write_text(f'name,category,ips\nsomeone,4,"{escaped}"\n')
    assert read_tags(path).copyrights == {}


def test_what_is_no_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "tags.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ModelError, match="cannot read"):
        read_tags(tmp_path / "tags.txt")
    with pytest.raises(ModelError, match="cannot read"):
        read_tags(tmp_path / "missing.csv")


@pytest.mark.parametrize("number", ["2", "-0.1", "nan", "much"])
def test_thresholds_are_probabilities(tmp_path: Path, number: str) -> None:
    (tmp_path / "thresholds.csv").write_text(f"category,name,threshold\n0,general,{number}\n")
    with pytest.raises(ModelError, match="thresholds"):
        read_thresholds(tmp_path / "thresholds.csv")


def test_categories_of_a_json_that_are_unknown_are_meta(tmp_path: Path) -> None:
    table = {"idx_to_tag": {"0": "a"}, "tag_to_category": {"a": ["odd"]}}
    (tmp_path / "tags.json").write_text(json.dumps(table))
    assert read_tags(tmp_path / "tags.json").categories == ("meta",)
