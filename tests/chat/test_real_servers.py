"""Servers that other people wrote, on loopback: transformers' own `serve` and LitServe; and our service, whose dialect
is tested against the clients of others."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import services
import tiny_models
from chat_servers import client, pixels

from unprompt.bank.building import build_bank
from unprompt.chat.cleaning import clean
from unprompt.chat.encoded import data_uri
from unprompt.errors import ChatError
from unprompt.serve.settings import Settings
from unprompt.towers.embedded import EmbeddedPair

SECRET = "a-key-of-the-tests-0123456789"
PATIENCE_S = 600


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, towers: EmbeddedPair) -> Iterator[services.Running]:
    folder = tmp_path_factory.mktemp("service")
    preset = tiny_models.preset(folder / "tiny.toml", tiny_models.regressor(folder / "linear.tiny"))
    keys = folder / "keys.txt"
    keys.write_text(f"tests {SECRET}\n")
    build_bank(["a red fox"], folder / "one.bank", towers)
    settings = Settings(preset=str(preset), api_key_file=str(keys), bank=str(folder / "one.bank"))
    with services.running(settings) as running:
        yield running


def test_our_own_service(service: services.Running) -> None:
    said = client(f"{service.url}/v1", key=SECRET, without=("model",)).say(pixels(), "Describe it.")
    assert said.text
    assert said.note == ""


def test_our_own_service_refuses_what_is_wrong(service: services.Running) -> None:
    with pytest.raises(ChatError, match=r"status 401 .*set api_key_env"):
        client(f"{service.url}/v1").check()
    with pytest.raises(ChatError, match=r"status 404 \(.*expected the model 'tiny', found another.*check base_url"):
        client(f"{service.url}/v1", key=SECRET).check()
    with pytest.raises(ChatError, match="status 404"):
        client(f"{service.url}/v2", key=SECRET, without=("model",)).check()


@pytest.fixture(scope="module")
def transformers_serve() -> Iterator[str]:
    """The address of transformers' server."""
    pytest.importorskip("torch")
    with _served("transformers_serve.py", "fastapi", "uvicorn", "openai") as url:  # transformers' extra [serving]
        yield url


@pytest.fixture(scope="module")
def litserve() -> Iterator[str]:
    """The address of a LitServe with OpenAI's dialect."""
    with _served("litserve_chat.py", "litserve") as url:
        yield url


@contextlib.contextmanager
def _served(script: str, *modules: str) -> Iterator[str]:
    """Runs a script of `support` that serves at a port, in a process of its own; skips if it needs what is not here."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, Path(__file__).parents[1] / "support" / script, str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        start_new_session=True,
    )
    try:
        services.wait_for(lambda: _listens(port, process))
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # LitServe leaves its workers behind


def _listens(port: int, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "the server ended"
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionError:
        time.sleep(0.2)
        return False
    return True


@pytest.fixture(scope="module", params=["qwen2_5_vl", "llava"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a real class at tiny size."""
    import tiny_vlms

    return tiny_vlms.write_vlm(request.param, tmp_path_factory.mktemp("vlm") / "model")


@pytest.mark.torch
@pytest.mark.slow
def test_transformers_serve(transformers_serve: str, model: Path) -> None:
    asking = client(transformers_serve, str(model), timeout_s=PATIENCE_S, max_tokens=8, seed=0)
    asking.check()
    for seed in range(2):
        said = asking.say(pixels(seed, 60, 80), "a picture of the cat")
        assert said.note == ""
        assert said.text == clean(
            _by_openai(transformers_serve, model, seed), asked="a picture of the cat", is_cut=True
        )


def _by_openai(url: str, model: Path, seed: int) -> str:
    """The answer to the same question by OpenAI's own client."""
    import openai

    parts = [
        {"type": "image_url", "image_url": {"url": data_uri(pixels(seed, 60, 80), 768)}},
        {"type": "text", "text": "a picture of the cat"},
    ]
    with openai.OpenAI(base_url=url, api_key="none", timeout=PATIENCE_S) as asking:
        answer = asking.chat.completions.create(
            model=str(model),
            messages=[{"role": "user", "content": parts}],
            max_tokens=8,
            temperature=0,
            seed=0,  # type: ignore[list-item, misc]
        )
    return str(answer.choices[0].message.content)


@pytest.mark.torch
@pytest.mark.slow
def test_transformers_serve_without_the_model(transformers_serve: str, tmp_path: Path) -> None:
    asking = client(transformers_serve, timeout_s=PATIENCE_S)
    with pytest.raises(ChatError, match="found status 500"):
        asking.check()


@pytest.mark.slow
def test_litserve(litserve: str) -> None:
    asking = client(litserve, timeout_s=PATIENCE_S, seed=0)
    asking.check()
    assert asking.say(pixels(0, 60, 80), "What is it?").text == "a picture of 80 by 60 pixels, asked in 11 letters"
    assert client(litserve, side=64).say(pixels(0, 60, 80), "What?").text.startswith("a picture of 64 by 48 pixels")
