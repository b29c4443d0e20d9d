"""Joins a Ray cluster, or starts one on this machine; says in seconds why it cannot."""

from __future__ import annotations

import contextlib
import importlib
import logging
import math
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from unprompt.errors import ClusterError, check_extra
from unprompt.scale.ray.pool import Needs
from unprompt.threads import core_count

ANSWER_LIMIT_S = 10.0
"""How long a cluster may take to answer at its address."""

STORE_BYTES = 256 << 20
"""The object store of a cluster that is started here: chunks and their rows pass through it, and nothing stays."""

# Read when Ray is imported. The first sends a report every hour, the second adds one on data sets.
_SILENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DATA_USAGE_DISABLED": "1"}

# Of a cluster that is started here. Ray gives its workers a niceness of 15, so that anything else on the machine would
# go first, and starts one for each CPU before anybody asks for it.
_OWN = {"RAY_worker_niceness": "0", "RAY_enable_worker_prestart": "0", "RAY_prestart_worker_first_driver": "0"}

# What is asked of whoever listens, before Ray's own patience begins, which is half a minute and more: a service of Ray,
# and a request of it in protobuf. Of the server for clients, a ping; of the head of a cluster, whether it is alive.
_CLIENTS = ("/ray.rpc.RayletDriver/ClusterInfo", b"\x08\x06")
_HEAD = ("/ray.rpc.NodeInfoGcsService/CheckAlive", b"")

