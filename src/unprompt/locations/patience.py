"""Tries again what failed in passing: a store that asks to slow down, a server that is restarted, a lost connection."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

Result = TypeVar("Result")

_LONGEST_WAIT_S = 20.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How often something is tried, and how long the first wait is, in seconds; each further one is twice as long.

    A tenth to all of a wait is waited, by chance, so that many machines do not come back at the same moment. Source of
    the idea: "Exponential Backoff And Jitter", the architecture blog of AWS, 2015.
    """

    attempts: int = 7
    first_wait_s: float = 0.5

    def retried(self, work: Callable[[], Result], is_passing: Callable[[Exception], bool]) -> Result:
        """The result of `work`. Raises its last error, or the first one that is not passing."""
        for attempt in range(1, self.attempts):
            try:
                return work()
            except Exception as error:
                if not is_passing(error):
                    raise
            longest = min(self.first_wait_s * 2 ** (attempt - 1), _LONGEST_WAIT_S)
            time.sleep(longest * random.uniform(0.1, 1))
        return work()
