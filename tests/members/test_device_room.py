"""Turns on a device: members that truly have no room for each other."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from unprompt.errors import ModelError, NoRoomError
from unprompt.images.decode import Picture
from unprompt.members.device_room import Turns
from unprompt.members.member import Member
from unprompt.prediction import Vote
from unprompt.progress import Step, no_advance


class Device:
    """Memory of so many bytes, of which tenants take some."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.tenants: dict[str, int] = {}
        self._lock = threading.Lock()

    def give(self, name: str, size: int) -> None:
        with self._lock:
            others = sum(taken for tenant, taken in self.tenants.items() if tenant != name)
            if others + size > self._size:
                raise NoRoomError(name)
            self.tenants[name] = size

    def free(self, name: str) -> None:
        with self._lock:
            self.tenants.pop(name, None)


class Tenant:
    """A member whose weights are on the device from its first vote until it is unloaded; it writes down who is there.

    Its first vote `waits` until as many are at theirs.
    """

    shorter_side = None

    def __init__(self, device: Device, name: str, size: int, waits: threading.Barrier | None = None) -> None:
        self.name = name
        self.beside: list[set[str]] = []
        self._device, self._size, self._waits = device, size, waits

    def identities(self) -> Mapping[str, str]:
        return {self.name: "1"}

    def prepare(self, step: Step) -> None:
        with step(f"preparing {self.name}", 1, "lists"):
            self._device.give(self.name, self._size)

    def vote(self, pictures: Sequence[Picture]) -> list[Vote]:
        waits, self._waits = self._waits, None
        if waits is not None:
            waits.wait(timeout=60)
        self._device.give(self.name, self._size)
        self.beside.append(set(self._device.tenants))
        return [Vote(self.name, 1.0, texts=(f"{self.name} was here",))]

    def unload(self) -> None:
        self._device.free(self.name)


def ask(turns: Turns, members: Sequence[Member]) -> list[str]:
    return [vote.texts[0] for member in members for vote in turns.vote(member, [])]


def test_members_that_fit_stay() -> None:
    device = Device(5)
    members = [Tenant(device, "a", 3), Tenant(device, "b", 2)]
    turns = Turns(members, taken=False)
    for _ in range(2):
        assert ask(turns, members) == ["a was here", "b was here"]
    assert members[0].beside == [{"a"}, {"a", "b"}]
    assert set(device.tenants) == {"a", "b"}
    assert not turns.taken


def test_without_room_for_all_the_others_leave_and_that_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    device = Device(5)
    members = [Tenant(device, "a", 2), Tenant(device, "b", 3), Tenant(device, "c", 4)]
    turns = Turns(members, taken=False)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert ask(turns, members) == ["a was here", "b was here", "c was here"]
    assert [member.beside for member in members] == [[{"a"}] * 3, [{"a", "b"}, {"b"}, {"b"}], [{"c"}] * 3]
    assert device.tenants == {}
    assert [record.getMessage() for record in caplog.records] == [
        "c: the device has no room for c; free its memory or hide it (CUDA_VISIBLE_DEVICES=); "
        "the members take turns on it from now on, which is slower"
    ]


def test_turns_from_the_start() -> None:
    device = Device(5)
    members = [Tenant(device, "a", 3), Tenant(device, "b", 2)]
    ask(Turns(members, taken=True), members)
    assert [member.beside for member in members] == [[{"a"}], [{"b"}]]
    assert device.tenants == {}


def test_members_prepare_in_turns_where_they_do_not_fit_together() -> None:
    device = Device(5)
    members = [Tenant(device, "a", 3), Tenant(device, "b", 4)]
    turns = Turns(members, taken=False)
    begun: list[str] = []

    @contextlib.contextmanager
    def step(name: str, total: int, what: str) -> Iterator[Callable[[int], None]]:
        begun.append(name)
        yield no_advance

    for member in members:
        turns.prepare(member, step)
    assert begun == ["preparing a", "preparing b", "preparing b"]
    assert turns.taken
    assert device.tenants == {}
    lone = Tenant(device, "c", 6)
    with pytest.raises(NoRoomError, match="the device has no room for c"):
        Turns([lone], taken=False).prepare(lone, step)


def test_no_room_even_alone_says_whose_and_what_to_do() -> None:
    device = Device(5)
    members = [Tenant(device, "a", 3), Tenant(device, "b", 6)]
    turns = Turns(members, taken=False)
    with pytest.raises(
        NoRoomError,
        match=r"^b: the device has no room for b; free its memory or hide it \(.*had already left the device$",
    ):
        ask(turns, members)
    assert device.tenants == {}
    assert turns.vote(members[0], [])[0].member == "a"  # the turn was given back


def test_a_lone_member_is_asked_once() -> None:
    lone = Tenant(Device(5), "a", 6)
    turns = Turns([lone], taken=False)
    with pytest.raises(NoRoomError, match=r"the device has no room for a; .*DEVICES=\)$"):
        turns.vote(lone, [])
    assert not turns.taken


def test_another_fault_is_not_taken_for_a_lack_of_room() -> None:
    class Damaged(Tenant):
        def vote(self, pictures: Sequence[Picture]) -> list[Vote]:
            raise ModelError("model.onnx is damaged")

    device = Device(5)
    members = [Tenant(device, "a", 3), Damaged(device, "b", 1)]
    turns = Turns(members, taken=False)
    with pytest.raises(ModelError, match="damaged"):
        ask(turns, members)
    assert not turns.taken
    assert set(device.tenants) == {"a"}


def test_threads_that_run_out_of_room_together_all_get_their_votes() -> None:
    device, barrier = Device(5), threading.Barrier(4)
    members = [Tenant(device, name, 4, barrier) for name in "abcd"]
    turns = Turns(members, taken=False)
    with ThreadPoolExecutor(4) as pool:
        assert [vote.member for (vote,) in pool.map(lambda member: turns.vote(member, []), members)] == list("abcd")
    assert turns.taken
    assert all(member.beside[-1] == {member.name} for member in members)
