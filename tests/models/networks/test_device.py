"""Networks on a device: loaded once, moved there and back, and asked in batches that shrink where memory is short."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from unprompt.errors import NoRoomError

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from unprompt.models.networks.device import OnDevice, ShrinkingBatches, best_device  # noqa: E402


class Crowded(torch.nn.Linear):
    """A network for which its device has room, or not."""

    is_full = False

    def to(self, *arguments: object, **options: object) -> Crowded:
        if self.is_full:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().to(*arguments, **options)


def test_a_network_is_loaded_when_first_asked_for_and_once() -> None:
    asked: list[torch.device] = []

    def load(device: torch.device) -> torch.nn.Module:
        asked.append(device)
        return Crowded(2, 2)

    network = OnDevice("tiny", load)
    network.unload()  # what was never asked is not read for this
    assert (network.held, asked) == (None, [])
    found = network.load()
    assert network.bring() is found
    assert next(found.parameters()).device.type == best_device().type
    network.unload()
    assert next(found.parameters()).device.type == "cpu"
    assert network.bring() is found
    assert asked == [best_device()]


def test_what_forgets_is_loaded_again_on_the_cpu() -> None:
    network = OnDevice("tiny", lambda device: Crowded(2, 2), device="cpu", forgets=True)
    found = network.bring()
    network.unload()
    assert network.held is None
    assert network.bring() is not found


def test_no_room_for_the_weights_is_said_and_tried_again() -> None:
    network = OnDevice("tiny", lambda device: Crowded(2, 2), ways="take a smaller one")
    network.load().is_full = True
    for _ in range(2):
        with pytest.raises(NoRoomError, match="the device has no room for tiny; free its memory or take a smaller one"):
            network.bring()
    network.load().is_full = False
    assert isinstance(network.bring(), Crowded)


def test_no_room_to_load_into_is_said() -> None:
    def load(device: torch.device) -> torch.nn.Module:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(NoRoomError, match=r"no room for tiny; free its memory or hide it \(CUDA_VISIBLE_DEVICES=\)"):
        OnDevice("tiny", load).bring()


def _room_for(rows: int, seen: list[int]) -> Callable[[torch.Tensor], torch.Tensor]:
    """Doubles what it is given, on a device that has room for so many rows."""

    def compute(part: torch.Tensor) -> torch.Tensor:
        seen.append(len(part))
        if len(part) > rows:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return 2 * part

    return compute


def test_a_batch_without_room_is_halved_and_stays_so() -> None:
    seen: list[int] = []
    batches, compute = ShrinkingBatches(8), _room_for(3, seen)
    rows = torch.arange(10.0)[:, None]
    assert torch.equal(torch.cat(list(batches(rows, compute))), 2 * rows)
    assert seen == [8, 4, 2, 2, 2, 2, 2]
    assert torch.equal(torch.cat(list(batches(rows[:3], compute))), 2 * rows[:3])
    assert seen[7:] == [2, 1]


def test_halving_ends_at_one() -> None:
    seen: list[int] = []
    assert len(list(ShrinkingBatches(5)(torch.zeros(6, 1), _room_for(1, seen)))) == 6
    assert seen == [5, 3, 2, 1, 1, 1, 1, 1, 1]


def test_fewer_rows_than_a_batch_are_halved_at_once() -> None:
    seen: list[int] = []
    assert len(list(ShrinkingBatches(64)(torch.zeros(3, 1), _room_for(2, seen)))) == 2
    assert seen == [3, 2, 1]


def test_rows_that_are_not_alike_fill_batches_by_what_they_take() -> None:
    def fitting(rows: list[int], size: int) -> int:
        return max(1, sum(total <= size for total in itertools.accumulate(rows)))

    def compute(rows: list[int]) -> list[int]:
        if sum(rows) > 6:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return rows

    batches = ShrinkingBatches(10, "text", fitting=fitting)
    assert list(batches([4, 3, 3, 5, 1, 1], compute)) == [[4], [3], [3], [5], [1, 1]]
    assert batches.size == 5


def test_no_room_for_one_picture_is_said() -> None:
    with pytest.raises(NoRoomError, match="the device has no room for one picture; free its memory or hide it"):
        list(ShrinkingBatches(4)(torch.zeros(2, 1), _room_for(0, [])))


def test_another_fault_is_not_taken_for_a_lack_of_room() -> None:
    def broken(part: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("a kernel failed")

    with pytest.raises(RuntimeError, match="a kernel failed"):
        list(ShrinkingBatches(4)(torch.zeros(2, 1), broken))


def test_after_a_lack_of_room_for_one_whole_batches_are_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever asks again has made room; as many batches of one as there are pictures would be slow for good."""
    room, seen = [0], list[int]()

    def compute(part: torch.Tensor) -> torch.Tensor:
        return _room_for(room[0], seen)(part)

    batches = ShrinkingBatches(8)
    for _ in range(2):
        with pytest.raises(NoRoomError):
            list(batches(torch.zeros(8, 1), compute))
    assert batches.size == 8
    room[0] = 8
    seen.clear()
    list(batches(torch.zeros(16, 1), compute))
    assert seen == [8, 8]
    assert [record.getMessage() for record in caplog.records] == [
        "the device has no room for 8 pictures at once: going on with fewer"
    ]
