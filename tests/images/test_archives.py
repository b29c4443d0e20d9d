"""The pictures in tars, whole, broken and hostile."""

import contextlib
import gzip
import io
import os
import tarfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unprompt.errors import PictureError
from unprompt.images.archives import UNPACKED_LIMIT_MB, TarMember, count_members, members
from unprompt.images.files import FILE_LIMIT_MB
from unprompt.images.ref import ImageRef

PNG = b"\x89PNG\r\n\x1a\n"
KINDS = ["tar", "tar.gz"]


def header(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def file(name: str, data: bytes = PNG) -> bytes:
    return header(name, len(data)) + data + bytes(-len(data) % 512)


def with_field(block: bytes, start: int, field: bytes) -> bytes:
    """The header with other bytes from `start`, and the checksum that fits."""
    changed = bytearray(block)
    changed[start : start + len(field)] = field
    changed[148:156] = b" " * 8
    changed[148:156] = b"%06o\0 " % sum(changed)
    return bytes(changed)


def archive(path: Path, data: bytes) -> Path:
    path.write_bytes(gzip.compress(data, 1) if path.name.endswith("gz") else data)
    return path


def refs(path: Path) -> list[ImageRef]:
    found = list(members(str(path)))
    if not path.name.endswith("gz"):
        assert count_members(str(path)) == len(found)
    return found


def names(path: Path) -> list[str]:
    return [ref.source.removeprefix(f"{path}/") for ref in refs(path)]


def failure(ref: ImageRef) -> PictureError:
    with pytest.raises(PictureError) as caught:
        ref.read()
    return caught.value


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "TGZ"])
@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_pictures_of_a_shard(tmp_path: Path, kind: str, format: int) -> None:
    path = tmp_path / f"shard-0.{kind}"
    contents = {f"train/{n:04}.{suffix}": PNG + bytes([n]) * n * 700 for n in range(9) for suffix in ("png", "txt")}
    contents[f"{'n' * 90}/é{'m' * 90}.JPG"] = PNG
    with tarfile.open(path, "w:gz" if kind != "tar" else "w", format=format) as tar:
        for name, data in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    pictures = {name: data for name, data in contents.items() if not name.endswith("txt")}
    found = list(members(str(path)))
    assert {ref.source: ref.read() for ref in found} == {f"{path}/{name}": data for name, data in pictures.items()}
    assert [ref.below for ref in found] == [f"shard-0/{name}" for name in pictures]
    assert all(ref.file is None for ref in found)


