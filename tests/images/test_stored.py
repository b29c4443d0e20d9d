"""Pictures in object stores: which are found, in what order, by how many requests, and what fails."""

from __future__ import annotations

import gzip
import io
import tarfile
import threading
import time
import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING

import pytest

from unprompt.errors import LocationError, PictureError
from unprompt.images.reading import fetched_ahead
from unprompt.images.ref import ImageRef
from unprompt.images.sources import check_stores, count, image_refs, may_be_many
from unprompt.locations.location import folder_at

if TYPE_CHECKING:
    from object_stores import ObjectStore

PNG = b"\x89PNG\r\n\x1a\n"
DENIED = ("403 Forbidden", b"<Error><Code>AccessDenied</Code></Error>")

pytest.importorskip("s3fs")


def tar(**members: bytes) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as file:
        for name, content in members.items():
            info = tarfile.TarInfo(name.replace("_", "."))
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return data.getvalue()


def names(inputs: str | Iterable[str]) -> list[str]:
    return [ref.source for ref in image_refs(inputs)]


def failure(ref: ImageRef) -> PictureError:
    with pytest.raises(PictureError) as caught:
        ref.read()
    return caught.value


@pytest.fixture
def objects(store: ObjectStore) -> ObjectStore:
    tree = ("10.png", "9.JPG", "a b#?.png", "b/1.webp", "b/.hidden.png", ".h/1.png", "b/c/2.png", "notes.txt", "d/")
    store.put({f"in/{name}": PNG for name in tree})
    store.put({"in/s.tar": tar(x_png=PNG, y_txt=b"no", z_jpg=PNG + b"z"), "other.png": PNG})
    return store


def test_a_folder_stands_for_the_pictures_and_tars_below_it(objects: ObjectStore) -> None:
    refs = list(image_refs("s3://pictures/in"))
    expected = ["10.png", "9.JPG", "a b#?.png", "b/1.webp", "b/c/2.png", "s.tar/x.png", "s.tar/z.jpg"]
    assert [ref.source for ref in refs] == [f"s3://pictures/in/{name}" for name in expected]
    assert [ref.below for ref in refs][-3:] == ["b/c/2.png", "s/x.png", "s/z.jpg"]
    assert [ref.read() for ref in refs] == [PNG] * 6 + [PNG + b"z"]
    assert all(ref.file is None for ref in refs)


def test_each_picture_and_each_small_tar_is_one_request(objects: ObjectStore) -> None:
    for ref in image_refs("s3://pictures/in/"):
        ref.read()
    assert objects.asked.pop("GET /pictures") == 1
    assert set(objects.asked.values()) == {1}
    assert len(objects.asked) == 6


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("in/*.png", ["10.png", "a b#?.png"]),
        ("in/**/*.png", ["10.png", "a b#?.png", "b/c/2.png"]),
        ("in/b/**", ["b/1.webp", "b/c/2.png"]),
        ("in/*/*", ["b/1.webp"]),
        ("in/*.txt", ["notes.txt"]),
        ("in/s.t*", ["s.tar/x.png", "s.tar/z.jpg"]),
        ("in/a b#?.png", ["a b#?.png"]),
    ],
)
def test_patterns_match_as_those_of_files_do(objects: ObjectStore, pattern: str, expected: list[str]) -> None:
    assert names(f"s3://pictures/{pattern}") == [f"s3://pictures/in/{name}" for name in expected]


@pytest.mark.parametrize("name", ["in/10.png", "other.png", "in/notes.txt", "in/9.JPG"])
def test_an_object_stands_for_itself(objects: ObjectStore, name: str) -> None:
    [ref] = image_refs(f"s3://pictures/{name}")
    assert (ref.source, ref.below, ref.read()) == (f"s3://pictures/{name}", name.rpartition("/")[2], PNG)


def test_a_single_picture_is_not_looked_for_before_it_is_read(store: ObjectStore) -> None:
    [ref] = image_refs("s3://pictures/gone.png")
    check_stores(["s3://pictures/gone.png"])
    assert not store.asked
    assert failure(ref).kind == "not-found"
    assert sum(store.asked.values()) == 1


@pytest.mark.parametrize("address", ["s3://pictures/nothing", "s3://pictures/in/*.gif", "s3://pictures/d/"])
def test_nothing_passes_unnoticed(objects: ObjectStore, address: str) -> None:
    [ref] = image_refs(address)
    assert (ref.source, failure(ref).kind) == (address, "no-pictures")


def test_a_bucket_that_cannot_be_listed_is_said_at_once(objects: ObjectStore) -> None:
    objects.refused["/pictures"] = DENIED
    for address in ("s3://pictures/in", "s3://pictures/*.png", "s3://gone/in"):
        with pytest.raises(LocationError, match="to be listed"):
            check_stores(["a.png", address, b""])
        with pytest.raises(LocationError, match="to be listed"):
            list(image_refs(address))


def test_one_object_without_permission_is_one_failure(objects: ObjectStore) -> None:
    objects.refused["/pictures/in/10.png"] = DENIED
    kinds = []
    for ref in image_refs("s3://pictures/in/*.png"):
        try:
            ref.read()
            kinds.append("fine")
        except PictureError as error:
            kinds.append(error.kind)
    assert kinds == ["unreadable", "fine"]


