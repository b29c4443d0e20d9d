"""A hub that does not answer is asked once, and for a moment."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import hub_server
import pytest

from unprompt.datasets.hub import hub_records
from unprompt.errors import DataError, LocationError, OutOfReachError
from unprompt.locations import hub_reach
from unprompt.locations.remote import RemoteFolder
from unprompt.models.store.hub_download import download
from unprompt.progress import SILENT


class SilentHub:
    """Takes connections and never says a word."""

    def __init__(self) -> None:
        self.taken: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._take, daemon=True).start()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def _take(self) -> None:
        while True:
            try:
                self.taken.append(self._server.accept()[0])
            except OSError:
                return

    def close(self) -> None:
        """Let go of everybody."""
        self._server.close()
        for connection in self.taken:
            connection.close()


@pytest.fixture
def silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SilentHub]:
    """The hub that all questions go to."""
    hub = SilentHub()
    hub_server.ask_hub_at(hub.address, tmp_path, monkeypatch)
    monkeypatch.setattr(hub_reach, "ANSWER_S", 0.2)
    yield hub
    hub.close()


def test_a_silent_hub_is_asked_once_whoever_wants_something(silent: SilentHub) -> None:
    for name in ("a.bin", "b.bin"):
        with pytest.raises(OutOfReachError, match="the hub is out of reach"):
            download("someone/model", [name], SILENT)
    assert len(silent.taken) == 1


def test_a_store_on_a_silent_hub(silent: SilentHub) -> None:
    pytest.importorskip("fsspec")
    with pytest.raises(LocationError, match="check the network"):
        RemoteFolder.at("hf://datasets/someone/something").entry("a.png")
    assert len(silent.taken) == 1


def test_a_data_set_on_a_silent_hub(silent: SilentHub) -> None:
    datasets = pytest.importorskip("datasets")
    before = datasets.config.HF_HUB_OFFLINE
    with pytest.raises(DataError, match="cannot be reached"):
        next(hub_records("hub:someone/something"))
    assert len(silent.taken) == 1
    assert before == datasets.config.HF_HUB_OFFLINE


def test_a_hub_that_answers_is_reached_whatever_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with hub_server.serving(hub_server.Hub({})) as address:
        hub_server.ask_hub_at(address, tmp_path, monkeypatch)
        assert hub_reach.hub_fault() == ""
