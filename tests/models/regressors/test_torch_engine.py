"""torch as the engine: the same bits whatever the threads, and batches that shrink where memory is short."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tiny_backbones import FAMILIES

from unprompt.errors import NoRoomError

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from unprompt.models.networks.batches import GPU_BATCH, ShrinkingBatches  # noqa: E402
from unprompt.models.regressors.regressor_network import HeadSpec  # noqa: E402
from unprompt.models.regressors.torch_engine import TorchEngine  # noqa: E402
from unprompt.models.regressors.torch_folder import save_network  # noqa: E402


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> TorchEngine:
    network = FAMILIES["vit"].network(HeadSpec("linear"))
    folder = save_network(
        network,
        tmp_path_factory.mktemp("models") / "vit.tiny",
        name="vit.tiny",
        preprocessing=network.backbone.preprocessing,
        licence="MIT",
        origin="tests",
        score={},
        card="",
    )
    return TorchEngine(folder)


def _pixels(count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(0).standard_normal((count, 3, 32, 32)).astype(np.float32)


def test_threads_change_no_bit(engine: TorchEngine) -> None:
    pixels = _pixels(12)
    results = []
    for threads in (1, 3):
        with ThreadPoolExecutor(threads, initializer=engine.prepare_thread) as pool:
            results.append(np.concatenate(list(pool.map(engine.vectors, np.split(pixels, 12)))))
    assert (results[0] == results[1]).all()
    assert results[0].dtype == np.float32
    assert np.allclose(np.linalg.norm(results[0], axis=1), 1, atol=1e-6)


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
    batches = ShrinkingBatches(_room_for(3, seen), 8)
    rows = torch.arange(10.0)[:, None]
    assert torch.equal(batches(rows), 2 * rows)
    assert seen == [8, 4, 2, 2, 2, 2, 2]
    assert torch.equal(batches(rows[:3]), 2 * rows[:3])
    assert seen[7:] == [2, 1]


def test_halving_ends_at_one() -> None:
    seen: list[int] = []
    assert len(ShrinkingBatches(_room_for(1, seen), 5)(torch.zeros(6, 1))) == 6
    assert seen == [5, 3, 2, 1, 1, 1, 1, 1, 1]


def test_no_room_for_one_picture_is_said() -> None:
    with pytest.raises(NoRoomError, match="the device has no room for one picture; free its memory or hide it"):
        ShrinkingBatches(_room_for(0, []), 4)(torch.zeros(2, 1))


def test_another_fault_is_not_taken_for_a_lack_of_room() -> None:
    def broken(part: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("a kernel failed")

    with pytest.raises(RuntimeError, match="a kernel failed"):
        ShrinkingBatches(broken, 4)(torch.zeros(2, 1))


def test_after_a_lack_of_room_for_one_whole_batches_are_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever asks again has made room; as many batches of one as there are pictures would be slow for good."""
    room, seen = [0], list[int]()

    def compute(part: torch.Tensor) -> torch.Tensor:
        return _room_for(room[0], seen)(part)

    batches = ShrinkingBatches(compute, 8)
    for _ in range(2):
        with pytest.raises(NoRoomError):
            batches(torch.zeros(8, 1))
    assert batches.size == 8
    room[0] = 8
    seen.clear()
    batches(torch.zeros(16, 1))
    assert seen == [8, 8]
    assert [record.getMessage() for record in caplog.records] == [
        "the device has no room for 8 pictures at once: going on with fewer"
    ]


def test_weights_that_leave_come_back_and_with_them_whole_batches(engine: TorchEngine) -> None:
    pixels = _pixels(2)
    vectors = engine.vectors(pixels)
    engine._batches.size = 1
    engine.unload()
    assert engine._batches.size == GPU_BATCH
    assert {value.device.type for value in engine._network.parameters()} == {"cpu"}
    assert (engine.vectors(pixels) == vectors).all()


def test_a_device_without_room_for_the_weights(engine: TorchEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(device: torch.device) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    engine.unload()
    with monkeypatch.context() as patch:
        patch.setattr(engine._network, "to", full)
        with pytest.raises(NoRoomError, match=r"no room for vit\.tiny; free its memory"):
            engine.vectors(_pixels(1))
    assert engine.vectors(_pixels(1)).shape == (1, 384)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_answers_as_the_cpu_does(engine: TorchEngine) -> None:
    assert engine.batched
    network = FAMILIES["vit"].network(HeadSpec("linear")).eval()
    with torch.inference_mode():
        expected = network(torch.from_numpy(_pixels(5))).numpy()
    for _ in range(2):
        np.testing.assert_allclose(engine.vectors(_pixels(5)), expected, atol=1e-4)
        assert {value.device.type for value in engine._network.parameters()} == {"cuda"}
        engine.unload()
        assert {value.device.type for value in engine._network.parameters()} == {"cpu"}
