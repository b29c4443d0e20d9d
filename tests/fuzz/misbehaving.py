"""A target that does everything a target must not, by the number of its input; for the tests of the runner.

The runner's processes import it by name, so it lies in a module of its own.
"""

from __future__ import annotations

import ctypes
import sys
import time

MISDEEDS = {3: "ValueError", 5: "dead", 7: "stuck", 8: "memory", 10: "slow"}


def number(_target: str, _seed: int, index: int) -> bytes:
    """The input is its number."""
    return str(index).encode()


def misbehave(data: bytes) -> None:
    """Raise, crash, hang, hoard or dawdle; most inputs are fine."""
    kind = MISDEEDS.get(int(data))
    if kind == "ValueError":
        raise ValueError("three is too many")
    if kind == "dead":
        print("the last words", file=sys.stderr, flush=True)
        ctypes.string_at(0)
    if kind == "stuck":
        time.sleep(600)
    if kind == "memory":
        _ = b"\1" * 120_000_000
    if kind == "slow":
        end = time.process_time() + 0.5
        while time.process_time() < end:
            pass
