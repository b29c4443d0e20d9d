"""The service at twice its capacity for some minutes, with clients that are slow, break off, or send what is broken.

Every whole picture carries a mark of its own as its written prompt or, for those that are predicted, in its name; an
answer that belongs to another, or none, is a fault. What is checked at the end:

- no 5xx but 503 and 504; each 429 has a Retry-After of 1 to 60 s;
- every request got its own answer, or a refusal; none was lost;
- the server's memory in the last minute is within 5 % of that in the first (after the first 20 s);
- afterwards nothing is held, waits or is in work.

python benchmarks/serve_soak.py [--minutes 10] [--preset embedded] [--clients 0]
With --clients 0 there are twice as many as the queue and the batches in work hold.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import http.client
import io
import json
import os
import random
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

FORM = "multipart/form-data; boundary=frontier"
QUEUE = 16
BATCH = 8


class Seen:
    """What the clients saw."""

    def __init__(self) -> None:
        self.statuses: collections.Counter[str] = collections.Counter()
        self.faults: list[str] = []
        self._lock = threading.Lock()

    def status(self, kind: str, status: int) -> None:
        """Count an answer."""
        with self._lock:
            self.statuses[f"{kind} {status}"] += 1

    def fault(self, words: str) -> None:
        """Keep what must not be."""
        with self._lock:
            self.faults.append(words)


def picture(seed: int, mark: str | None) -> bytes:
    """A PNG of noise; with a mark it is the written prompt."""
    info = PngInfo()
    if mark is not None:
        info.add_text("parameters", f"{mark}\nSteps: 20, Sampler: Euler a, Seed: {seed}, Size: 64x64")
    noise = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG", pnginfo=info)
    return file.getvalue()


def form(*parts: tuple[str, bytes]) -> bytes:
    """A multipart body of files."""
    body = b""
    for name, data in parts:
        head = f'--frontier\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        body += head.encode() + data + b"\r\n"
    return body + b"--frontier--\r\n"


class Client(threading.Thread):
    """One client, which behaves in one way after another until the end."""

    def __init__(self, number: int, port: int, end: float, seen: Seen) -> None:
        super().__init__(daemon=True)
        self._number, self._port, self._end, self._seen = number, port, end, seen
        self._rng = random.Random(number)
        self._count = 0

    def run(self) -> None:
        """Ask until the end."""
        ways = (self._written, self._predicted, self._many, self._broken, self._slow, self._breaks_off)
        while time.monotonic() < self._end:
            way = self._rng.choices(ways, (4, 6, 2, 3, 1, 2))[0]
            try:
                way()
            except (OSError, http.client.HTTPException) as error:
                self._seen.fault(f"{way.__name__}: {type(error).__name__}: {error}")

    def _mark(self) -> str:
        self._count += 1
        return f"mark {self._number} {self._count}"

    def _seed(self) -> int:
        return self._rng.randrange(1 << 31)

    def _ask(self, kind: str, body: bytes, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
        with contextlib.closing(connection):
            connection.request("POST", "/v1/predict", body, headers or {"Content-Type": FORM})
            response = connection.getresponse()
            data = response.read()
        self._seen.status(kind, response.status)
        if response.status >= 500 and response.status not in (503, 504):
            self._seen.fault(f"{kind}: {response.status} {data[:200]!r}")
        if response.status == 429:
            wait = response.headers.get("Retry-After", "")
            if not re.fullmatch(r"[1-9]|[1-5]\d|60", wait):
                self._seen.fault(f"{kind}: Retry-After {wait!r}")
            time.sleep(0.2)  # no client is so patient that the load would fall
        return response.status, data

    def _written(self) -> None:
        mark = self._mark()
        status, data = self._ask("written", form(("a.png", picture(self._seed(), mark))))
        if status == 200 and json.loads(data)["prompt"] != mark:
            self._seen.fault(f"{mark} got {data[:200]!r}")

    def _predicted(self) -> None:
        name = self._mark()
        status, data = self._ask("predicted", form((name, picture(self._seed(), None))))
        if status == 200:
            record = json.loads(data)
            if record["source"] != name or record["origin"] != "prediction" or not record["prompt"]:
                self._seen.fault(f"{name} got {data[:200]!r}")

    def _many(self) -> None:
        marks = [self._mark() for _ in range(4)]
        parts = [(f"{mark}.png", picture(self._seed(), mark)) for mark in marks]
        parts.insert(2, ("broken.png", picture(1, None)[:70]))
        status, data = self._ask("many", form(*parts))
        if status == 200:
            records = json.loads(data)["results"]
            found = [record.get("prompt", record.get("error", {}).get("kind")) for record in records]
            if found != [*marks[:2], "truncated", *marks[2:]]:
                self._seen.fault(f"{marks} got {found}")

    def _broken(self) -> None:
        bodies: list[tuple[bytes, dict[str, str], int]] = [
            (form(("a.png", picture(self._seed(), "x")[:80])), {"Content-Type": FORM}, 422),
            (form(("a.png", b"no picture")), {"Content-Type": FORM}, 422),
            (form(("a.png", picture(self._seed(), "x")))[:-20], {"Content-Type": FORM}, 400),
            (b'{"images": [', {"Content-Type": "application/json"}, 400),
            (b'{"images": ["?"]}', {"Content-Type": "application/json"}, 400),
            (b'{"images": ["http://127.0.0.1/"]}', {"Content-Type": "application/json"}, 403),
            (bytes(2_100_000), {"Content-Type": "image/png"}, 413),
        ]
        body, headers, expected = self._rng.choice(bodies)
        status, data = self._ask("broken", body, headers)
        if status not in (expected, 429, 503, 504):
            self._seen.fault(f"expected {expected}, got {status}: {data[:200]!r}")

    def _head(self, length: int) -> bytes:
        head = f"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM}\r\n"
        return f"{head}Content-Length: {length}\r\n\r\n".encode()

    def _slow(self) -> None:
        mark = self._mark()
        body = form(("a.png", picture(self._seed(), mark)))
        with socket.create_connection(("127.0.0.1", self._port), timeout=120) as connection:
            connection.sendall(self._head(len(body)))
            for start in range(0, len(body), 2000):
                time.sleep(0.2)
                try:
                    connection.sendall(body[start : start + 2000])
                except OSError:
                    break  # refused meanwhile
            received = b""
            with contextlib.suppress(ConnectionError):
                while chunk := connection.recv(65536):
                    received += chunk
                    head, _, answer = received.partition(b"\r\n\r\n")
                    length = re.search(rb"content-length: (\d+)", head.lower())
                    if length and len(answer) >= int(length[1]):
                        break
        status = int(received.split(b" ", 2)[1]) if received else 0
        self._seen.status("slow", status)
        if status == 200 and mark.encode() not in received:
            self._seen.fault(f"{mark} got {received[:300]!r}")
        if status == 0 or (status >= 500 and status not in (503, 504)):
            self._seen.fault(f"slow: {received[:300]!r}")

    def _breaks_off(self) -> None:
        body = form(("a.png", picture(self._seed(), None)))
        with socket.create_connection(("127.0.0.1", self._port), timeout=120) as connection:
            connection.sendall(self._head(len(body)) + body[: self._rng.choice([0, 100, len(body) // 2, len(body)])])
            time.sleep(self._rng.random() / 2)
        self._seen.status("breaks off", 0)


def memory_mb(pid: int) -> float:
    """The resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS")


