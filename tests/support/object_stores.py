"""A real object store on loopback, moto's, which counts what it is asked and can be slow, busy, closed or broken."""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

Answer = tuple[str, bytes]
"""A status line and a body."""

DENIED = ("403 Forbidden", b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>")
SLOW_DOWN = ("503 Slow Down", b"<Error><Code>SlowDown</Code><Message>please</Message></Error>")
EXPIRED = ("400 Bad Request", b"<Error><Code>ExpiredToken</Code><Message>old</Message></Error>")
BAD_KEY = ("403 Forbidden", b"<Error><Code>InvalidAccessKeyId</Code><Message>who?</Message></Error>")


@dataclass
class ObjectStore:
    """The store; `endpoint` is its address. `asked` counts the requests by method and path, without the query."""

    endpoint: str = ""
    asked: Counter[str] = field(default_factory=Counter)
    slow_s: dict[str, float] = field(default_factory=dict)
    refused: dict[str, Answer] = field(default_factory=dict)
    """What is answered at a path, always."""
    busy: Counter[str] = field(default_factory=Counter)
    """How often SLOW_DOWN is answered at a path before the store works."""
    ignores_conditions: bool = False
    refuses_writes_below: str = "/nothing/"

    def empty(self) -> None:
        """Leave nothing but an empty bucket, nothing wrong and nothing counted."""
        from moto.s3.models import s3_backends

        s3_backends["123456789012"]["aws"].reset()
        self.put({})
        for record in (self.asked, self.slow_s, self.refused, self.busy):
            record.clear()
        self.ignores_conditions = False
        self.refuses_writes_below = "/nothing/"

    def put(self, objects: dict[str, bytes], bucket: str = "pictures") -> None:
        """Put objects into a bucket, without a request."""
        from moto.s3.models import s3_backends

        backend = s3_backends["123456789012"]["aws"]
        if bucket not in backend.buckets:
            backend.create_bucket(bucket, "us-east-1")
        for key, data in objects.items():
            backend.put_object(bucket, key, data)

    def get(self, key: str, bucket: str = "pictures") -> bytes | None:
        """The bytes of an object; None if it is not there."""
        from moto.s3.models import s3_backends

        found = s3_backends["123456789012"]["aws"].get_object(bucket, key)
        return None if found is None else found.value

    def names(self, bucket: str = "pictures") -> list[str]:
        """The keys of all objects."""
        from moto.s3.models import s3_backends

        return sorted(s3_backends["123456789012"]["aws"].buckets[bucket].keys.keys())

    def asked_for(self, path: str) -> int:
        """How many requests of any kind went to a path."""
        return sum(times for asked, times in self.asked.items() if asked.partition(" ")[2] == path)


@contextlib.contextmanager
def object_store() -> Iterator[ObjectStore]:
    """An empty store on this machine; `led_to` leads the process there."""
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server")
    from moto.moto_api._internal import moto_api_backend
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, *_: Any) -> None:
            """Say nothing."""

    store = ObjectStore()
    moto_api_backend.reset()
    guarded = _guarded(server.DomainDispatcherApplication(server.create_backend_app), store)
    listening = make_server("127.0.0.1", 0, guarded, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    store.endpoint = f"http://127.0.0.1:{listening.server_port}"
    try:
        yield store
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()


@contextlib.contextmanager
def led_to(endpoint: str) -> Iterator[None]:
    """The clients of this process ask the store at an endpoint, with credentials of its kind."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(endpoint).items():
            patch.setenv(name, value)
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3", "FSSPEC_S3_ANON"):
            patch.delenv(name, raising=False)
        yield


def environment(endpoint: str) -> dict[str, str]:
    """The variables that lead a process to the store."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing-secret-word",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": "/nowhere",
        "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _guarded(
    app: Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]], store: ObjectStore
) -> Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]:
    """The store behind a door that counts, waits and refuses."""
    lock = threading.Lock()

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = unquote(environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace"))
        with lock:
            store.asked[f"{environ['REQUEST_METHOD']} {path}"] += 1
            is_busy = store.busy[path] > 0
            store.busy[path] -= is_busy
        time.sleep(store.slow_s.get(path, 0))
        is_shut = environ["REQUEST_METHOD"] == "PUT" and path.startswith(store.refuses_writes_below)
        if is_busy or is_shut or path in store.refused:
            status, body = SLOW_DOWN if is_busy else DENIED if is_shut else store.refused[path]
            start(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
            return [body]
        if store.ignores_conditions:
            environ.pop("HTTP_IF_NONE_MATCH", None)
        with lock:  # moto's own store is not safe in threads
            return app(environ, start)

    return answer
