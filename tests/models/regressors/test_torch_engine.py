"""torch as the engine: the same bits whatever the threads, and weights that leave the device and come back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tiny_backbones import FAMILIES

from unprompt.errors import NoRoomError

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from unprompt.models.networks.device import GPU_BATCH  # noqa: E402
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
            results.append(np.concatenate([seen.vectors for seen in pool.map(engine.see, np.split(pixels, 12))]))
    assert (results[0] == results[1]).all()
    assert results[0].dtype == np.float32
    assert np.allclose(np.linalg.norm(results[0], axis=1), 1, atol=1e-6)


def test_weights_that_leave_come_back_and_with_them_whole_batches(engine: TorchEngine) -> None:
    pixels = _pixels(2)
    vectors = engine.see(pixels).vectors
    engine._batches.size = 1
    engine.unload()
    assert engine._batches.size == GPU_BATCH
    assert {value.device.type for value in engine._network.load().parameters()} == {"cpu"}
    assert (engine.see(pixels).vectors == vectors).all()


def test_a_device_without_room_for_the_weights(engine: TorchEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(device: torch.device) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    engine.unload()
    with monkeypatch.context() as patch:
        patch.setattr(engine._network.load(), "to", full)
        with pytest.raises(NoRoomError, match=r"no room for vit\.tiny; free its memory"):
            engine.see(_pixels(1))
    assert engine.see(_pixels(1)).vectors.shape == (1, 384)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_answers_as_the_cpu_does(engine: TorchEngine) -> None:
    assert engine.batched
    network = FAMILIES["vit"].network(HeadSpec("linear")).eval()
    with torch.inference_mode():
        expected = network(torch.from_numpy(_pixels(5))).numpy()
    for _ in range(2):
        np.testing.assert_allclose(engine.see(_pixels(5)).vectors, expected, atol=1e-4)
        assert {value.device.type for value in engine._network.load().parameters()} == {"cuda"}
        engine.unload()
        assert {value.device.type for value in engine._network.load().parameters()} == {"cpu"}
