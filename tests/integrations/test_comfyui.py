"""The node pack against ComfyUI's contract, in process and through a server."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import services
import tiny_models
from services import Running

from unprompt.serve.settings import Settings
from unprompt.unprompter import load

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

KNOWN_TYPES = {"IMAGE", "STRING", "FLOAT"}


@pytest.fixture(scope="module")
def pack(root: Path) -> ModuleType:
    """Loaded as ComfyUI loads it: a package by the path of its folder, whatever that is called."""
    folder = root / "integrations" / "comfyui"
    spec = importlib.util.spec_from_file_location("custom_unprompt", folder / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["custom_unprompt"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("preset")
    return tiny_models.preset(folder / "tiny.toml", tiny_models.regressor(folder / "linear.tiny"))


@pytest.fixture(scope="module")
def service(preset: Path) -> Iterator[Running]:
    with services.running(Settings(preset=str(preset))) as running:
        yield running


def images(count: int = 2) -> Any:
    """ComfyUI's IMAGE: (batch, height, width, 3), float32 from 0 to 1."""
    pixels = np.random.default_rng(3).integers(0, 256, (count, 48, 64, 3), dtype=np.uint8)
    return torch.from_numpy(pixels.astype(np.float32) / 255), pixels


def test_nodes_keep_the_contract(pack: ModuleType) -> None:
    assert set(pack.NODE_CLASS_MAPPINGS) == set(pack.NODE_DISPLAY_NAME_MAPPINGS)
    for node in pack.NODE_CLASS_MAPPINGS.values():
        assert isinstance(node.CATEGORY, str)
        assert callable(getattr(node(), node.FUNCTION))
        assert set(node.RETURN_TYPES) <= KNOWN_TYPES
        assert len(node.RETURN_TYPES) == len(node.RETURN_NAMES) == len(node.OUTPUT_IS_LIST)
        inputs = node.INPUT_TYPES()
        assert set(inputs) <= {"required", "optional", "hidden"}
        for kind in inputs.values():
            for told in kind.values():
                assert told[0] in KNOWN_TYPES
        needed = {name: "x" for name in inputs["required"] if name != "image"}
        import inspect

        inspect.signature(getattr(node, node.FUNCTION)).bind(node(), image=None, **needed)


@pytest.mark.parametrize("through", ["process", "server"])
def test_a_batch_gives_a_list_of_prompts(pack: ModuleType, service: Running, preset: Path, through: str) -> None:
    node = pack.NODE_CLASS_MAPPINGS["UnpromptPicture"]()
    tensor, pixels = images()
    way = {"preset": str(preset)} if through == "process" else {"server": service.url}
    prompts, negatives, scores, confidences = getattr(node, node.FUNCTION)(image=tensor, **way)
    expected = list(load(preset, threads=1).predict(list(pixels)))
    assert prompts == [answer.prompt for answer in expected]
    assert negatives == ["", ""]
    assert scores == pytest.approx([answer.self_similarity for answer in expected], abs=1e-5)
    assert confidences == [0.0] * len(expected)  # this preset is not calibrated


@pytest.mark.parametrize("through", ["process", "server"])
def test_a_prompt_is_scored(pack: ModuleType, service: Running, preset: Path, through: str) -> None:
    node = pack.NODE_CLASS_MAPPINGS["UnpromptScore"]()
    tensor, pixels = images(1)
    way = {"preset": str(preset)} if through == "process" else {"server": service.url}
    (scores,) = getattr(node, node.FUNCTION)(image=tensor, prompt="a cat", **way)
    expected = load(preset, threads=1).score(pixels[0], ["a cat"])[0].similarity
    assert scores == pytest.approx([expected], abs=1e-5)


def test_transparency_lies_on_white(pack: ModuleType) -> None:
    nodes = sys.modules["custom_unprompt.nodes"]
    (picture,) = nodes.pictures_of(torch.zeros(1, 2, 2, 4))
    assert (picture == 255).all()


def test_errors_say_what_to_do(pack: ModuleType, service: Running) -> None:
    node = pack.NODE_CLASS_MAPPINGS["UnpromptPicture"]()
    tensor, _pixels = images(1)
    with pytest.raises(ValueError, match="connect an image"):
        node.predict(torch.zeros(2, 2))
    with pytest.raises(ValueError, match="leave it empty"):
        node.predict(tensor, server="file:///etc/passwd")
    with pytest.raises(RuntimeError, match="found: "):
        node.predict(tensor, server="http://127.0.0.1:1")
    with pytest.raises(RuntimeError, match="answered 413: expected at most 64 pictures"):
        node.predict(torch.zeros(65, 4, 4, 3), server=service.url)