def test_below_continues_that_of_the_archive(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar", file("1.png"))
    assert [ref.below for ref in members(str(path), "x/y")] == ["x/y/a/1.png"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_picture_is_left_out(tmp_path: Path, kind: str) -> None:
    data = b"".join([
        header("folder.png/", kind=tarfile.DIRTYPE), with_field(header("old.png/"), 156, b"\0"),
        header("link.png", kind=tarfile.SYMTYPE), header("hard.png", 512, kind=tarfile.LNKTYPE),
        header("pipe.png", kind=tarfile.FIFOTYPE), header("device.png", kind=tarfile.CHRTYPE),
        file("._a.png"), file(".git/a.png"), file("./a/./.hidden/b.png"), file("note.txt"), file(""), file(".png"),
        file("./kept/1.png"), bytes(1024), file("after the end.png"),
    ])  # fmt: skip
    assert names(archive(tmp_path / f"a.{kind}", data)) == ["./kept/1.png"]


@pytest.mark.parametrize("name", ["../../x.png", "/x.png", "./x.png", "a//../x.png", "a/../../x.png"])
def test_members_stay_below_their_archive(tmp_path: Path, name: str) -> None:
    (ref,) = refs(archive(tmp_path / "a.tar", file(name)))
    parts = ref.below.split("/")
    assert parts[0] == "a"
    assert parts[-1] == "x.png"
    assert not {"", ".", ".."} & set(parts)
    assert ref.read() == PNG


def test_names_that_are_no_utf8(tmp_path: Path) -> None:
    block = with_field(header("x.png", len(PNG)), 0, b"\xff\n.png\0")
    assert names(archive(tmp_path / "a.tar", block + PNG + bytes(504))) == ["\udcff\n.png"]


@pytest.mark.parametrize("kind", KINDS)
def test_sparse_files_are_left_out(tmp_path: Path, kind: str) -> None:
    old = with_field(header("old.png", 512, tarfile.GNUTYPE_SPARSE), 482, b"\1")
    last, more = bytes(512), bytes(504) + b"\1" + bytes(7)
    pax = b"22 GNU.sparse.major=1\n"
    data = [file("1.png"), old, more, last, bytes(512), header("p", len(pax), b"x"), pax.ljust(512, b"\0")]
    path = archive(tmp_path / f"a.{kind}", b"".join([*data, file("new.png"), file("2.png")]))
    assert names(path) == ["1.png", "2.png"]


@pytest.mark.parametrize("kind", KINDS)
def test_pax_gives_name_and_size(tmp_path: Path, kind: str) -> None:
    records = b"20 path=\xc3\xa9/long.png\n13 size=1024\n"
    data = header("p", len(records), b"x") + records.ljust(512, b"\0") + header("short.png", 0)
    path = archive(tmp_path / f"a.{kind}", data + PNG.ljust(1024, b"x") + file("2.png"))
    one, two = refs(path)
    assert one.source == f"{path}/é/long.png"
    assert (len(one.read()), two.read()) == (1024, PNG)


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_anywhere(tmp_path: Path, kind: str) -> None:
    data = b"".join(file(f"{n}.png", PNG + bytes(600)) for n in range(3)) + bytes(1024)
    path = archive(tmp_path / f"a.{kind}", data)
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, 101 if kind == "tar" else 1):
        path.write_bytes(whole[:length])
        *found, last = refs(path)
        assert [ref.source for ref in found] == [f"{path}/{n}.png" for n in range(len(found))]
        assert all(len(ref.read()) == 608 for ref in found)
        complete = last.source == f"{path}/{len(found)}.png"  # it ends between two members, as if it were whole
        assert complete or (last.source == str(path) and failure(last).kind in ("truncated", "unreadable"))


@pytest.mark.parametrize(
    "broken",
    [
        header("p", 10 * 10**9, b"x") + b"1",
        header("p", 10 * 10**9, b"L") + b"1",
        header("p", 600, b"x") + b"1",
        header("x.png", 10 * 10**9),
        header("x.txt", 10 * 10**9),
        with_field(header("n.txt"), 124, b"\xff" * 12),
        with_field(header("n.txt"), 124, b"\x80" + b"\x7f" * 11),
        with_field(header("n.txt"), 124, b"-0000000777\0"),
        with_field(header("n.txt"), 124, b"what is it?\0"),
        with_field(header("s.png", 512, tarfile.GNUTYPE_SPARSE), 482, b"\1"),
        b"no header".ljust(512, b"!"),
        b"too short",
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_hostile_headers_end_the_archive(tmp_path: Path, kind: str, broken: bytes) -> None:
    good, bad, *rest = refs(archive(tmp_path / f"a.{kind}", file("1.png") + broken))
    assert good.read() == PNG
    if rest:  # a picture of 10 GB is refused by its own name first
        assert failure(bad).kind == "too-large"
        (bad,) = rest
    assert bad.source == str(tmp_path / f"a.{kind}")
    assert failure(bad).kind == "truncated"


@pytest.mark.parametrize(
    "records", [b"", b"0 a=b\n", b"999 a=b\n", b"9999999999999 a\n", b"x", b"9 size=x\n", b"6 p=\n"]
)
def test_broken_pax_records_are_passed_over(tmp_path: Path, records: bytes) -> None:
    data = header("p", len(records), b"x") + records + bytes(-len(records) % 512) + file("1.png")
    assert names(archive(tmp_path / "a.tar", data)) == ["1.png"]


def test_extended_headers_without_end_do_not_recurse(tmp_path: Path) -> None:
    data = (header("p", 0, b"x") + header("p", 0, b"g") + header("p", 0, b"L") + header("p", 0, b"K")) * 500
    path = archive(tmp_path / "a.tar", data + file("1.png"))
    assert len(refs(path)) == 1


def test_unsigned_and_signed_checksums(tmp_path: Path) -> None:
    block = bytearray(with_field(header("x.png", len(PNG)), 0, b"\xff\xfe.png\0"))
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(byte - 256 if byte > 127 else byte for byte in block)
    assert len(refs(archive(tmp_path / "a.tar", bytes(block) + PNG + bytes(504)))) == 1


@pytest.mark.parametrize(
    ("data", "kind"), [(b"", "truncated"), (b"a cat", "unreadable"), (b"BZh91AY" * 99, "unreadable")]
)
@pytest.mark.parametrize("suffix", KINDS)
def test_what_is_no_tar_fails_by_its_name(tmp_path: Path, data: bytes, kind: str, suffix: str) -> None:
    path = archive(tmp_path / f"a.{suffix}", data)
    (ref,) = refs(path)
    assert (ref.source, failure(ref).kind) == (str(path), kind)
    assert "expected a" in str(failure(ref))


def test_content_tells_a_gzipped_tar_and_not_the_name(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(gzip.compress(file("1.png")))
    assert [ref.read() for ref in members(str(path))] == [PNG]
    assert count_members(str(path)) is None


def test_gzip_files_behind_one_another(tmp_path: Path) -> None:
    whole = file("1.png") + file("2.png") + bytes(1024)
    path = tmp_path / "a.tgz"
    path.write_bytes(b"".join(gzip.compress(whole[n : n + 300]) for n in range(0, len(whole), 300)) + bytes(100))
    assert [ref.read() for ref in members(str(path))] == [PNG, PNG]


def test_gzip_header_with_an_endless_name(tmp_path: Path) -> None:
    path = tmp_path / "a.tgz"
    path.write_bytes(b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * 1_000_000)
    (ref,) = refs(path)
    assert failure(ref).kind == "truncated"


def test_damage_in_a_gzipped_tar_keeps_what_came_before(tmp_path: Path) -> None:
    path = tmp_path / "a.tgz"
    data = file("1.png", PNG + os.urandom(200_000)) + file("2.png", PNG + os.urandom(200_000))
    packed = bytearray(gzip.compress(data))
    packed[300_000:300_100] = bytes(100)
    path.write_bytes(packed[:350_000])
    *found, last = refs(path)
    assert all(ref.read().startswith(PNG) for ref in found)
    assert (last.source, failure(last).kind) == (str(path), "truncated")


@pytest.mark.parametrize("kind", KINDS)
def test_a_member_that_is_no_picture_fails_by_its_own_name(tmp_path: Path, kind: str) -> None:
    one, two, three = refs(archive(tmp_path / f"a.{kind}", file("1.png", b"text") + file("2.png", b"") + file("3.png")))
    assert (failure(one).kind, failure(two).kind, three.read()) == ("not-a-picture", "not-a-picture", PNG)


@pytest.mark.parametrize(("kind", "limit_mb"), [("tar", FILE_LIMIT_MB), ("tar.gz", UNPACKED_LIMIT_MB)])
def test_a_member_past_the_limit_is_passed_over(tmp_path: Path, kind: str, limit_mb: int) -> None:
    path, size = tmp_path / f"a.{kind}", limit_mb * 1_000_000 + 1
    with gzip.open(path, "wb", 1) if kind != "tar" else path.open("wb") as written:
        written.write(header("huge.png", size))
        if kind == "tar":
            written.seek(-(-size // 512) * 512, os.SEEK_CUR)
        else:
            for _ in range(-(-size // 512) // 1000 + 1):
                written.write(bytes(512_000)[: max(0, min(512_000, -(-size // 512) * 512 + 512 - written.tell()))])
        written.write(file("2.png"))
    huge, second = refs(path)
    assert failure(huge).kind == "too-large"
    assert second.read() == PNG


def test_a_gzipped_tar_is_given_up_where_no_picture_comes(tmp_path: Path) -> None:
    path = tmp_path / "a.tgz"
    path.write_bytes(gzip.compress(file("1.png") + file("notes", bytes(300_000)) + file("2.png")))
    good, bad = members(str(path), skipped_limit_mb=0.2)
    assert good.read() == PNG
    assert failure(bad).kind == "too-large"
    assert "found 0.2 MB without one; unpack it first" in str(failure(bad))
    assert [ref.read() for ref in members(str(path), skipped_limit_mb=0.4)] == [PNG, PNG]


def test_an_archive_that_is_written_to_meanwhile_has_changed(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar", file("1.png") + file("2.png"))
    one, two = refs(path)
    assert isinstance(one.content, TarMember)
    with path.open("ab") as written:
        written.write(bytes(512))
    assert failure(one).kind == "changed"
    path.write_bytes(file("1.png"))
    assert failure(two).kind in ("changed", "not-a-picture")
    path.unlink()
    assert failure(two).kind == "not-found"


def test_pipe_in_place_of_an_archive_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.tar")
    (ref,) = refs(tmp_path / "a.tar")
    assert failure(ref).kind == "unreadable"


def test_counting_stops_when_it_is_told_to(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    path = archive(tmp_path / "a.tar", file("1.png") + file("2.png"))
    assert count_members(str(path), stop) is None


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_damage_never_raises(tmp_path_factory: pytest.TempPathFactory, kind: str, data: st.DataObject) -> None:
    whole = bytearray(file("1.png") + header("p", 22, b"x") + b"22 path=a/b/c/d/2.png\n".ljust(512, b"\0"))
    whole += file("x") + with_field(header("s", 512, b"S"), 482, b"\1") + bytes(1024) + file("3.png") + bytes(1024)
    if kind != "tar":
        whole = bytearray(gzip.compress(bytes(whole)))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / f"damaged.{kind}"
    path.write_bytes(whole)
    for ref in members(str(path)):
        with contextlib.suppress(PictureError):
            ref.read()
