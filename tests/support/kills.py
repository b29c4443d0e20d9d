"""Kill runs at random moments, go on with --resume, and compare what comes out in the end with an unbroken run's.

Each case is begun anew until it was killed as often as asked for. After every kill all that lay on disk before must
still be there; when a run at last ends by itself, its files must equal the unbroken run's, byte for byte (parquet: as
tables). The table says what the kills met: "early" before anything was answered, "answering" while new answers came,
"again" while answers of earlier runs were written once more (or before that), "late" when all was answered.

python tests/support/kills.py [--kills 20] [--pictures 300] [--signal KILL] [--preset FILE|NAME] [--seed 0] [CASE...]
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

COMMAND = (sys.executable, "-c", "import sys; from unprompt.cli.main import main; sys.exit(main())")
"""The command line in a process of its own."""

WORDS = "{name} of {folder}: {prompt}"
"""A text for runs without sentences."""

OLD_SIDECARS = 40
"""Pictures that have a sidecar before the first run, in the cases about those."""

Files = dict[str, bytes]


@dataclass(frozen=True)
class Case:
    """Options whose outputs go to the current folder; `existing` puts sidecars there before the first run."""

    name: str
    options: tuple[str, ...]
    journal: str
    existing: bool = False


def _sidecars(existing: str) -> Case:
    options = ("--sidecar", "-o", "tree", "--existing", existing, "--template", WORDS)
    return Case(existing, options, "tree/.unprompt.journal", existing=True)


CASES = (
    *(Case(name, ("-o", f"a.{name}"), f"a.{name}.journal") for name in ("jsonl", "json", "csv", "parquet")),
    Case("text", ("-o", "a.txt", "--template", WORDS), "a.txt.journal"),
    Case("vectors", ("-o", "a.jsonl", "--vectors", "v.npy"), "a.jsonl.journal"),
    *map(_sidecars, ("skip", "overwrite", "append", "prepend")),
    Case("failures", ("-o", "a.jsonl", "--failures", "f.jsonl"), "a.jsonl.journal"),
)


@dataclass
class Report:
    """What became of a case. `said` is what interrupted runs said last, where they were not killed outright."""

    met: Counter[str] = field(default_factory=Counter)
    rounds: int = 0
    faults: list[str] = field(default_factory=list)
    codes: Counter[int] = field(default_factory=Counter)


class Proof:
    """Runs of the command over one folder of pictures, in folders below `place`."""

    def __init__(self, place: Path, pictures: Path, options: Sequence[str]) -> None:
        self._place, self._pictures, self._options = place, pictures, tuple(options)
        self._unbroken: dict[str, tuple[Files, float]] = {}

    def command(self, case: Case, *more: str) -> list[str]:
        """The whole command line of a case."""
        return [*COMMAND, str(self._pictures), *self._options, *case.options, *more]

    def begin(self, case: Case, name: str) -> Path:
        """A new folder to run the case in, with all that lies there before."""
        folder = self._place / f"{case.name}-{name}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if case.existing:
            for number, picture in enumerate(sorted(self._pictures.rglob("*.*"))[:OLD_SIDECARS]):
                sidecar = folder / "tree" / picture.relative_to(self._pictures).with_suffix(".txt")
                sidecar.parent.mkdir(parents=True, exist_ok=True)
                sidecar.write_text("old words" if number % 4 else "")
        return folder

    def unbroken(self, case: Case) -> tuple[Files, float]:
        """The files of a run that nobody disturbs, and its seconds; each case is run once."""
        if case.name not in self._unbroken:
            self._unbroken[case.name] = self._run(case)
        return self._unbroken[case.name]

    def _run(self, case: Case) -> tuple[Files, float]:
        folder = self.begin(case, "unbroken")
        start = time.monotonic()
        run = subprocess.run(self.command(case), cwd=folder, capture_output=True, text=True, check=False)
        if run.returncode not in (0, 3):
            raise RuntimeError(f"{case.name}: expected an unbroken run to end well, found {run.stderr[-500:]}")
        return files_in(folder), time.monotonic() - start

    def broken(self, case: Case, kills: int, how: signal.Signals, chance: random.Random) -> Report:
        """Kill runs of the case until it was done `kills` times, and one round is complete."""
        whole, life_s = self.unbroken(case)
        report = Report()
        while report.met.total() < kills:
            report.rounds += 1
            folder = self.begin(case, "broken")
            while self._kill_one(case, folder, how, chance.uniform(0, life_s), report):
                pass
            report.faults += differences(files_in(folder), whole)
        return report

    def _kill_one(self, case: Case, folder: Path, how: signal.Signals, moment_s: float, report: Report) -> bool:
        """One run, killed at that moment; False where it ended by itself before."""
        files, answers = files_in(folder), answers_in(folder / case.journal)
        with subprocess.Popen(
            self.command(case, "--resume"), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as run:
            try:
                _, said = run.communicate(timeout=moment_s)
            except subprocess.TimeoutExpired:
                run.send_signal(how)
                _, said = run.communicate()
        if run.returncode in (0, 3):
            return False
        report.codes[run.returncode] += 1
        report.faults += _unexpected(run.returncode, said, how)
        report.faults += losses(files, files_in(folder))
        report.met[_met(answers, answers_in(folder / case.journal), answerable(self._pictures))] += 1
        return True


def _unexpected(code: int, said: str, how: signal.Signals) -> list[str]:
    """What an interrupted run ought not to say; a signal that comes while Python itself starts ends it as usual."""
    if how is signal.SIGKILL or code == -how:
        return [] if code == -how else [f"exit code {code}: {said[-300:]}"]
    if code != 130 or "Traceback" in said:
        return [f"exit code {code}: {said[-300:]}"]
    return []


def _met(before: int, after: int, all_answers: int) -> str:
    if after > before:
        return "answering"
    return "early" if not after else "late" if after >= all_answers else "again"


def files_in(folder: Path) -> Files:
    """All that was written, by its path; journals are left out, and a parquet file is given as its table."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and ".journal" not in path.name and not path.name.endswith(".parquet.part"):
            content = table(path) if path.suffix == ".parquet" else path.read_bytes()
            found[str(path.relative_to(folder))] = content
    return found


