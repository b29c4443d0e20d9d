"""Several processes, really started: together they take the steps of one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from unprompt.errors import DataError

torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402

from unprompt.training.loop import BEST  # noqa: E402
from unprompt.training.processes import Processes, gpu_of  # noqa: E402
from unprompt.training.run import train_recipe  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.slow]

OVERRIDES = ["loss.contrastive=0.0", "probe.epochs=1", "optimisation.epochs=1", "optimisation.clip=0.0"]


def _command(recipe: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "unprompt", "train", str(recipe), *OVERRIDES, "--output", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_two_processes_train_as_one(regressor_recipe: Path, tmp_path: Path) -> None:
    train_recipe(regressor_recipe, OVERRIDES, tmp_path / "one")
    run = _command(regressor_recipe, tmp_path / "two", "--processes", "2")
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("balanced\t") == 1  # one of the two reports
    one, two = (load_file(tmp_path / name / "probe" / BEST) for name in ("one", "two"))
    assert all(torch.allclose(value.float(), two[name].float(), atol=2e-5) for name, value in one.items())
    assert (tmp_path / "two" / "best" / "model.safetensors").exists()
    # And a run that is over is over for both.
    again = _command(regressor_recipe, tmp_path / "two", "--processes", "2")
    assert again.returncode == 0, again.stderr


def test_a_failure_in_one_is_a_failure_of_the_command(regressor_recipe: Path, tmp_path: Path) -> None:
    run = _command(regressor_recipe, tmp_path / "run", "--processes", "2", "network.name=nothing_like_it")
    assert run.returncode == 2
    # Nobody wants a traceback for each process; each may say that torch takes a while.
    (line,) = [line for line in run.stderr.splitlines() if not line.endswith(" ...")]
    assert "unknown backbone 'nothing_like_it'" in line


def test_each_process_has_a_gpu_of_its_own() -> None:
    assert gpu_of(1, 2) == torch.device("cuda", 1)
    with pytest.raises(DataError, match="expected at most 2 processes on this machine, one a GPU; found a process 3"):
        gpu_of(2, 2)


def test_batches_that_cannot_be_shared_evenly_are_refused(regressor_recipe: Path, tmp_path: Path) -> None:
    run = _command(regressor_recipe, tmp_path / "run", "--processes", "2", "optimisation.batch_size=5")
    assert run.returncode == 2
    assert "expected a batch_size that 2 processes can share evenly, found 5" in run.stderr


def test_rows_are_dealt_out() -> None:
    dealt = [list(range(7))[Processes(rank, 3, torch.device("cpu")).rows] for rank in range(3)]
    assert dealt == [[0, 3, 6], [1, 4], [2, 5]]
