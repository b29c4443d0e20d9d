"""Whether the Hugging Face hub answers, asked once for all that is wanted from it, and for seconds alone.

A dead network shows in many ways: no route, a host that accepts and is silent, names that nobody resolves. The
libraries that download wait for each of them, file by file, and look names up without any limit.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from unprompt.display import first_line

ANSWER_S = 5.0
"""Seconds within which the hub answers, or is taken for dead."""

_HOLDS_S = 60.0
"""Seconds for which it is not asked again: a service outlives a network's troubles."""


@dataclass(frozen=True, slots=True)
class _Answer:
    fault: str
    until_s: float


_answers: dict[str, _Answer] = {}


def hub_fault() -> str:
    """Say why the hub cannot be reached; "" if it answers, whatever it says, or is known to have done so just now."""
    from huggingface_hub import constants

    address = constants.ENDPOINT
    known = _answers.get(address)
    if known is None or time.monotonic() >= known.until_s:
        fault = ask(address, ANSWER_S)
        known = _answers[address] = _Answer(fault, time.monotonic() + _HOLDS_S)
    return known.fault


def ask(address: str, within_s: float) -> str:
    """Ask for the head of a page, as downloads ask, through a proxy if there is one; "" or why there is no answer."""
    from huggingface_hub import get_session

    session = get_session()
    answered: list[str] = []

    def run() -> None:
        try:
            session.head(address, timeout=within_s)
            answered.append("")
        except Exception as error:  # errors of the hub's HTTP client have no common class
            answered.append(first_line(error) or type(error).__name__)

    thread = threading.Thread(target=run, name="ask the hub", daemon=True)  # a name's lookup cannot be stopped
    thread.start()
    thread.join(within_s)
    return answered[0] if answered else f"no answer within {within_s:g} s"
