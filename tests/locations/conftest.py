"""A real object store for the tests of locations."""

from collections.abc import Iterator

import pytest
from object_stores import ObjectStore, object_store


@pytest.fixture(scope="module")
def running() -> Iterator[ObjectStore]:
    with object_store() as store:
        yield store


@pytest.fixture
def store(running: ObjectStore) -> ObjectStore:
    """The store, with the empty bucket "pictures" and nothing wrong."""
    running.empty()
    return running
