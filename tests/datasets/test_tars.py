"""WebDataset's tars from strangers."""

import os
from pathlib import Path

import pytest
from dataset_layouts import picture, records, write_members, write_tar

from unprompt.datasets import tars
from unprompt.datasets.pairs import Fault, Pair, checked_pairs, read_pairs
from unprompt.errors import DataError, PictureError
from unprompt.images.archives import TEXT_LIMIT

PNG = picture(1)


def read(path: Path, *files: tuple[str, bytes]) -> list[Pair | Fault]:
    return list(read_pairs(write_members(path, files)))


@pytest.fixture(params=["0.tar", "0.tar.gz"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / request.param


def test_samples_are_files_of_one_name(path: Path) -> None:
    pairs = read(
        path,
        ("a/0.json", b'{"prompt": "of json", "seed": 1}'),
        ("a/0.PNG", PNG),
        ("a/0.txt", "\ufeffof txt\n".encode()),
        ("a/0.mask.png", PNG),
        ("a/0.cls", b"1"),
        ("b/0.png", PNG),
        ("b/0.json", b'{"caption": "of caption"}'),
    )
    assert [(pair.name, pair.prompt, dict(pair.fields)) for pair in pairs if isinstance(pair, Pair)] == [
        (f"{path.name}/a/0.PNG", "of txt", {"seed": 1}),
        (f"{path.name}/b/0.png", "of caption", {}),
    ]


@pytest.mark.parametrize(
    ("files", "kind", "said"),
    [
        ([("1.png", PNG)], "wrong-columns", "expected a prompt in 1.txt or 1.json beside the picture"),
        ([("1.txt", b"a")], "missing-file", "expected one picture such as 1.jpg beside its text, found 0"),
        ([("1.png", PNG), ("1.jpg", PNG), ("1.txt", b"a")], "wrong-columns", "expected one picture .* found 2"),
        ([("1.png", PNG), ("1.txt", b"a"), ("1.txt", b"b")], "duplicate-name", "found 1.png, 1.txt, 1.txt"),
        ([("1.png", PNG), ("1.json", b"[]")], "broken-record", "1.json: expected a JSON object"),
        ([("1.png", PNG), ("1.json", b'{"a":' * 9999)], "broken-record", "1.json: expected a JSON object"),
        ([("1.png", PNG), ("1.json", b'{"prompt": 3}')], "broken-record", "expected 'prompt' to be a text, found 3"),
        ([("1.png", PNG), ("1.txt", b"\xff")], "broken-record", "1.txt: expected a text in UTF-8"),
        ([("1.png", PNG), ("1.txt", bytes(TEXT_LIMIT + 1))], "broken-record", "expected a text of at most 1,048,576"),
        ([("1.png", PNG), *[(f"1.{n}.txt", b"a") for n in range(40)]], "broken-record", "at most 16 files of one name"),
        ([("1.png", PNG), ("1.txt", b"")], "empty-prompt", "found an empty one"),
        (
            [("1.v2.png", PNG), ("1.v2.txt", b"a")],
            "missing-file",
            r"in 1\.v2\.png the name ends at the first dot, as .* 1_v2\.png",
        ),
        ([(f"1.{n:02}.png", PNG) for n in range(20)], "broken-record", r"more; in 1\.00\.png .* pack it as 1_00\.png"),
    ],
)
def test_a_broken_sample_is_one_fault(path: Path, files: list[tuple[str, bytes]], kind: str, said: str) -> None:
    first, fault, last = read(path, ("0.png", PNG), ("0.txt", b"a"), *files, ("2.png", PNG), ("2.txt", b"a"))
    assert isinstance(first, Pair)
    assert isinstance(last, Pair)
    assert isinstance(fault, Fault)
    assert (fault.kind, fault.where) == (kind, f"{path}/1")
    with pytest.raises(DataError, match=said):
        checked_pairs(path)


def test_files_of_a_sample_that_lie_apart(path: Path) -> None:
    faults = read(path, ("0.png", PNG), ("1.png", PNG), ("0.txt", b"a"), ("1.txt", b"a"))
    assert [fault.kind for fault in faults if isinstance(fault, Fault)] == [
        *["wrong-columns"] * 2,
        *["missing-file"] * 2,
    ]


def test_names_that_lead_out_stay_inside(path: Path) -> None:
    (pair,) = read(path, ("../../0.png", PNG), ("../../0.txt", b"a"))
    assert isinstance(pair, Pair)
    assert pair.name == pair.picture.below == f"{path.name}/0.png"
    assert pair.picture.read() == PNG


def test_a_tar_that_ends_early(path: Path) -> None:
    data = write_tar(path, records(6)).read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    *pairs, fault = read_pairs(path)
    assert isinstance(fault, Fault)
    assert (fault.kind, fault.where) == ("broken-file", str(path))
    assert "expected a whole tar" in fault.message
    assert len(pairs) > (2 if path.name.endswith(".tar") else -1)


def test_what_follows_a_broken_tar_is_read(tmp_path: Path) -> None:
    write_tar(tmp_path / "1.tar", records(3))
    (tmp_path / "0.tar").write_bytes(b"no tar")
    pairs, faults = checked_pairs(tmp_path, skip_bad=True)
    assert (len(pairs), dict(faults)) == (3, {"broken-file": 1})


def test_a_picture_is_read_alone(tmp_path: Path) -> None:
    """Whatever else of the archive is damaged by then."""
    path = write_tar(tmp_path / "0.tar", records(4))
    pairs, _faults = checked_pairs(path)
    before = path.stat()
    data = bytearray(path.read_bytes())
    at = data.index(records(4)[2]["picture"])
    data[:at] = bytes(at)
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert pairs[2].picture.read() == records(4)[2]["picture"]
    path.write_bytes(data + b"more")
    with pytest.raises(PictureError, match="changed"):
        pairs[2].picture.read()


def test_gzipped_tars_are_held_up_to_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tars, "HELD_LIMIT_MB", 3 * len(PNG) / 1_000_000)
    packed = [file for number in range(6) for file in ((f"{number}.png", PNG), (f"{number}.txt", b"a"))]
    assert len(read(tmp_path / "0.tar", *packed)) == 6
    with pytest.raises(DataError, match=r"pictures in gzipped tars, .*; gunzip them"):
        read(tmp_path / "0.tar.gz", *packed)
