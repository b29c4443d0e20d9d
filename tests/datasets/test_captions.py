"""Folders of pictures with texts beside them, as trainers keep them, and what is said where the texts are elsewhere."""

import json
from pathlib import Path

import pytest
from dataset_layouts import picture

from unprompt.datasets.pairs import Fault, Pair, checked_pairs, read_pairs
from unprompt.errors import DataError

PNG = picture(1)
INFOTEXT = "a fuzzy bunny\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 8x8\n"


def write(folder: Path, **files: str | bytes) -> Path:
    """Files by their paths, with "/" for "__" and "." for the last "_"."""
    for name, content in files.items():
        stem, _, suffix = name.replace("__", "/").rpartition("_")
        path = folder / f"{stem}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def pairs_of(folder: Path, root: Path | None = None) -> list[Pair]:
    found = list(read_pairs(folder, root))
    assert all(isinstance(item, Pair) for item in found), found
    return [item for item in found if isinstance(item, Pair)]


def test_texts_beside_pictures(tmp_path: Path) -> None:
    write(
        tmp_path,
        a_png=PNG,
        a_txt="a cat\n",
        deep__b_jpg=PNG,
        deep__b_caption="a dog",
        c_webp=PNG,
        c_txt="",
        c_caption="c",
    )
    found = pairs_of(tmp_path)
    assert [(pair.name, pair.prompt, dict(pair.fields)) for pair in found] == [
        ("a.png", "a cat", {}),
        ("c.webp", "c", {}),
        ("deep/b.jpg", "a dog", {}),
    ]
    assert found[0].picture.read() == PNG


def test_the_text_comes_before_the_caption_and_both_before_the_json(tmp_path: Path) -> None:
    write(tmp_path, a_png=PNG, a_txt="of txt", a_caption="of caption", a_json='{"caption": "of json"}')
    write(
        tmp_path, b_png=PNG, b_txt="\n", b_json='{"prompt": "of json", "seed": 3}', c_png=PNG, c_json='{"caption": "c"}'
    )
    found = pairs_of(tmp_path)
    assert [(pair.prompt, dict(pair.fields)) for pair in found] == [
        ("of txt", {}),
        ("of json", {"seed": 3}),
        ("c", {}),
    ]


def test_kohyas_folders(tmp_path: Path) -> None:
    folder = tmp_path / "train"
    for name in ("10_sks dog", "5_cat_big", "plain"):
        (folder / name).mkdir(parents=True)
        (folder / name / "0.png").write_bytes(PNG)
        (folder / name / "0.txt").write_text(f"{name}, sitting")
    found = {pair.name: dict(pair.fields) for pair in pairs_of(folder)}
    assert found == {
        "5_cat_big/0.png": {"num_repeats": 5, "class_tokens": "cat_big"},
        "10_sks dog/0.png": {"num_repeats": 10, "class_tokens": "sks dog"},
        "plain/0.png": {},
    }
    assert [dict(pair.fields) for pair in pairs_of(folder / "5_cat_big")] == [found["5_cat_big/0.png"]]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_first_line_is_the_prompt_and_all_are_captions(tmp_path: Path, end: str) -> None:
    lines = end.join(["", " a cat ", "", "a cat in a hat", ""])
    (pair,) = pairs_of(write(tmp_path, a_png=PNG, a_txt="\ufeff" + lines))
    assert (pair.prompt, dict(pair.fields)) == ("a cat", {"captions": ["a cat", "a cat in a hat"]})


def test_an_infotext_counts_by_its_prompt(tmp_path: Path) -> None:
    (pair,) = pairs_of(write(tmp_path, a_png=PNG, a_txt=INFOTEXT))
    assert (pair.prompt, dict(pair.fields)) == ("a fuzzy bunny", {})


