"""What the tests of the command line share."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import tiny_models


class Run(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def preset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A preset whose only member is a tiny regressor."""
    folder = tmp_path_factory.mktemp("preset")
    return tiny_models.preset(folder / "tiny.toml", tiny_models.regressor(folder / "linear.tiny"))


@pytest.fixture
def gone(tmp_path: Path) -> Path:
    """A picture that is named and cannot be read: a link that leads nowhere."""
    link = tmp_path / "gone.png"
    link.symlink_to(tmp_path / "was-here.png")
    return link


@pytest.fixture
def unprompt(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Run]:
    """Runs the command line in this process."""
    from unprompt.cli import progress
    from unprompt.cli.main import main

    monkeypatch.setattr(progress, "SIGN_S", 600.0)  # on a busy machine everything takes long enough to be announced

    monkeypatch.setenv("COLUMNS", "1000")  # tables whose cells are whole

    def run(*arguments: object) -> Run:
        monkeypatch.setattr(sys, "argv", ["unprompt", *map(str, arguments)])
        try:
            code = main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        return Run(code, *capsys.readouterr())

    return run
