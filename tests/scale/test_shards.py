"""Shards claimed, taken over and published; what answers is a function that writes lines."""

import json
import os
import time
from pathlib import Path

import pytest

from unprompt.scale.places import WORK
from unprompt.scale.runs import PARTS
from unprompt.scale.shards import DEADLY, WINDOW, LostShardError, Shards, Waiting, Work, finished, part_name


def next_work(shards: Shards, wanted: list[int]) -> Work:
    step = next(shards.work(wanted))
    assert isinstance(step, Work)
    return step


def write(work: Work, text: str) -> None:
    with work.part.open("ab") as file:
        file.write(text.encode())


def die(work: Work) -> None:
    """Leaves what a process leaves that is killed on another machine a while ago."""
    work._claim._ended.set()
    for path in work.part.parent.iterdir():
        if path.name.partition(".")[2].isdecimal():
            path.write_text(json.dumps(json.loads(path.read_text()) | {"machine": "another"}))
            os.utime(path, (time.time() - 1000,) * 2)


@pytest.fixture
def shards(tmp_path: Path) -> Shards:
    return Shards(tmp_path, 3, 30.0)


def test_all_are_claimed_and_published_once(tmp_path: Path, shards: Shards) -> None:
    done = []
    for work in shards.work(range(3)):
        assert isinstance(work, Work)
        with work:
            write(work, f"{work.shard}\n")
            assert work.publish()
            done.append(work.shard)
    assert sorted(done) == [0, 1, 2]
    assert finished(tmp_path) == {0, 1, 2}
    assert [(tmp_path / part_name(shard)).read_text() for shard in range(3)] == ["0\n", "1\n", "2\n"]
    assert os.listdir(tmp_path) == [PARTS]
    assert list(shards.work(range(3))) == []


def test_one_that_is_held_is_waited_for(tmp_path: Path, shards: Shards) -> None:
    with next_work(shards, [1]) as work:
        steps = Shards(tmp_path, 3, 30.0).work([1], poll_s=0.01)
        waiting = next(steps)
        assert isinstance(waiting, Waiting)
        assert waiting.reason == f"waiting for shard 1, which process {os.getpid()} on {os.uname().nodename} has"
        assert shards.owners([0, 1]) == {1: f"process {os.getpid()} on {os.uname().nodename}"}
        write(work, "done\n")
        work.publish()
    assert list(steps) == []


def test_what_is_given_up_is_continued_at_once(shards: Shards) -> None:
    with next_work(shards, [1]) as first:
        write(first, "one\ntwo\nhal")
    with next_work(shards, [1]) as second:
        assert second.part != first.part
        assert second.part.read_text() == "one\ntwo\n"
        assert not second.is_taken_over
        assert not first.part.exists()


def test_what_a_dead_worker_had_in_work_is_suspect(shards: Shards) -> None:
    first = next_work(shards, [1])
    first.__enter__()
    write(first, "one\ntwo\n")
    die(first)
    with next_work(shards, [1]) as second:
        assert second.is_taken_over
        assert [second.is_suspect(number) for number in (1, 2, 1 + WINDOW, 2 + WINDOW)] == [False, True, True, False]
        assert not second.is_deadly(2)
    with next_work(shards, [1]) as third:  # the second ended by itself, but never came past it
        assert third.is_suspect(2)


def test_a_picture_with_which_one_worker_after_the_other_died_is_not_tried_again(shards: Shards) -> None:
    for deaths in range(DEADLY + 1):
        work = next_work(shards, [1])
        work.__enter__()
        assert work.is_deadly(4) == (deaths >= DEADLY)
        assert not work.is_deadly(5)
        work.trying(4)
        die(work)
    with next_work(shards, [1]) as work:
        assert work.is_deadly(4)
        work.trying(5)
    with next_work(shards, [1]) as work:
        assert not work.is_deadly(5)
        assert work.is_suspect(4)


def test_deaths_are_counted_once_although_a_take_over_was_cut_short(shards: Shards) -> None:
    work = next_work(shards, [1])
    work.__enter__()
    work.trying(4)
    die(work)
    left = next(path for path in work.part.parent.iterdir() if path.suffix == ".state")
    content = left.read_bytes()
    for _ in range(DEADLY):
        work = next_work(shards, [1])
        work.__enter__()
        die(work)
        left.write_bytes(content)  # as if it had been killed before it removed this
    with next_work(shards, [1]) as work:
        assert not work.is_deadly(4)


def test_of_two_that_publish_the_first_does(tmp_path: Path, shards: Shards) -> None:
    sleeper = next_work(shards, [1])
    sleeper.__enter__()
    write(sleeper, "the sleeper's\n")
    die(sleeper)
    with next_work(shards, [1]) as other:
        write(other, "the other's\n")
        sleeper.check()  # nobody has looked yet
        assert sleeper.is_lost()
        with pytest.raises(LostShardError):
            sleeper.check()
        write(sleeper, "more\n")  # in a file of its own, or in one that has no name any more
        assert other.publish()
    assert not sleeper.publish()
    sleeper.__exit__(None, None, None)
    assert (tmp_path / part_name(1)).read_text() == "the sleeper's\nthe other's\n"
    assert os.listdir(tmp_path / WORK) == []


def test_the_sleeper_may_also_be_first(tmp_path: Path, shards: Shards) -> None:
    sleeper = next_work(shards, [1])
    sleeper.__enter__()
    die(sleeper)
    with next_work(shards, [1]) as other:
        sleeper.part.write_text("whole\n")
        assert sleeper.publish()
        assert other.is_lost()
        assert not other.publish()
    assert (tmp_path / part_name(1)).read_text() == "whole\n"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"deaths": 3}', b'{"deaths": {"a": 1}}', b"[" * 99999])
def test_a_state_that_says_nothing_is_a_death_nobody_knows_where(shards: Shards, content: bytes) -> None:
    work = next_work(shards, [1])
    work.__enter__()
    write(work, "one\n")
    die(work)
    for path in work.part.parent.glob("*.state"):
        path.write_bytes(content)
    with next_work(shards, [1]) as other:
        assert other.is_suspect(1)
        assert other.part.read_text() == "one\n"