def test_a_list_that_breaks_off_keeps_what_it_had(objects: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unprompt.locations.stores.PAGE", 2)
    refs = image_refs("s3://pictures/in")
    first = next(refs)
    objects.refused["/pictures"] = DENIED
    *_, last = refs
    assert (first.source, failure(last).kind) == ("s3://pictures/in/10.png", "unreadable")


def test_a_list_may_name_objects_and_folders(
    objects: ObjectStore, tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{tmp_path}/list.txt"
    lines = ["s3://pictures/in/10.png", "s3://gone/in", "s3://pictures/in/b", "s3://pictures/a[1].png", "s4://x/y.png"]
    with open(path, "w") as file:
        file.write("\n".join(lines))
    refs = list(image_refs(f"@{path}"))
    assert [ref.source for ref in refs] == [
        lines[0], lines[1], "s3://pictures/in/b/1.webp", "s3://pictures/in/b/c/2.png", lines[3], lines[4],
    ]  # fmt: skip
    assert refs[0].below == "pictures/in/10.png"
    assert [failure(refs[place]).kind for place in (1, 4, 5)] == ["not-found", "not-found", "bad-url"]


@pytest.mark.parametrize("packed", [False, True])
def test_a_broken_tar_gives_what_is_before_the_damage(store: ObjectStore, packed: bool) -> None:
    data = tar(a_png=PNG, b_png=PNG * 300)[:2000]
    store.put({"s.tar": gzip.compress(data) if packed else data})
    good, bad = image_refs("s3://pictures/s.tar")
    assert (good.source, good.read()) == ("s3://pictures/s.tar/a.png", PNG)
    assert (bad.source, failure(bad).kind) == ("s3://pictures/s.tar", "truncated")


def test_a_tar_that_is_gone_is_one_failure(store: ObjectStore) -> None:
    [ref] = image_refs("s3://pictures/s.tar")
    assert failure(ref).kind == "not-found"


def test_a_large_picture_in_a_tar_is_read_at_its_turn(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unprompt.images.stored.UNPACKED_LIMIT_MB", 0)
    store.put({"s.tar": tar(a_png=PNG, b_png=PNG + b"b")})
    refs = list(image_refs("s3://pictures/s.tar"))
    assert [ref.read() for ref in refs] == [PNG, PNG + b"b"]
    assert [ref.size_mb > 0 for ref in refs] == [True, True]


def test_memory_is_a_store_as_well() -> None:
    root = f"memory://{uuid.uuid4().hex}"
    folder = folder_at(root)
    for name in ("b/2.png", "a.png", "c.txt", "b/s.tar"):
        folder.write(name, tar(x_png=PNG) if name.endswith("tar") else PNG)
    refs = list(image_refs(root))
    assert [ref.source.removeprefix(root) for ref in refs] == ["/a.png", "/b/2.png", "/b/s.tar/x.png"]
    assert [ref.read() for ref in refs] == [PNG] * 3


def test_stores_are_not_listed_to_be_counted(objects: ObjectStore) -> None:
    assert count(["s3://pictures/in", "s3://pictures/a.png"]) is None
    assert count(["s3://pictures/a.png", "s3://pictures/b.png"]) == 2
    assert not objects.asked
    assert may_be_many("s3://pictures/in")


def test_a_signature_does_not_become_a_name() -> None:
    [ref] = image_refs("https://host.invalid/a.png?X-Amz-Credential=me&X-Amz-Signature=word&w=1")
    assert ref.source == "https://host.invalid/a.png?X-Amz-Credential=***&X-Amz-Signature=***&w=1"


class Slow:
    """A picture that takes its time; says how many are read at once."""

    is_distant = True
    running = most = 0
    lock = threading.Lock()

    def __init__(self, size_mb: float = 1.0, error: Exception | None = None) -> None:
        self.size_mb, self._error = size_mb, error

    def read(self) -> bytes:
        with Slow.lock:
            Slow.running += 1
            Slow.most = max(Slow.most, Slow.running)
        time.sleep(0.02)
        with Slow.lock:
            Slow.running -= 1
        if self._error:
            raise self._error
        return PNG


@pytest.mark.parametrize(("size_mb", "limit_mb", "most"), [(0.1, 64, 16), (30, 64, 3), (99, 64, 1), (0, 64, 5)])
def test_distant_pictures_are_fetched_together_within_limits(size_mb: float, limit_mb: float, most: int) -> None:
    Slow.most = 0
    refs = [ImageRef(f"{number}", Slow(size_mb)) for number in range(40)]
    found = []
    for ref in fetched_ahead(refs, limit_mb=limit_mb):
        found.append((ref.source, ref.read()))
    assert found == [(f"{number}", PNG) for number in range(40)]
    assert 1 <= Slow.most <= most


def test_what_fails_comes_in_its_place_and_local_pictures_wait_for_nobody() -> None:
    def refs() -> Iterable[ImageRef]:
        yield ImageRef("near", PNG_REF)
        yield ImageRef("broken", Slow(error=PictureError("not-found", "gone")))
        yield ImageRef("far", Slow())
        raise LocationError("unreachable", "the rest")

    PNG_REF = Slow()
    PNG_REF.is_distant = False  # type: ignore[misc]
    found = fetched_ahead(refs())
    assert next(found).content is PNG_REF
    assert failure(next(found)).kind == "not-found"
    assert next(found).read() == PNG
    with pytest.raises(LocationError, match="the rest"):
        next(found)