@pytest.mark.parametrize(
    ("files", "kind", "said"),
    [
        ({}, "missing-text", "write x.txt or x.caption, or move it away"),
        ({"x_txt": " \n", "x_caption": ""}, "empty-prompt", "found none; write it"),
        ({"x_json": '{"shapes": []}'}, "empty-prompt", "found none"),
        ({"x_txt": b"caf\xe9"}, "broken-record", "save the file as UTF-8"),
        ({"x_txt": "a" * (2 << 20)}, "broken-record", "at most 1,048,576 bytes"),
        ({"x_json": '{"caption": 3, "x": [' + "[" * 500}, "empty-prompt", "found none"),
        ({"x_json": '{"caption": 3}'}, "broken-record", "expected 'caption' to be a text, found 3"),
    ],
)
def test_a_broken_text_is_one_fault(tmp_path: Path, files: dict[str, str | bytes], kind: str, said: str) -> None:
    write(tmp_path, a_png=PNG, a_txt="a", x_png=PNG, z_png=PNG, z_txt="z", **files)
    first, fault, last = read_pairs(tmp_path)
    assert isinstance(first, Pair)
    assert isinstance(last, Pair)
    assert isinstance(fault, Fault)
    assert fault.kind == kind
    assert said in fault.message
    assert fault.where.startswith(f"{tmp_path}/x")
    assert dict(checked_pairs(tmp_path, skip_bad=True)[1]) == {kind: 1}


def test_texts_apart_from_their_pictures(tmp_path: Path) -> None:
    write(tmp_path, images__deep__a_png=PNG, images__b_png=PNG, labels__deep__a_txt="a", labels__b_caption="b")
    found = pairs_of(tmp_path / "labels", tmp_path / "images")
    assert [(pair.name, pair.prompt) for pair in found] == [("b.png", "b"), ("deep/a.png", "a")]
    assert found[0].picture.read() == PNG


@pytest.mark.parametrize(
    ("source", "root", "said"),
    [
        (
            ".",
            None,
            r"pictures in \S+/images and their texts in \S+/labels; name the folder of the texts, and .*--root",
        ),
        (
            "images",
            None,
            r"pictures without texts in the folder \S+/images, and texts in \S+/labels; .*--root \S+/images",
        ),
        ("labels", None, r"texts without pictures in the folder \S+/labels; .*: --root \S+/images"),
        ("labels/deep", None, r"texts without pictures .*: --root FOLDER"),
        ("bare", None, r"pictures without texts in the folder \S+/bare; write \S+/bare/c.txt"),
        ("listed", None, r"found neither in the folder \S+/listed; name the list: \S+/listed/llava.json"),
        ("empty", None, r"found none of these in the folder \S+/empty; name the file itself"),
        ("labels", "none", r"expected a folder of pictures for --root, found none"),
        ("labels", "bare", r"pictures without texts"),
    ],
)
def test_where_the_texts_are(tmp_path: Path, source: str, root: str | None, said: str) -> None:
    write(tmp_path, images__deep__a_png=PNG, labels__deep__a_txt="a", bare__c_png=PNG, empty__readme_md="")
    write(tmp_path, listed__llava_json="[]", listed__images__c_png=PNG)
    with pytest.raises(DataError, match=said):
        next(iter(read_pairs(tmp_path / source, root and tmp_path / root)))


def test_a_list_of_the_folder_comes_first(tmp_path: Path) -> None:
    write(tmp_path, a_png=PNG, a_txt="of txt", metadata_jsonl=json.dumps({"file_name": "a.png", "text": "of the list"}))
    assert [pair.prompt for pair in pairs_of(tmp_path)] == ["of the list"]


@pytest.mark.parametrize("source", ["one.tar", "hub:a/b"])
def test_a_root_is_for_lists(tmp_path: Path, source: str) -> None:
    (tmp_path / "one.tar").touch()
    with pytest.raises(DataError, match="omit --root"):
        next(iter(read_pairs(source if ":" in source else tmp_path / source, tmp_path)))
