"""The real command in a process of its own: what it said, what became of each file, and the memory that it took."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hostile.folder import ANSWERED, Outcomes

RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What never comes out as it is: control characters, what turns the reading direction, what is no UTF-8."""

# Root opens closed folders; without these two rights it does so no longer.
_RIGHTS = "-dac_override,-dac_read_search"
UNPRIVILEGED = ["setpriv", "--bounding-set", _RIGHTS, "--inh-caps", _RIGHTS] if os.geteuid() == 0 else []

CAN_BE_UNPRIVILEGED = not UNPRIVILEGED or shutil.which("setpriv") is not None

_COMMAND = [sys.executable, "-c", "import sys; from unprompt.cli.main import main; sys.exit(main())"]
_LOOK_EVERY_S = 0.01


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended. `kinds` has the kind of Failure of each file that failed, `peak_mb` is of resident memory."""

    code: int
    out: str
    err: str
    kinds: Mapping[str, str]
    peak_mb: float
    elapsed_s: float

    def outcome(self, path: str) -> str:
        """What became of a file that was given."""
        return self.kinds.get(path, ANSWERED)

    def surprises(self, expected: Mapping[str, Outcomes]) -> dict[str, str]:
        """The files that another thing became of than what may, and those that nobody knows of."""
        found = {path: self.outcome(path) for path in {*expected, *self.kinds}}
        return {path: outcome for path, outcome in found.items() if outcome not in expected.get(path, ())}

    def raw(self) -> list[str]:
        """What was sent to a terminal and should not have been, with what stands around it."""
        return raw(self.out, self.err)


def raw(*texts: str) -> list[str]:
    """What must not be sent to a terminal, with what stands around it."""
    return [text[max(0, at - 40) : at + 20] for text in texts for at in _places(text)]


def run(*arguments: object, cwd: Path | None = None) -> Ended:
    """Runs `unprompt ARGUMENTS`, as somebody who may not read everything."""
    with tempfile.TemporaryDirectory() as kept:
        failures, out, err = (os.path.join(kept, name) for name in ("failures.jsonl", "out", "err"))
        command = [*UNPRIVILEGED, *_COMMAND, "--failures", failures, *map(str, arguments)]
        start = time.monotonic()
        with open(out, "wb") as out_file, open(err, "wb") as err_file:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out_file, stderr=err_file, cwd=cwd, start_new_session=True
            )
            peak_mb = _peak_mb(process)
        elapsed_s = time.monotonic() - start
        with open(failures, encoding="utf-8") as file:
            records = [json.loads(line) for line in file]
        kinds = {record["source"]: record["error"]["kind"] for record in records}
        return Ended(process.returncode, _text(out), _text(err), kinds, peak_mb, elapsed_s)


def _peak_mb(process: subprocess.Popen[bytes]) -> float:
    """Waits for the end. What wait4 reports begins with the memory of this process, so /proc is asked meanwhile."""
    peak_kib = 0
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        peak_kib = max([peak_kib, *(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))])
        time.sleep(_LOOK_EVERY_S)
    return peak_kib * 1024 / 1e6


def _text(path: str) -> str:
    return Path(path).read_bytes().decode("utf-8", "surrogateescape")


def _places(text: str) -> Iterator[int]:
    return (found.start() for found in RAW.finditer(text))