def table(path: Path) -> bytes:
    """A parquet file's rows, as text."""
    from pyarrow import parquet

    return "\n".join(map(repr, parquet.read_table(path).to_pylist())).encode()


def losses(before: Files, after: Files) -> list[str]:
    """What lay there before and does not any more. A file may grow; a sidecar may become another whole one."""
    lost = [f"{name} is gone" for name in before if name not in after and not name.endswith(".part")]
    for name in before.keys() & after.keys():
        old, new = before[name], after[name]
        if name.endswith(".npy"):
            lost += [] if vectors(new).startswith(vectors(old)) else [f"{name} lost rows"]
        elif name.startswith("tree"):
            lost += [] if len(new) >= len(old) or b" of " in new else [f"{name} is cut off"]
        elif not new.startswith(old.removesuffix(b"]\n").rstrip(b"\n")):  # the end of a list moves on
            lost.append(f"{name} was {len(old)} bytes and is {len(new)}, or begins otherwise")
    return lost


def vectors(content: bytes) -> bytes:
    """The rows that a .npy file tells of; a file that was just made has none."""
    if not content:
        return b""
    import io

    return np.load(io.BytesIO(content)).tobytes()


def differences(found: Files, whole: Files) -> list[str]:
    """In what a resumed run's files differ from the unbroken run's."""
    faults = [f"{name} should not be there" for name in found.keys() - whole.keys()]
    faults += [f"{name} is missing" for name in whole.keys() - found.keys()]
    return faults + [f"{name} differs" for name in whole.keys() & found.keys() if whole[name] != found[name]]


