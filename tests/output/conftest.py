"""What the tests of outputs share."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest


@pytest.fixture
def largest_file() -> Callable[[int], AbstractContextManager[None]]:
    """Stands in for a full disk: the system refuses bytes past a size, in the middle of a write."""
    resource = pytest.importorskip("resource")

    @contextlib.contextmanager
    def limited(size: int) -> Iterator[None]:
        before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))

    return limited
