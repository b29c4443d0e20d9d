"""How far a download is, told as it goes; what else is promised is tried by tests/cli/test_fetch.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub_server import Hub, serving

from unprompt.models.store import hub_download

CONTENT = bytes(range(256)) * 20_000
"""Five megabytes, and a bit."""


def progress(hub: Hub, begun: Path) -> int:
    """How many MB are told in all."""
    told: list[int] = []
    with serving(hub) as address:
        promise = hub_download._Promise("", len(CONTENT), f"{address}/laion/tiny/resolve/main/model.bin")
        hub_download._come(promise, begun, "model.bin", told.append)
    assert begun.read_bytes() == CONTENT
    return sum(told)


@pytest.mark.parametrize("whole", [set(), {"model.bin"}], ids=["goes on", "begins anew"])
@pytest.mark.parametrize("here", [0, 3_500_000, len(CONTENT)])
def test_what_is_there_counts_and_nothing_counts_twice(tmp_path: Path, whole: set[str], here: int) -> None:
    begun = tmp_path / "begun"
    begun.write_bytes(CONTENT[:here])
    hub = Hub({"laion/tiny": {"model.bin": CONTENT}}, whole=whole)
    assert progress(hub, begun) == 5
    assert hub.asked == ([] if here == len(CONTENT) else [("model.bin", here)])


def test_a_line_that_breaks_counts_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_download, "_PAUSE_S", 0)
    hub = Hub({"laion/tiny": {"model.bin": CONTENT}}, whole={"model.bin"}, cut={"model.bin": [4_200_000, 2_000_000]})
    assert progress(hub, tmp_path / "begun") == 5
