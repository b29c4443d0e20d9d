"""A Ray cluster for all tests of the session: that of RAY_ADDRESS, or one of this machine that ends with them.

from ray_clusters import cluster, ray  # in a conftest.py
"""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import deadly_phrasing
import pytest

from unprompt.errors import ClusterError
from unprompt.scale.ray.cluster import Cluster, joined
from unprompt.scale.ray.pool import Needs

ACTORS = 2


@pytest.fixture(scope="session")
def ray() -> Any:
    """Ray itself."""
    return pytest.importorskip("ray", reason="needs the extra [ray]")


@pytest.fixture(scope="session")
def cluster(ray: Any) -> Iterator[Cluster]:
    """A cluster with room for two actors; its processes get the classes of the tests by their code."""
    said = ""
    with ExitStack() as stack:
        try:
            cluster = stack.enter_context(joined("ray", Needs(), ACTORS))
        except ClusterError as error:  # Ray gives its own processes 15 and 30 s, which a busy machine may not have
            said = str(error)
        if said:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)  # what it began ends with this process
                gc.collect()
            pytest.skip(f"Ray did not start: {said}")
        ray.cloudpickle.register_pickle_by_value(sys.modules[deadly_phrasing.__name__])
        yield cluster
