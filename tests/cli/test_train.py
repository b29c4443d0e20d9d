"""What `unprompt train` shows of a run; the runs themselves are tested in tests/training."""

from __future__ import annotations

import pytest

from unprompt.cli import steps
from unprompt.cli.train import stages


def test_stages_of_one_name_are_counted_apart(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(steps, "FIRST_LINE_S", 0.0)
    monkeypatch.setattr(steps, "NEXT_LINES_S", 0.0)
    with stages() as advance:
        for total in (4, 2, 2):  # features of training pictures, then of others; two stages of one size
            for done in range(1, total + 1):
                advance("features", done, total)
    counts = [line.partition(" samples")[0] for line in capsys.readouterr().err.splitlines()]
    told = [*(f"{done} of 4" for done in range(1, 5)), "1 of 2", "2 of 2", "1 of 2", "2 of 2"]
    assert counts == [f"unprompt: features: {line}" for line in told]
