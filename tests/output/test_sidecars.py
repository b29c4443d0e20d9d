"""Sidecars beside pictures and under a folder."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from full_disks import largest_file

from unprompt.errors import DataError, PictureError
from unprompt.images.files import LocalFile
from unprompt.images.metadata import beside
from unprompt.images.ref import ImageRef
from unprompt.output.own_texts import OWN_TEXTS
from unprompt.output.sidecar_kinds import SIDECAR_SUFFIXES, Existing, SidecarSuffix
from unprompt.output.sidecar_texts import SIDECAR_LIMIT_BYTES
from unprompt.output.sidecars import Sidecars

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX has these")


def picture(folder: Path, below: str) -> ImageRef:
    return ImageRef(f"{folder}/{below}", LocalFile(f"{folder}/{below}"), below)


def elsewhere(source: str, below: str) -> ImageRef:
    """A picture that is no file of its own."""
    return ImageRef(source, np.zeros((1, 1, 3), np.uint8), below)


ADDRESS = elsewhere("https://example.org/dogs/a.png", "example.org/dogs/a.png")


def listed(folder: Path) -> list[str]:
    """The files that people see."""
    return sorted(name for name in os.listdir(folder) if name != OWN_TEXTS)


def kind_of(sidecars: Sidecars, ref: ImageRef, text: str = "a dog") -> str:
    """How the sidecar is refused; asking and writing say the same."""
    with pytest.raises(PictureError) as asked:
        sidecars.wanted(ref)
    with pytest.raises(PictureError) as written:
        sidecars.write(ref, text)
    assert (asked.value.kind, str(asked.value)) == (written.value.kind, str(written.value))
    return asked.value.kind


def test_beside_the_picture(tmp_path: Path) -> None:
    sidecars = Sidecars()
    for below in ("a.png", "b.tar.gz.JPG", "no-suffix", "猫.png"):
        assert sidecars.wanted(picture(tmp_path, below))
        sidecars.write(picture(tmp_path, below), "a dog")
        assert not sidecars.wanted(picture(tmp_path, below))
    assert listed(tmp_path) == ["a.txt", "b.tar.gz.txt", "no-suffix.txt", "猫.txt"]
    assert {(tmp_path / name).read_bytes() for name in listed(tmp_path)} == {b"a dog"}


@posix
def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    ref = picture(tmp_path, os.fsdecode(b"\xff\n.png"))
    Sidecars().write(ref, "a dog")
    Sidecars(str(tmp_path / "out")).write(ref, "a dog")
    assert Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n.txt")).read_text() == "a dog"
    assert sorted(os.listdir(os.fsencode(tmp_path / "out"))) == [OWN_TEXTS.encode(), b"\xff\n.txt"]


def test_under_a_folder_with_the_tree_kept(tmp_path: Path) -> None:
    sidecars = Sidecars(str(tmp_path / "new" / "out"))
    sidecars.write(picture(tmp_path / "in", "a/b.png"), "a dog")
    sidecars.write(ADDRESS, "a cat")
    assert (tmp_path / "new/out/a/b.txt").read_text() == "a dog"
    assert (tmp_path / "new/out/example.org/dogs/a.txt").read_text() == "a cat"
    assert not (tmp_path / "in").exists()


@pytest.mark.parametrize(
    "below", ["../a.png", "/etc/a.png", "a/../../b.png", "a//b.png", "", ".", "a/..", "..", "a\0.png"]
)
def test_nothing_leaves_the_folder(tmp_path: Path, below: str) -> None:
    assert kind_of(Sidecars(str(tmp_path)), elsewhere("a", below)) == "no-place"
    assert not list(tmp_path.iterdir())


def test_what_is_no_file_has_no_place_beside_it() -> None:
    assert kind_of(Sidecars(), ADDRESS) == "no-place"
    with pytest.raises(PictureError, match="-o DIR"):
        Sidecars().place(ADDRESS)


@pytest.mark.parametrize("name", ["a.txt", "a.TXT"])
def test_no_picture_is_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"a picture")
    for sidecars in (Sidecars(None, "overwrite"), Sidecars(str(tmp_path), "overwrite")):
        assert kind_of(sidecars, picture(tmp_path, name)) == "no-place"
    assert (tmp_path / name).read_bytes() == b"a picture"


@pytest.mark.parametrize(
    ("existing", "before", "after"),
    [
        ("skip", "mine", "mine"),
        ("skip", "", "a dog"),
        ("skip", None, "a dog"),
        ("overwrite", "mine", "a dog"),
        ("overwrite", None, "a dog"),
        ("append", "mine", "mine, a dog"),
        ("append", " mine,\n", "mine, a dog"),
        ("append", "one\ntwo\n", "one\ntwo, a dog"),
        ("append", "\ufeffmine", "mine, a dog"),
        ("append", "a dog, mine", "a dog, mine, a dog"),
        ("append", "mine, a dog\n", "mine, a dog\n"),
        ("append", "hot, not a dog", "hot, not a dog, a dog"),
        ("append", "a dog", "a dog"),
        ("append", "\n", "a dog"),
        ("append", None, "a dog"),
        ("prepend", "mine", "a dog, mine"),
        ("prepend", ", mine", "a dog, mine"),
        ("prepend", "a dog, mine", "a dog, mine"),
        ("prepend", "a dog", "a dog"),
        ("prepend", None, "a dog"),
    ],
)
def test_what_becomes_of_what_is_there(tmp_path: Path, existing: Existing, before: str | None, after: str) -> None:
    ref, path = picture(tmp_path, "a.png"), tmp_path / "a.txt"
    if before is not None:
        path.write_bytes(before.encode())
    assert Sidecars(None, existing).wanted(ref) == (existing != "skip" or not before)
    sidecars = Sidecars(None, existing)
    for _ in range(2):  # the same picture twice, and a run that is repeated
        sidecars.write(ref, "a dog")
        Sidecars(None, existing).write(ref, "a dog")
        assert path.read_bytes() == after.encode()


def test_adding_nothing_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("mine\n")
    Sidecars(None, "append").write(picture(tmp_path, "a.png"), "")
    assert (tmp_path / "a.txt").read_text() == "mine\n"


def test_one_line_of_text_without_its_end(tmp_path: Path) -> None:
    Sidecars().write(picture(tmp_path, "a.png"), " a\r\ndog\x1b[2J \ud800\n")
    assert (tmp_path / "a.txt").read_bytes() == b"a dog [2J ?"


@pytest.mark.parametrize("existing", ["append", "prepend"])
@pytest.mark.parametrize("content", [b"caf\xe9", b"\xff\xfem\0", b"x" * (SIDECAR_LIMIT_BYTES + 1)])
def test_what_cannot_be_read_is_not_added_to(tmp_path: Path, existing: Existing, content: bytes) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(PictureError, match="it is left as it is") as caught:
        Sidecars(None, existing).write(picture(tmp_path, "a.png"), "a dog")
    assert caught.value.kind == "unreadable"
    assert (tmp_path / "a.txt").read_bytes() == content


@pytest.mark.parametrize("existing", ["skip", "overwrite", "append"])
def test_two_pictures_with_one_sidecar(tmp_path: Path, existing: Existing) -> None:
    sidecars = Sidecars(None, existing)
    sidecars.write(picture(tmp_path, "a.png"), "a dog")
    assert kind_of(sidecars, picture(tmp_path, "a.jpg"), "a cat") == "same-sidecar"
    assert (tmp_path / "a.txt").read_text() == "a dog"
    sidecars.wanted(picture(tmp_path / ".", "a.png"))  # the same picture by another name


def test_two_folders_under_one(tmp_path: Path) -> None:
    sidecars = Sidecars(str(tmp_path / "out"))
    assert sidecars.wanted(picture(tmp_path / "one", "a.png"))
    assert kind_of(sidecars, picture(tmp_path / "two", "a.png")) == "same-sidecar"
    assert kind_of(sidecars, elsewhere("two.tar/a.png", "a.png")) == "same-sidecar"


@posix
@pytest.mark.parametrize("existing", ["skip", "overwrite", "append"])
def test_links_pipes_and_folders_are_left_alone(tmp_path: Path, existing: Existing) -> None:
    (tmp_path / "target").write_text("theirs")
    (tmp_path / "link.txt").symlink_to("target")
    (tmp_path / "dangling.txt").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "folder.txt").mkdir()
    for name in ("dangling", "pipe", "folder"):
        assert kind_of(Sidecars(None, existing), picture(tmp_path, f"{name}.png")) == "unwritable"
    if existing == "skip":
        assert not Sidecars().wanted(picture(tmp_path, "link.png"))
    else:
        assert kind_of(Sidecars(None, existing), picture(tmp_path, "link.png")) == "unwritable"
    assert (tmp_path / "target").read_text() == "theirs"
    assert sorted(os.listdir(tmp_path)) == ["dangling.txt", "folder.txt", "link.txt", "pipe.txt", "target"]


def test_one_that_cannot_be_written_stops_no_other(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    sidecars = Sidecars(str(tmp_path))
    with pytest.raises(PictureError) as caught:
        sidecars.write(picture(tmp_path, "file/a.png"), "a dog")
    assert caught.value.kind == "unwritable"
    with pytest.raises(PictureError) as caught:
        sidecars.write(picture(tmp_path, "x" * 300 + ".png"), "a dog")
    assert caught.value.kind == "unwritable"
    sidecars.write(picture(tmp_path, "b.png"), "a dog")


@posix
def test_a_link_inside_the_folder_leads_to_no_sidecar_outside(tmp_path: Path) -> None:
    """DIR itself may be a link, and links inside it may lead to other places in it."""
    (tmp_path / "real" / "inside").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "tree").symlink_to("real")
    (tmp_path / "real" / "away").symlink_to(tmp_path / "outside")
    (tmp_path / "real" / "near").symlink_to("inside")
    sidecars = Sidecars(str(tmp_path / "tree"))
    for below in ("a.png", "near/b.png"):
        assert sidecars.wanted(elsewhere(f"t.tar/{below}", below))
        sidecars.write(elsewhere(f"t.tar/{below}", below), "a dog")
    assert kind_of(sidecars, elsewhere("t.tar/away/c.png", "away/c.png")) == "no-place"
    assert os.listdir(tmp_path / "outside") == []
    assert (tmp_path / "real" / "inside" / "b.txt").read_text() == "a dog"


def test_a_full_disk_stops_all_and_destroys_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("mine")
    with largest_file(10), pytest.raises(DataError, match=r"free some space and run it again$"):
        Sidecars(None, "append").write(picture(tmp_path, "a.png"), "a dog on grass")
    assert (tmp_path / "a.txt").read_text() == "mine"
    assert listed(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(
    ("existing", "before", "after"),
    [
        ("append", "red car", "red car, sks, a cat, by night"),
        ("prepend", "red car", "sks, a cat, by night, red car"),
        ("append", "a cat", "a cat, sks, a cat, by night"),
        ("append", None, "sks, a cat, by night"),
        ("overwrite", "red car", "sks, a cat, by night"),
    ],
)
def test_what_was_added_before_is_replaced(tmp_path: Path, existing: Existing, before: str | None, after: str) -> None:
    ref, path = picture(tmp_path, "a.png"), tmp_path / "a.txt"
    if before is not None:
        path.write_text(before)
    for text in ("a cat by night", "a cat, by night", "sks, a cat, by night", "sks, a cat, by night"):
        Sidecars(None, existing).write(ref, text)
    assert path.read_text() == after


def test_what_was_written_by_default_is_replaced_and_never_what_others_wrote(tmp_path: Path) -> None:
    ref, path = picture(tmp_path, "a.png"), tmp_path / "a.txt"
    Sidecars().write(ref, "a cat")
    Sidecars(None, "append").write(ref, "a black cat")
    assert path.read_text() == "a black cat"
    path.write_text("mine, a black cat, night")  # somebody wrote around it
    Sidecars(None, "append").write(ref, "a cat")
    assert path.read_text() == "mine, night, a cat"
    path.write_text("a cat that was there")
    Sidecars(None, "append").write(ref, "a dog")
    assert path.read_text() == "a cat that was there, a dog"


def test_a_kill_before_the_sidecar_is_written(tmp_path: Path) -> None:
    ref, path = picture(tmp_path, "a.png"), tmp_path / "a.txt"
    path.write_text("mine")
    Sidecars(None, "append").write(ref, "a cat")
    with (tmp_path / OWN_TEXTS).open("ab") as file:
        file.write(b'{"file":"a.txt","text":"5:0000000000000000"}\n{"fi')
    Sidecars(None, "append").write(ref, "a dog")
    assert path.read_text() == "mine, a dog"


@pytest.mark.parametrize("suffix", SIDECAR_SUFFIXES)
@pytest.mark.parametrize("other", SIDECAR_SUFFIXES)
def test_other_kinds_count_as_existing(tmp_path: Path, suffix: SidecarSuffix, other: SidecarSuffix) -> None:
    ref = picture(tmp_path, "a.png")
    there = tmp_path / f"a{other}"
    there.write_text('{"caption": "mine"}' if other == ".json" else "mine")
    before = there.read_text()
    sidecars = Sidecars(suffix=suffix)
    assert not sidecars.wanted(ref)
    sidecars.write(ref, "a dog")
    assert listed(tmp_path) == [f"a{other}"]
    assert dict(sidecars.others) == ({} if suffix == other else {other: 1})
    appending = Sidecars(None, "append", suffix)
    assert appending.wanted(ref)
    appending.write(ref, "a dog", {"prompt": "a dog"})
    if suffix == other:
        assert "mine, a dog" in there.read_text()
        return
    assert there.read_text() == before
    assert dict(appending.others) == {other: 1}
    assert "mine, a dog" in (tmp_path / f"a{suffix}").read_text()


def test_a_json_of_another_program_holds_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"shapes": [], "imagePath": "a.png"}')
    (tmp_path / "a.caption").touch()
    assert Sidecars().wanted(picture(tmp_path, "a.png"))
    assert not Sidecars(suffix=".json").wanted(picture(tmp_path, "a.png"))
    with pytest.raises(PictureError, match=r"a \.json without a caption; it is left as it is"):
        Sidecars(None, "append", ".json").write(picture(tmp_path, "a.png"), "a dog")


def test_what_a_generator_wrote_is_no_sidecar_of_another_kind(tmp_path: Path) -> None:
    infotext = "a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 8x8"
    (tmp_path / "a.txt").write_text(infotext)
    assert not Sidecars().wanted(picture(tmp_path, "a.png"))
    sidecars = Sidecars(None, "append", ".caption")
    sidecars.write(picture(tmp_path, "a.png"), "a dog")
    assert ((tmp_path / "a.caption").read_text(), (tmp_path / "a.txt").read_text()) == ("a dog", infotext)
    assert not sidecars.others


def test_a_json_holds_the_record_and_the_text_as_its_caption(tmp_path: Path) -> None:
    ref, path = picture(tmp_path, "a.png"), tmp_path / "a.json"
    record = {"source": "a.png", "prompt": "a dog", "origin": "prediction", "model": {"preset": "x"}}
    Sidecars(suffix=".json").write(ref, "sks, a dog", record)
    assert json.loads(path.read_text()) == {"caption": "sks, a dog", **record}
    assert beside.read(tmp_path / "a.png") is None  # it is no prompt that a generator wrote
    Sidecars(None, "append", ".json").write(ref, "a cat", {"prompt": "a cat"})
    assert json.loads(path.read_text()) == {"caption": "a cat", "prompt": "a cat"}


def test_the_fields_of_a_json_stay(tmp_path: Path) -> None:
    ref, path = picture(tmp_path, "a.png"), tmp_path / "a.json"
    path.write_text('{"prompt": "mine", "seed": 3}')
    for _ in range(2):
        Sidecars(None, "prepend", ".json").write(ref, "a cat", {"prompt": "a cat"})
        assert json.loads(path.read_text()) == {"prompt": "a cat, mine", "seed": 3}
