"""What all tests share."""

import os
import signal

# Before numpy, onnxruntime or torch is imported: they read it once. Two threads on busy cores are slower than one.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# No test reaches for the network, whatever the libraries under test would like to look up.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from object_stores import ObjectStore

    from unprompt.towers.embedded import EmbeddedPair

# A shell that runs a script starts `command &` deaf to SIGINT, and what the tests start inherits that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent

# The same examples on every run, and no stopwatch: CI shares its cores.
hypothesis.settings.register_profile("unprompt", derandomize=True, deadline=None)
hypothesis.settings.load_profile("unprompt")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is quick to fail comes first: the rules of the whole repository, then all but what is marked slow."""
    items.sort(key=lambda item: (item.get_closest_marker("slow") is not None, item.path.parent != ROOT / "tests"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def examples(root: Path) -> Path:
    """The folder of pictures that the project ships."""
    return root / "examples"


@pytest.fixture(scope="session")
def shared(root: Path) -> Path:
    """The folder of data that is not part of the project: $UNPROMPT_SHARED, or `shared` beside the repository."""
    folder = Path(os.environ.get("UNPROMPT_SHARED", root.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no data folder {folder}: set UNPROMPT_SHARED to where it is")
    return folder


@pytest.fixture(scope="session")
def running_store() -> "Iterator[ObjectStore]":
    """A real object store on loopback; ask for `store`."""
    from object_stores import object_store

    from unprompt.locations import remote

    with object_store() as store:
        remote.forget_clients()
        yield store
    remote.forget_clients()


@pytest.fixture
def store(running_store: "ObjectStore") -> "Iterator[ObjectStore]":
    """The store, with the empty bucket "pictures" and nothing wrong, to which this process is led."""
    from object_stores import led_to

    running_store.empty()
    with led_to(running_store.endpoint):
        yield running_store


@pytest.fixture
def fresh_clients(store: "ObjectStore") -> "Iterator[None]":
    """Clients of the test's own, for one that changes what they are made of; making one takes half a second."""
    from unprompt.locations import remote

    remote.forget_clients()
    yield
    remote.forget_clients()


@pytest.fixture(scope="session")
def towers() -> "EmbeddedPair":
    """The embedded pair, loaded once."""
    from unprompt.towers.embedded import EmbeddedPair

    return EmbeddedPair(1)
