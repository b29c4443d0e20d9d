import socket
import sys
from concurrent import futures
from typing import Any

import pytest

from unprompt.errors import ClusterError, MissingExtraError
from unprompt.scale.ray import cluster as module
from unprompt.scale.ray.cluster import Cluster, joined
from unprompt.scale.ray.nodes import differences
from unprompt.scale.ray.pool import Needs


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize("address", ["spark", "ray://", "ray://host", "ray://host:port", "ray:/h:1", "ray://h:1/x", ""])
def test_an_address_is_checked_before_anything_is_tried(address: str, ray: Any) -> None:
    with pytest.raises(ClusterError, match="expected --cluster ray or ray://HOST:PORT, found"):
        joined(address, Needs()).__enter__()


def test_a_cluster_that_is_not_there_is_said_at_once(ray: Any) -> None:
    with pytest.raises(ClusterError, match=r"found none within 10 s \(tried a connection to 127.0.0.1 port \d+: .+\)"):
        joined(f"ray://127.0.0.1:{free_port()}", Needs()).__enter__()


def test_the_address_of_the_environment_is_checked_too(ray: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{free_port()}")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)  # by another test

    with pytest.raises(ClusterError, match="RAY_ADDRESS"):
        joined("ray", Needs()).__enter__()


def test_something_else_that_listens_there_is_noticed(ray: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("grpc", reason="needs the extra [ray]")
    monkeypatch.setattr(module, "ANSWER_LIMIT_S", 1.0)

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ClusterError, match="does not answer as Ray does"):
            joined(f"ray://127.0.0.1:{port}", Needs()).__enter__()


def test_another_service_is_not_taken_for_ray(ray: Any) -> None:
    """The head of a cluster, say, in place of its server for clients; Ray itself would try for half a minute."""
    grpc = pytest.importorskip("grpc", reason="needs the extra [ray]")
    server = grpc.server(futures.ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with pytest.raises(ClusterError, match="something answers there that is not Ray's server for clients"):
            joined(f"ray://127.0.0.1:{port}", Needs()).__enter__()
    finally:
        server.stop(None).wait()


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)

    with pytest.raises(MissingExtraError, match=r"pip install 'unprompt\[ray\]'"):
        joined("ray", Needs()).__enter__()


@pytest.mark.parametrize(
    ("needs", "room"),
    [(Needs(), 5), (Needs(0.5), 10), (Needs(2), 2), (Needs(1, 1), 2), (Needs(0, 0.25), 8), (Needs(1, 0.5), 3)],
)
def test_actors_are_counted_by_what_fits_on_each_node(needs: Needs, room: int) -> None:
    nodes = tuple({"Resources": resources} for resources in ({"CPU": 3.0, "GPU": 2.0}, {"CPU": 2.0}))

    assert Cluster(nodes, 5.0, 2.0).room(needs) == room


def test_a_cluster_is_described_by_what_it_has() -> None:
    nodes = ({"Resources": {"CPU": 3.0}}, {"Resources": {"GPU": 1.0}})

    assert str(Cluster(nodes, 3.0, 1.0)) == "2 nodes, 3 CPU, 1 GPU"
    with pytest.raises(ClusterError, match="found a cluster of 2 nodes, 3 CPU, 1 GPU; ask for less"):
        Cluster(nodes, 3.0, 1.0).room(Needs(1, 1))


MINE = {"python": "3.12.1", "unprompt": "1.0", "preset's models tiny": "ab12", "files": "sees /a.png"}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (MINE, []),
        ({**MINE, "python": "3.11.9"}, ["node n: Python 3.11.9, here 3.12.1"]),
        (
            {**MINE, "unprompt": "0.9", "preset's models tiny": "cd34"},
            ["node n: unprompt 0.9, here 1.0", "node n: preset's models tiny is cd34, here ab12"],
        ),
        (
            {"python": "3.12.1", "unprompt": "1.0", "preset": "it has no model", "files": "sees /a.png"},
            ["node n: the preset cannot be opened: it has no model"],
        ),
        ({**MINE, "files": "does not see /a.png"}, ["node n: does not see /a.png, which is a file here; "]),
        ({"error": "no module unprompt"}, ["node n: no module unprompt"]),
    ],
)
def test_each_difference_of_a_node_is_named(said: dict[str, str], expected: list[str]) -> None:
    found = differences("node n", said, MINE)

    assert len(found) == len(expected)
    assert all(line.startswith(part) for line, part in zip(found, expected, strict=True))