_ADDRESS = re.compile(r"ray://(?P<host>\[[0-9A-Fa-f:.]+\]|[^:/\s]+):(?P<port>[0-9]{1,5})/?")
_GCS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:/\s]+):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster that is joined: its nodes that are alive, and what they have in all."""

    nodes: tuple[Mapping[str, Any], ...]
    cpus: float
    gpus: float

    def __str__(self) -> str:
        nodes = f"{len(self.nodes)} node{'s' if len(self.nodes) != 1 else ''}"
        return f"{nodes}, {self.cpus:g} CPU{f', {self.gpus:g} GPU' if self.gpus else ''}"

    def room(self, needs: Needs) -> int:
        """How many actors fit in, each on one node. Raises ClusterError if none does."""
        fits = sum(_fits(node["Resources"], needs) for node in self.nodes)
        if not fits:
            raise ClusterError(
                f"expected room for an actor of {needs}, found a cluster of {self}; ask for less with --actor-cpus and "
                "--actor-gpus"
            )
        return fits


def check_installed() -> None:
    """Raise MissingExtraError if Ray is not installed."""
    check_extra("ray", "a Ray cluster")


def check_address(address: str) -> None:
    """Raise ClusterError if an address is none, or if no cluster answers there in 10 s."""
    _remote(address)


def imported() -> Any:
    """The module `ray`, whose reports to its makers are switched off, in this process and those that it starts.

    Raises MissingExtraError.
    """
    check_installed()
    os.environ.update(_SILENT)
    return importlib.import_module("ray")


@contextlib.contextmanager
def joined(address: str, needs: Needs, actors: int | None = None) -> Iterator[Cluster]:
    """Join the cluster at `address` ("ray://HOST:PORT"), leave it at the end.

    "ray" is the cluster that RAY_ADDRESS names, or else one of this machine alone, which is started and ended, with
    room for the actors that are asked for. If this process has joined a cluster already, it is that one, and stays so.

    Raises MissingExtraError, and ClusterError if the address is none, or no cluster answers there in 10 s.
    """
    ray = imported()
    if address == "ray" and ray.is_initialized():
        yield _cluster(ray)
        return
    with contextlib.ExitStack() as stack:
        options = _remote(address) or _local(needs, actors, stack)
        stack.callback(ray.shutdown)
        _init(ray, address, options)
        yield _cluster(ray)


def _remote(address: str) -> dict[str, Any] | None:
    """How to join a cluster that runs already; None if one has to be started."""
    if address == "ray":
        there = os.environ.get("RAY_ADDRESS", "")
        if there in ("", "local"):
            return None
        if (found := _ADDRESS.fullmatch(there)) is not None:
            _check_answers(found["host"], int(found["port"]), f"{there} (RAY_ADDRESS)", _CLIENTS)
        elif (found := _GCS.fullmatch(there)) is not None:
            _check_answers(found["host"], int(found["port"]), f"{there} (RAY_ADDRESS)", _HEAD)
        return {"address": there}
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise ClusterError(f"expected --cluster ray or ray://HOST:PORT, found {address!r}; its port is usually 10001")
    _check_answers(found["host"], int(found["port"]), address, _CLIENTS)
    return {"address": address.rstrip("/")}


def _local(needs: Needs, actors: int | None, stack: contextlib.ExitStack) -> dict[str, Any]:
    """A cluster of this machine. The number of its CPUs is what actors are counted by, and no limit on threads."""
    for name, value in _OWN.items():
        os.environ.setdefault(name, value)
    folder = tempfile.mkdtemp(prefix="unprompt-ray-")  # Ray would leave its logs in the temporary folder of all
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    return {
        "address": "local",
        "num_cpus": max(core_count(), math.ceil((actors or 0) * needs.cpus)),
        "object_store_memory": STORE_BYTES,
        "include_dashboard": False,
        "_temp_dir": folder,
    }


def _init(ray: Any, address: str, options: dict[str, Any]) -> None:
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
    except Exception as error:  # of a node that does not start in time, Ray raises no other class
        said = " ".join(str(error).split())[:500]
        raise ClusterError(
            f"cannot join the cluster {address}: {said}; if it asks for a token, set RAY_AUTH_MODE=token"
        ) from error


def _check_answers(host: str, port: int, shown: str, question: tuple[str, bytes]) -> None:
    """Raise ClusterError if what is asked is not answered there in time."""
    began_s = time.monotonic()
    try:
        with socket.create_connection((host.strip("[]"), port), timeout=ANSWER_LIMIT_S):
            pass
        _check_speaks(f"{host}:{port}", question, ANSWER_LIMIT_S - (time.monotonic() - began_s))
    except (OSError, OverflowError) as error:  # a port above 65535
        why = getattr(error, "strerror", None) or str(error)
        raise ClusterError(
            f"expected a Ray cluster at {shown}, found none within {ANSWER_LIMIT_S:.0f} s (tried a connection to "
            f"{host} port {port}: {why}); check the address and `ray status` there, or start one: ray start --head "
            "--ray-client-server-port=10001"
        ) from error


def _check_speaks(target: str, question: tuple[str, bytes], limit_s: float) -> None:
    """Raise OSError if what listens there does not know the service of Ray that is asked for, or says nothing."""
    try:
        import grpc
    except ModuleNotFoundError:  # it comes with the extra, but Ray itself does without
        return
    if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
        return  # with certificates of its own, which Ray knows
    method, request = question
    # As Ray does, past any proxy; a server that a proxy's page stands for has no such service.
    with grpc.insecure_channel(target, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            channel.unary_unary(method)(request, timeout=max(limit_s, 1.0), wait_for_ready=True)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                wanted = "server for clients" if question is _CLIENTS else "head"
                raise OSError(f"something answers there that is not Ray's {wanted}") from error
            if error.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE):
                raise OSError("connected, but what listens there does not answer as Ray does") from error
            # Anything else is an answer of Ray, for example that it wants a token.


def _cluster(ray: Any) -> Cluster:
    nodes = tuple(node for node in ray.nodes() if node["Alive"])
    total = [sum(node["Resources"].get(kind, 0.0) for node in nodes) for kind in ("CPU", "GPU")]
    return Cluster(nodes, *total)


def _fits(resources: Mapping[str, float], needs: Needs) -> int:
    counts = [
        math.floor(resources.get(kind, 0.0) / wanted + 1e-9)
        for kind, wanted in (("CPU", needs.cpus), ("GPU", needs.gpus))
        if wanted
    ]
    return min(counts, default=1)
