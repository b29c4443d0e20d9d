"""What is missing before a service can start with some settings: `unprompt serve --check`."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from unprompt.errors import UnpromptError
from unprompt.serve.settings import Settings


def faults(settings: Settings) -> Iterator[tuple[str, str | None]]:
    """Each thing that is needed, with what is wrong with it; None if it is fine. Nothing is loaded or downloaded."""
    checks: dict[str, Callable[[Settings], None]] = {
        f"preset {settings.preset}": _check_preset,
        "address": _check_address,
        "keys": _check_keys,
        "bank": _check_bank,
    }
    for name, check in checks.items():
        try:
            check(settings)
        except UnpromptError as error:
            yield name, str(error)
        except OSError as error:
            yield name, f"expected to listen on {settings.host}:{settings.port}, found: {error.strerror}"
        else:
            yield name, None


def _check_preset(settings: Settings) -> None:
    from unprompt.unprompter import load

    load(settings.preset, offline=settings.offline, allow_missing=settings.allow_missing)


def _check_address(settings: Settings) -> None:
    from unprompt.serve.safety import check_exposure

    check_exposure(settings)
    with socket.create_server((settings.host, settings.port), family=_family(settings.host)):
        pass


def _check_keys(settings: Settings) -> None:
    from unprompt.serve.keys import Keys

    Keys.read(settings.api_key_file)


def _check_bank(settings: Settings) -> None:
    if settings.bank is not None:
        from unprompt.bank.bank import Bank

        Bank.open(Path(settings.bank))


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
