"""A folder that is shared and one in an object store, alike to the workers of a run."""

import json
import os
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from unprompt.errors import DataError
from unprompt.scale.claims import Claims
from unprompt.scale.merging import Missing, merged, parts_of
from unprompt.scale.places import WORK, place_at
from unprompt.scale.runs import RUN_FILE, Run, join_run, read_run
from unprompt.scale.shards import Shards, Waiting, Work, finished, part_name

RUN = Run(3, 30.0, 7, "abc", {"unprompt": "1"}, {}, ["unprompt"], {})


@pytest.fixture(params=["folder", "store"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "folder":
        yield str(tmp_path / "new" / "out")
        return
    fsspec = pytest.importorskip("fsspec")
    address = f"memory://{uuid.uuid4().hex}/out"
    yield address
    fsspec.filesystem("memory").rm(address, recursive=True)


def test_files_are_made_once_read_and_removed(where: str) -> None:
    place = place_at(where)
    assert place.names("parts") == []
    assert place.stranger() is None
    assert place.read("a") is None
    assert place.create("a", b"one")
    assert not place.create("a", b"two")
    assert place.read("a") == b"one"
    place.replace(".work/b", b"three")
    place.replace(".work/b", b"four")
    assert place.names(".work") == ["b"]
    assert place_at(where).read(".work/b") == b"four"
    assert place.stranger() == "a"
    place.remove(".work/b")
    place.remove(".work/b")
    assert place.names(".work") == []


def test_what_is_published_first_stays(where: str, tmp_path: Path) -> None:
    place = place_at(where)
    for content, first in (("one", True), ("two", False)):
        path = tmp_path / "part"
        path.write_text(content)
        assert place.publish(path, "parts/a") is first
        assert not path.exists()
    with pytest.raises(FileNotFoundError):
        place.publish(path, "parts/b")
    with place.local() as folder:
        assert (folder / "parts" / "a").read_text() == "one"


def test_a_run_by_workers_that_meet_there(where: str) -> None:
    for _ in range(2):
        assert join_run(where, RUN) == []
    assert read_run(where) == RUN
    for work in Shards(where, 3, 30.0).work(range(3)):
        assert isinstance(work, Work)
        with work:
            records = [{"position": position, "source": f"{position}"} for position in RUN.positions(work.shard)]
            work.part.write_text("".join(json.dumps(record) + "\n" for record in records))
            assert work.publish()
    assert finished(where) == {0, 1, 2}
    place = place_at(where)
    assert place.names(WORK) == []
    with place.local() as folder:
        missing = Missing()
        found = [placed.position for placed in merged(parts_of(folder, RUN), RUN, missing)]
    assert (found, missing.count) == (list(range(7)), 0)


def test_of_many_that_claim_one_does(where: str) -> None:
    join_run(where, RUN)
    claims = [Claims(place_at(where).marks) for _ in range(8)]
    with ThreadPoolExecutor(len(claims)) as pool:
        taken = list(pool.map(lambda each: each.take("work"), claims))
    (claim,) = [claim for claim in taken if claim is not None]
    assert not claim.is_lost()
    assert claims[0].held() == {"work"}
    with claim:
        pass
    assert claims[0].held() == set()


def test_a_claim_that_is_silent_is_superseded_and_its_owner_notices(where: str) -> None:
    join_run(where, RUN)
    first = next(Shards(where, 3, 0.05).work([1]))
    assert isinstance(first, Work)
    time.sleep(0.3)  # it was claimed, and nothing keeps it alive
    steps = Shards(where, 3, 0.05).work([1], poll_s=0.05)
    second = next(step for step in steps if not isinstance(step, Waiting))
    assert first.is_lost()
    assert not second.is_lost()


def test_a_living_owner_stays_the_owner(where: str) -> None:
    join_run(where, RUN)
    claim = Claims(place_at(where).marks, stale_s=0.5, heartbeat_s=0.02).take("work")
    assert claim is not None
    with claim:
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            assert Claims(place_at(where).marks, stale_s=30.0).take("work") is None
            time.sleep(0.1)
        assert not claim.is_lost()


def test_after_a_death_in_a_store_every_picture_is_suspect(where: str) -> None:
    join_run(where, RUN)
    first = next(Shards(where, 3, 30.0).work([1]))
    assert isinstance(first, Work)
    first.__enter__()
    first.part.write_text("one\n")
    first.trying(1)
    first._claim._ended.set()
    for name in (place := place_at(where)).names(WORK):
        if name.rpartition(".")[2].isdecimal():  # as a process that ended here
            claim = json.loads(place.read(f"{WORK}/{name}") or b"")
            place.replace(f"{WORK}/{name}", json.dumps(claim | {"process": 2**22 + 1}).encode())
    with next_work(where) as second:
        assert second.is_taken_over
        assert second.is_suspect(1)
        assert second.is_suspect(0) is not place.shared
        assert second.part.read_text() == ("one\n" if place.shared else "")
        second.publish()
    assert [name for name in place.names(WORK) if "00001" in name] == []


def next_work(where: str) -> Work:
    work = next(Shards(where, 3, 30.0).work([1]))
    assert isinstance(work, Work)
    return work


def test_what_is_no_place_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        place_at("nowhere://bucket/out")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="found the file"):
        place_at(tmp_path / "file").names("parts")
    (tmp_path / RUN_FILE).mkdir()
    with pytest.raises(DataError, match="cannot read"):
        place_at(tmp_path).read(RUN_FILE)
    assert part_name(3) == os.path.join("parts", "shard-00003.jsonl")
