"""Fuzzes the metadata readers by their coverage, with atheris (the extra [fuzz]): inputs that reach new lines are kept.

    python tests/fuzz/coverage_guided.py --runs 100000

Half of the mutations are ours, which know chunks and checksums, half are libFuzzer's. What fails is written to --out,
where the corpus lies as well: a later run goes on from it.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from pathlib import Path
from random import Random

_TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_TESTS), str(_TESTS / "support")]

try:
    import atheris
except ImportError:
    print("coverage-guided fuzzing: left out, atheris is not installed (pip install 'unprompt[fuzz]')")
    sys.exit()

with atheris.instrument_imports(include=["unprompt.images.metadata", "xml", "json"]):
    importlib.import_module("unprompt.images.metadata.reader")

from fuzz import seeds  # noqa: E402
from fuzz.inputs import make  # noqa: E402
from fuzz.mutations import mutate  # noqa: E402
from fuzz.targets import check_metadata  # noqa: E402

_LONGEST_BYTES = 20_000
_BUILT_SEEDS = 500


def main() -> None:
    """Run until the given number of inputs, which ends the process: exit code 0, or libFuzzer's at the first fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "unprompt-fuzz")
    options = parser.parse_args()
    corpus = options.out / "corpus"
    _write_seeds(corpus)
    arguments = {
        "runs": options.runs,
        "seed": options.seed,
        "max_len": _LONGEST_BYTES,
        "timeout": 20,
        "rss_limit_mb": 600,
        "artifact_prefix": f"{options.out}/",
        "verbosity": 0,
        "print_final_stats": 1,
    }
    flags = [f"-{name}={value}" for name, value in arguments.items()]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], check_metadata, custom_mutator=_mutated)
    atheris.Fuzz()


def _write_seeds(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    files = [file for group in seeds.metadata().values() for file in group]
    files += (make("metadata", 0, index) for index in range(_BUILT_SEEDS))
    for index, file in enumerate(files):
        (folder / f"seed-{index}").write_bytes(file[:_LONGEST_BYTES])


def _mutated(data: bytes, max_size: int, seed: int) -> bytes:
    random = Random(seed)
    if not data or random.random() < 0.5:
        return atheris.Mutate(data, max_size)
    other = random.choice(random.choice([*seeds.metadata().values()]))
    return mutate(random, bytes(data), other)[:max_size]


if __name__ == "__main__":
    main()
