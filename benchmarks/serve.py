"""The service under load, beside the bare Unprompter in batches and a plain handler of FastAPI, in turns in one run.

- throughput: 16 clients that send one picture each, again and again; bare: the same pictures in batches of 8;
- latency: one client alone, beside a call in process;
- half load: requests that come at random, half as many as the throughput; p50, p95, p99 of what the clients wait.

Each picture is sent once: its bytes differ from those of all others, so that no answer is remembered. The servers are
processes of their own; the clients share the machine with them.

python benchmarks/serve.py [--pictures 96] [--rounds 3] [--preset embedded] [--no-text] [--plain PYTHON] [--json OUT]
--no-text asks for vectors alone: a picture then costs the models a tenth, and what the service adds shows best. PYTHON
is that of an environment with unprompt, fastapi, uvicorn and python-multipart; without it there is no plain handler.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import io
import itertools
import json
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median, quantiles

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from unprompt.unprompter import load

CLIENTS = 16
SIDE = 512
FORM = {"Content-Type": "multipart/form-data; boundary=frontier"}
EXAMPLES = Path(__file__).resolve().parent.parent / "examples"

PLAIN = """
import sys
import uvicorn
from fastapi import FastAPI, UploadFile
from unprompt import load
from unprompt.output.records import to_record

unprompter = load(sys.argv[2])
list(unprompter.predict(sys.argv[3]))
app = FastAPI()

@app.get("/ready")
def ready():
    return {}

@app.post("/v1/predict")
def predict(file: UploadFile):
    (answer,) = unprompter.predict(file.file.read(), text=sys.argv[4] == "true")
    return to_record(answer)

uvicorn.run(app, port=int(sys.argv[1]), log_level="error")
"""

_numbers = itertools.count()


def make_pictures(count: int) -> list[bytes]:
    """JPEGs of the examples, each cut out elsewhere."""
    rng = random.Random(0)
    sources = [Image.open(path).convert("RGB") for path in sorted(EXAMPLES.glob("*.jpg"))]
    found = []
    for _ in range(count):
        source = rng.choice(sources)
        side = rng.randint(min(source.size) // 2, min(source.size))
        left, top = (rng.randint(0, length - side) for length in source.size)
        file = io.BytesIO()
        source.crop((left, top, left + side, top + side)).resize((SIDE, SIDE)).save(file, "JPEG", quality=90)
        found.append(file.getvalue())
    return found


def unique(picture: bytes) -> bytes:
    """The picture with a number behind its end, which decoders ignore."""
    return picture + next(_numbers).to_bytes(8, "big")


class Asked:
    """A server that listens, and how it is asked."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.text = True
        self._local = threading.local()

    def ask(self, picture: bytes) -> float:
        """Sends one picture as a form, as browsers and most clients do; the seconds until its answer is read."""
        started = time.perf_counter()
        head = b'--frontier\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n'
        body = head + b"Content-Type: image/jpeg\r\n\r\n" + unique(picture) + b"\r\n--frontier--\r\n"
        path = f"/v1/predict?text={str(self.text).lower()}"
        connection = self._connection()
        try:
            connection.request("POST", path, body, FORM)
            response = connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionError):  # it was kept open for long enough
            connection.close()
            connection.request("POST", path, body, FORM)
            response = connection.getresponse()
        record = json.loads(response.read())
        if response.status != 200 or "prompt" not in record:
            raise RuntimeError(f"status {response.status}: {record}")
        return time.perf_counter() - started

    def _connection(self) -> http.client.HTTPConnection:
        if not hasattr(self._local, "connection"):
            self._local.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        connection: http.client.HTTPConnection = self._local.connection
        return connection


@contextlib.contextmanager
def served(command: Sequence[str], port: int) -> Iterator[Asked]:
    """A server in a process of its own, once it is ready."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        while True:
            if process.poll() is not None:
                raise RuntimeError(f"{command} ended with {process.returncode}")
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                connection.request("GET", "/ready")
                if connection.getresponse().status == 200:
                    break
            time.sleep(0.1)
        yield Asked(port)
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def throughput(server: Asked, pictures: Sequence[bytes]) -> float:
    """Pictures a second of 16 clients."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        started = time.perf_counter()
        list(pool.map(server.ask, pictures))
        return len(pictures) / (time.perf_counter() - started)


