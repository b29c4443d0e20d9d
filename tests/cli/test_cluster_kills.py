"""Many minutes: run before a release with `pytest -m proof`."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.proof, pytest.mark.ray]


@pytest.mark.parametrize("what", ["actors", "driver", "node"])
def test_what_is_killed_costs_no_answer_and_doubles_none(what: str, root: Path) -> None:
    pytest.importorskip("ray.cluster_utils", reason="needs the extra [ray]")

    run = subprocess.run(
        [sys.executable, root / "tests" / "support" / "ray_kills.py", what], capture_output=True, text=True, check=False
    )

    assert run.returncode == 0, run.stdout + run.stderr[-2000:]
