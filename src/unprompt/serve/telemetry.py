"""What is counted, for Prometheus, and what is logged: sizes, times and states, never what a request held."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

if TYPE_CHECKING:
    from unprompt.serve.queue import Done

CONTENT_TYPE = CONTENT_TYPE_LATEST
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that names the folder in which several workers count together; the library reads it at import."""

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_SIZES = (1, 2, 4, 8, 16, 32)

_log = logging.getLogger("unprompt.serve")


class Telemetry:
    """The counters of one service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "unprompt_requests_total", "Requests by route and status.", ("route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "unprompt_request_seconds", "From a request's head to its answer.", ("route",), buckets=_SECONDS,
            registry=self.registry,
        )  # fmt: skip
        self.pictures = Counter(
            "unprompt_pictures_total", "Pictures by what became of them.", ("outcome",), registry=self.registry
        )
        self.batch = Histogram(
            "unprompt_batch_pictures", "Pictures answered together.", buckets=_SIZES, registry=self.registry
        )
        self.batch_seconds = Histogram(
            "unprompt_batch_seconds", "Time of a batch.", buckets=_SECONDS, registry=self.registry
        )
        # Of a gauge, several workers write a file each; "livesum" adds those of the living.
        self.waiting = Gauge(
            "unprompt_queue_pictures", "Pictures that wait.", multiprocess_mode="livesum", registry=self.registry
        )
        self.active = Gauge(
            "unprompt_active_requests", "Requests in work.", multiprocess_mode="livesum", registry=self.registry
        )

    def watch(self, waiting: Callable[[], float], active: Callable[[], float]) -> None:
        """Ask these whenever the counters are read; several workers write them down instead: see `sample`."""
        if SHARED_FOLDER not in os.environ:
            self.waiting.set_function(waiting)
            self.active.set_function(active)

    def sample(self, waiting: float, active: float) -> None:
        """Write the gauges down for the other workers."""
        if SHARED_FOLDER in os.environ:
            self.waiting.set(waiting)
            self.active.set(active)

    def done(self, done: Done) -> None:
        """Count a batch."""
        self.batch.observe(done.items)
        self.batch_seconds.observe(done.work_s)

    def answered(self, route: str, status: int, seconds: float, size: int, words: str = "") -> None:
        """Count a request and log it; `words` is logged too, and is empty unless --log-prompts."""
        self.requests.labels(route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)
        _log.info("%d %s %d B %.3f s%s", status, route, size, seconds, f" {words}" if words else "")

    def text(self) -> bytes:
        """All counters as Prometheus reads them; with several workers, the sums over all of them."""
        if SHARED_FOLDER not in os.environ:
            return generate_latest(self.registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)


def forget_process() -> None:
    """Take this process, which ends, out of the sums of living workers."""
    if SHARED_FOLDER in os.environ:
        mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]