def main() -> int:
    """Run it, and say what was found; 1 if anything was not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--preset", default="embedded")
    parser.add_argument("--clients", type=int, default=0)
    options = parser.parse_args()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    limits = {"QUEUE": QUEUE, "BATCH_SIZE": BATCH, "BODY_LIMIT_MB": 2, "UPLOAD_TIMEOUT_S": 20, "REQUEST_TIMEOUT_S": 60}
    environment = {f"UNPROMPT_{name}": str(value) for name, value in limits.items()}
    command = [sys.executable, "-m", "unprompt", "serve", "--preset", options.preset, "--port", str(port)]
    log = io.StringIO()
    server = subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True)
    reader = threading.Thread(target=lambda: log.writelines(server.stderr or ()), daemon=True)
    reader.start()
    try:
        wait_until_ready(port)
        seen = Seen()
        begun = time.monotonic()
        end = begun + 60 * options.minutes
        clients = [Client(n, port, end, seen) for n in range(options.clients or 2 * (QUEUE + 2 * BATCH))]
        for client in clients:
            client.start()
        samples = []
        while time.monotonic() < end:
            time.sleep(1)
            samples.append((time.monotonic() - begun, memory_mb(server.pid)))
        for client in clients:
            client.join(150)
            if client.is_alive():
                seen.fault("a client got no answer")
        time.sleep(1)
        metrics = get(port, "/metrics")
    finally:
        server.terminate()
        code = server.wait(60)
        reader.join(10)
    return report(seen, samples, metrics, code, log.getvalue())


def wait_until_ready(port: int) -> None:
    """Wait until the models are loaded."""
    while True:
        with contextlib.suppress(OSError, RuntimeError):
            get(port, "/ready")
            return
        time.sleep(0.2)


def get(port: int, path: str) -> str:
    """The body of a 200. Raises RuntimeError for any other status."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        text = response.read().decode()
        if response.status != 200:
            raise RuntimeError(f"status {response.status}")
        return text


def report(seen: Seen, samples: list[tuple[float, float]], metrics: str, code: int, log: str) -> int:
    """Print what was seen, and judge it."""
    for kind, count in sorted(seen.statuses.items()):
        print(f"{kind:20} {count:7,}")
    last = samples[-1][0]
    first_mb = median(mb for at, mb in samples if 20 <= at <= 80)
    last_mb = median(mb for at, mb in samples if at >= max(last - 60, 20))
    print(f"memory: {first_mb:,.1f} MB in the first minute after 20 s, {last_mb:,.1f} MB in the last")
    faults = list(seen.faults)
    if abs(last_mb / first_mb - 1) > 0.05:
        faults.append(f"memory grew by {last_mb / first_mb - 1:.1%}")
    for gauge in ("unprompt_queue_pictures", "unprompt_active_requests"):
        value = float(next(line for line in metrics.splitlines() if line.startswith(gauge + " ")).split()[1])
        if value > (gauge == "unprompt_active_requests"):  # the question itself is one
            faults.append(f"{gauge} {value}")
    if code != 0:
        faults.append(f"it ended with {code}")
    lines = [line for line in log.splitlines() if "fault of ours" in line or "Traceback" in line]
    faults.extend(f"in its log: {line}" for line in lines[:1])
    for fault in faults[:20]:
        print("FAULT", fault)
    print(f"{sum(seen.statuses.values()):,} requests, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
