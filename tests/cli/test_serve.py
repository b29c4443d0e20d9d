"""`unprompt serve` up to where it listens."""

import inspect
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unprompt.cli.serve import ServiceOptions, serve
from unprompt.serve.settings import Settings


def test_every_option_is_also_a_variable() -> None:
    hints = inspect.get_annotations(serve, eval_str=True) | inspect.get_annotations(ServiceOptions, eval_str=True)
    options: dict[str, Any] = {
        hint.__metadata__[0].default: hint.__metadata__[0] for hint in hints.values() if hasattr(hint, "__metadata__")
    }
    assert len(options) > 20
    for name, option in options.items():
        if name != "--check":
            assert option.envvar == "UNPROMPT_" + name.removeprefix("--").upper().replace("-", "_")


def test_defaults_are_those_of_the_settings() -> None:
    for name, value in vars(ServiceOptions()).items():
        default = getattr(Settings(), name)
        assert (value or ()) == default if isinstance(default, tuple) else value == default


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def test_check_says_that_nothing_is_missing(unprompt: Callable[..., Any], preset: Path, port: int) -> None:
    run = unprompt("serve", "--check", "--preset", preset, "--port", port)
    assert (run.code, run.err) == (0, "")
    assert run.out == f"preset {preset}: fine\naddress: fine\nkeys: fine\nbank: fine\n"


def test_check_says_all_that_is_missing(
    unprompt: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("UNPROMPT_PORT", str(taken.getsockname()[1]))
        monkeypatch.setenv("UNPROMPT_BANK", str(tmp_path))
        run = unprompt("serve", "--check", "--preset", "embeded", "--api-key-file", tmp_path / "none")
    assert run.code == 2
    lines = run.out.splitlines()
    assert lines[0].endswith("did you mean 'embedded'?")
    assert lines[1].startswith("address: expected to listen on ")
    assert lines[2].startswith("keys: expected a file of keys")
    assert lines[3].startswith("bank: ")
    assert "4 of these must be mended" in run.err


def test_other_addresses_need_a_key(unprompt: Callable[..., Any]) -> None:
    run = unprompt("serve", "--host", "0.0.0.0")
    assert run.code == 2
    assert "--api-key-file or --public" in run.err
