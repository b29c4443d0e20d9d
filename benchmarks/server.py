"""A chat server as a member: many questions at the same time, beside one at a time and beside the bare requests.

The server is one of our own on loopback that takes a second for each question and answers as many at once as it is
asked. So the ratio says what the member adds: reading, reducing and encoding pictures, and waiting for a batch to end.
On a busy machine it is lower: `processor_s`, which holds the server's share too, then takes more seconds.

python benchmarks/server.py [--pictures 64] [--concurrency 8] [--seconds 1] [--json OUT]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from unprompt.prediction import Prediction
from unprompt.presets import load_preset
from unprompt.progress import SILENT
from unprompt.unprompter import Unprompter

SIDE = 512
ANSWER = json.dumps({"choices": [{"message": {"content": "a red fox in the snow"}, "finish_reason": "stop"}]}).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


@contextlib.contextmanager
def slow_server(seconds: float) -> Iterator[str]:
    """Its address; each answer takes so long."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(seconds)
            self.send_response(200)
            self.send_header("Content-Length", str(len(ANSWER)))
            self.end_headers()
            self.wfile.write(ANSWER)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = _Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def write_pictures(folder: Path, count: int) -> list[str]:
    """So many different pictures."""
    paths = []
    for number in range(count):
        coarse = np.random.default_rng(number).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        paths.append(str(folder / f"{number:03}.jpg"))
        Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(paths[-1], quality=90)
    return paths


def with_unprompt(folder: Path, url: str, concurrency: int, paths: list[str]) -> tuple[float, float]:
    """The seconds that a preset of the server alone takes for all pictures, and those of the processor."""
    preset = folder / "own.toml"
    preset.write_text(f'[[members]]\nkind = "server"\nmodel = "m"\nbase_url = "{url}"\nconcurrency = {concurrency}\n')
    unprompter = Unprompter(load_preset(preset))
    unprompter.prepare(SILENT)
    _ = unprompter.encoder.encode(["loaded"])
    start, before = time.perf_counter(), time.process_time()
    answers = list(unprompter.predict(paths, text=False))
    taken, worked = time.perf_counter() - start, time.process_time() - before
    assert all(isinstance(answer, Prediction) and answer.votes[0].texts for answer in answers)
    return taken, worked


def bare(url: str, concurrency: int, count: int) -> float:
    """The seconds that the same number of requests takes without pictures."""
    with httpx.Client(timeout=60) as client, ThreadPoolExecutor(concurrency) as pool:
        start = time.perf_counter()
        list(pool.map(lambda _: client.post(f"{url}/chat/completions", json={}).raise_for_status(), range(count)))
        return time.perf_counter() - start


def main() -> None:
    """Measure, show, and keep what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=64)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--json", metavar="OUT")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, slow_server(asked.seconds) as url:
        folder = Path(name)
        paths = write_pictures(folder, asked.pictures)
        many, worked = with_unprompt(folder, url, asked.concurrency, paths)
        requests = bare(url, asked.concurrency, asked.pictures)
        one, _ = with_unprompt(folder, url, 1, paths)
    found: dict[str, Any] = {
        "pictures": asked.pictures,
        "seconds_per_answer": asked.seconds,
        "one_at_a_time_s": round(one, 2),
        f"{asked.concurrency}_at_a_time_s": round(many, 2),
        "bare_requests_s": round(requests, 2),
        "processor_s": round(worked, 2),
        "times_as_fast": round(one / many, 2),
        "of_bare": round(requests / many, 2),
    }
    table = Table("measured", "value")
    for key, value in found.items():
        table.add_row(key, str(value))
    Console().print(table)
    if asked.json:
        Path(asked.json).write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