def half_load(server: Asked, pictures: Sequence[bytes], rate: float) -> list[float]:
    """What each request waited, if they come at random at this rate."""
    rng = random.Random(1)
    with ThreadPoolExecutor(64) as pool:
        waits = []
        for picture in pictures:
            time.sleep(rng.expovariate(rate))
            waits.append(pool.submit(server.ask, picture))
        return [wait.result() for wait in waits]


def main() -> None:
    """Measure, print, and write the numbers if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--preset", default="embedded")
    parser.add_argument("--no-text", action="store_true")
    parser.add_argument("--plain", metavar="PYTHON")
    parser.add_argument("--json", type=Path, metavar="OUT")
    options = parser.parse_args()
    text = not options.no_text
    pictures = make_pictures(options.pictures)
    few = pictures[: max(len(pictures) // 4, 8)]
    bare = load(options.preset)
    list(bare.predict(pictures[:8]))

    def in_batches(chosen: Sequence[bytes]) -> float:
        started = time.perf_counter()
        list(bare.predict([unique(picture) for picture in chosen], batch_size=8, text=text))
        return len(chosen) / (time.perf_counter() - started)

    def in_process(picture: bytes) -> float:
        started = time.perf_counter()
        list(bare.predict(unique(picture), text=text))
        return time.perf_counter() - started

    with contextlib.ExitStack() as stack:
        ports = free_port(), free_port()
        command = [sys.executable, "-m", "unprompt", "serve", "--preset", options.preset, "--port", str(ports[0])]
        command += ["--request-timeout-s", "3600"]
        service = stack.enter_context(served(command, ports[0]))
        plain = None
        if options.plain:
            code = [options.plain, "-c", PLAIN, str(ports[1]), options.preset, str(EXAMPLES / "coffee.jpg")]
            code.append(str(text).lower())
            plain = stack.enter_context(served(code, ports[1]))
        for server in filter(None, (service, plain)):
            server.text = text
        rates: dict[str, list[float]] = {"bare": [], "service": [], "plain": []}
        alone: dict[str, list[float]] = {"bare": [], "service": []}
        for _ in range(options.rounds):
            rates["bare"].append(in_batches(pictures))
            rates["service"].append(throughput(service, pictures))
            if plain is not None:
                rates["plain"].append(throughput(plain, pictures))
            for picture in few:
                alone["bare"].append(in_process(picture))
                alone["service"].append(service.ask(picture))
        waits = half_load(service, pictures, median(rates["service"]) / 2)
    report(rates, alone, waits, options.json)


def report(rates: dict[str, list[float]], alone: dict[str, list[float]], waits: list[float], out: Path | None) -> None:
    """Print a table, and write it as JSON."""
    found = {
        "pictures a second, bare in batches": median(rates["bare"]),
        "pictures a second, 16 clients": median(rates["service"]),
        "the same, of the bare": median(s / b for s, b in zip(rates["service"], rates["bare"], strict=True)),
        "ms, call in process": 1000 * median(alone["bare"]),
        "ms, one client alone": 1000 * median(alone["service"]),
        "the same, of the call": median(alone["service"]) / median(alone["bare"]),
    }
    cuts = quantiles(waits, n=100)
    found |= {f"ms at half load, p{cut}": 1000 * float(cuts[cut - 1]) for cut in (50, 95, 99)}
    if rates["plain"]:
        found["pictures a second, plain handler"] = median(rates["plain"])
        found["the service, of the plain"] = median(
            s / p for s, p in zip(rates["service"], rates["plain"], strict=True)
        )
    table = Table("measured", "value")
    table.columns[1].justify = "right"
    for name, value in found.items():
        table.add_row(name, f"{value:,.2f}")
    Console().print(table)
    if out is not None:
        out.write_text(json.dumps({name: float(np.round(value, 4)) for name, value in found.items()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
