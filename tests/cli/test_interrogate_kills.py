"""`unprompt interrogate` that is killed while it encodes its lists and while it answers: all is kept, and once."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from kills import files_in, losses, make_pictures

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")

PART, PARTS = 16, 12
COMMAND = f"""
import sys
from unprompt.vocabulary import tables
tables._PART = {PART}
from unprompt.cli.main import main
sys.exit(main())
"""
READY_S = 120.0
OUTPUTS = {"records": ("-o", "a.jsonl"), "sidecars": ("--sidecar", "-o", "tree")}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures, and a list whose vectors are cached in parts."""
    folder = tmp_path_factory.mktemp("interrogated")
    make_pictures(folder / "pictures", 24)
    (folder / "lists").mkdir()
    terms = (f"a cat on chair {number} of the room" for number in range(PART * PARTS))
    (folder / "lists" / "flavors.txt").write_text("\n".join(terms))
    return folder


@pytest.fixture(scope="module")
def unbroken(place: Path) -> Callable[[str], dict[str, bytes]]:
    """The files of a run that nobody disturbs."""
    found: dict[str, dict[str, bytes]] = {}

    def files(outputs: str) -> dict[str, bytes]:
        if outputs not in found:
            folder = place / f"unbroken-{outputs}"
            folder.mkdir()
            assert ended(started(place, folder, outputs))[0] == 3  # two pictures are broken
            found[outputs] = files_in(folder)
        return found[outputs]

    return files


def started(place: Path, folder: Path, outputs: str) -> subprocess.Popen[str]:
    where = ("--vocabulary", str(place / "lists"), "--cache", "cache", *OUTPUTS[outputs], "--resume")
    how = ("--mode", "fast", "--caption", "a picture", "--threads", "1", "--batch-size", "1")
    command = [sys.executable, "-c", COMMAND, "interrogate", str(place / "pictures"), *where, *how]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def ended(run: subprocess.Popen[str]) -> tuple[int, str]:
    with run:
        _, said = run.communicate(timeout=READY_S)
    return run.returncode, said


def killed(run: subprocess.Popen[str], number: signal.Signals, is_time: Callable[[], bool]) -> None:
    """Waits for the moment, and sends the signal; the run must not have ended before, nor end with a traceback."""
    start = time.monotonic()
    while not is_time():
        assert run.poll() is None
        assert time.monotonic() - start < READY_S
        time.sleep(0.002)
    run.send_signal(number)
    code, said = ended(run)
    assert code in (-number, 130)
    assert "Traceback" not in said


def parts_in(folder: Path) -> dict[str, bytes]:
    """The cached parts of the list that is not whole yet."""
    return {path.name: path.read_bytes() for path in folder.glob("cache/*/[!.]*.*.safetensors")}


def answers_in(folder: Path) -> int:
    records = folder / "a.jsonl"
    return records.read_bytes().count(b"\n") if records.exists() else len(list(folder.glob("tree/**/[!.]*.txt")))


@pytest.mark.parametrize(
    ("number", "outputs"),
    [
        (signal.SIGKILL, "records"),
        (signal.SIGINT, "records"),
        (signal.SIGTERM, "records"),
        (signal.SIGKILL, "sidecars"),
    ],
)
def test_killed_in_its_lists_and_in_its_answers(
    place: Path, unbroken: Callable[[str], dict[str, bytes]], tmp_path: Path, number: signal.Signals, outputs: str
) -> None:
    whole = unbroken(outputs)
    killed(started(place, tmp_path, outputs), number, lambda: len(parts_in(tmp_path)) >= 2)
    parts = parts_in(tmp_path)
    assert 2 <= len(parts) < PARTS
    assert len(set(map(len, parts.values()))) == 1  # as long as a whole one
    killed(started(place, tmp_path, outputs), number, lambda: len(parts_in(tmp_path)) >= len(parts) + 1)
    assert parts.items() <= parts_in(tmp_path).items()

    for answered in (1, 4):
        before = files_in(tmp_path)
        killed(started(place, tmp_path, outputs), number, lambda least=answered: answers_in(tmp_path) >= least)
        after = files_in(tmp_path)
        if answered > 1:  # the lists are whole, and the parts gone
            assert losses(before, after) == []
        assert not parts_in(tmp_path)

    assert ended(started(place, tmp_path, outputs))[0] == 3
    assert files_in(tmp_path) == whole