def answers_in(journal: Path) -> int:
    """How many answers a journal holds; it is looked at in a copy, for looking would mend what a kill left."""
    with tempfile.TemporaryDirectory() as folder:
        for path in journal.parent.glob(f"{journal.name}*"):
            with contextlib.suppress(FileNotFoundError):  # SQLite's own journal comes and goes
                shutil.copy(path, folder)
        copy = Path(folder) / journal.name
        if not copy.exists():
            return 0
        connection = sqlite3.connect(copy)
        try:
            return int(connection.execute("SELECT count(*) FROM answers").fetchone()[0])
        except sqlite3.DatabaseError:  # killed before it had tables
            return 0
        finally:
            connection.close()


def answerable(pictures: Path) -> int:
    """Different pictures that are not broken."""
    return len({path.read_bytes() for path in pictures.rglob("*.*") if "broken" not in path.name})


def make_pictures(folder: Path, count: int, *, side: int = 64) -> Path:
    """A tree of `count` files: of ten, one is a copy of another, one is broken every twenty, one holds its prompt."""
    generator = np.random.default_rng(11)
    latest = b""
    for number in range(count):
        parent = folder / f"part{number // 25}"
        parent.mkdir(parents=True, exist_ok=True)
        path = parent / f"{number:04}.{('png', 'jpg', 'webp')[number % 3]}"
        if number % 10 == 7:
            path.write_bytes(latest)
            continue
        if number % 20 == 3:
            path.with_stem(f"{path.stem}-broken").write_bytes(latest[: len(latest) // 3] if number % 40 == 3 else b"no")
            continue
        info = PngInfo()
        if number % 10 == 9:
            info.add_text("parameters", f"a tower, number {number}\nSteps: 20, Seed: {number}, Size: 64x64")
        pixels = generator.integers(0, 256, (side // 4, side // 4 + number % 5, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((side, side)).save(path, **({"pnginfo": info} if path.suffix == ".png" else {}))
        latest = path.read_bytes()
    return folder


def main() -> None:
    """Run the proof and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(case.name for case in CASES))
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--side", type=int, default=400, help="pixels of a picture's side")
    parser.add_argument("--signal", choices=["KILL", "INT", "TERM"], default="KILL")
    parser.add_argument("--preset", help="a preset; without one a tiny one of tests/tiny_models.py is made")
    parser.add_argument("--text", action="store_true", help="with sentences")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    # Where this runs in the background of a script, the shell made it and its children deaf to Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    chosen = [case for case in CASES if not options.cases or case.name in options.cases]

    with tempfile.TemporaryDirectory(prefix="unprompt-kills-") as folder:
        place = Path(folder)
        pictures = make_pictures(place / "pictures", options.pictures, side=options.side)
        preset = options.preset or str(_tiny_preset(place / "preset"))
        more = ["--preset", preset, *([] if options.text else ["--no-text"])]
        proof = Proof(place, pictures, more)
        print(f"{options.pictures} pictures, SIG{options.signal}, {' '.join(more)}, seed {options.seed}")
        print(f"{'case':10} kills rounds  early answering again late  exit codes   faults")
        failed = False
        for case in chosen:
            how = signal.Signals[f"SIG{options.signal}"]
            report = proof.broken(case, options.kills, how, random.Random(f"{options.seed} {case.name}"))
            met = report.met
            codes = ", ".join(f"{code} ({times})" for code, times in report.codes.items())
            print(
                f"{case.name:10} {met.total():5} {report.rounds:6} {met['early']:6} {met['answering']:9} "
                f"{met['again']:5} {met['late']:4}  {codes:12} {len(report.faults) or 'none'}",
                flush=True,
            )
            for fault, times in Counter(report.faults).items():
                print(f"    {times} x {fault}", flush=True)
            failed |= bool(report.faults)
    sys.exit(failed)


def _tiny_preset(folder: Path) -> Path:
    sys.path.insert(0, str(Path(__file__).parent))
    import tiny_models

    make: Callable[..., Path] = tiny_models.preset
    return make(folder / "tiny.toml", tiny_models.regressor(folder / "linear.tiny"))


if __name__ == "__main__":
    main()
