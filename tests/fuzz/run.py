"""Fuzzes the metadata readers, whole and by parts, and the decoder, in processes of its own; reports their faults.

    python tests/fuzz/run.py --target decode --inputs 100000 --jobs 2

An input that raises, breaks a promise, kills its process, hangs or takes too much time or memory is written to --out
and named by its number; `--only NUMBER` runs it again in this process. Exit code 1 where there was one, else 0.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

_TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_TESTS), str(_TESTS / "support")]

if sys.platform != "linux":  # limits and memory are asked of /proc
    print("fuzzing: left out, it needs Linux")
    sys.exit()

from fuzz.inputs import TARGETS, Target, make  # noqa: E402
from fuzz.targets import CHECKS  # noqa: E402
from fuzz.workers import Limits, Summary, fuzz  # noqa: E402

_SHOWN = 20


def main(arguments: list[str] | None = None) -> int:
    """Run as the options say; the exit code."""
    options = _options().parse_args(arguments)
    targets: list[Target] = [options.target] if options.target else [*TARGETS]
    if options.only is not None:
        for target in targets:
            CHECKS[target](make(target, options.seed, options.only))
        return 0
    limits = Limits(options.stuck_s, options.slow_cpu_s, options.memory_mb)
    failed = False
    for target in targets:
        summary = fuzz(target, options.seed, range(options.first, options.inputs), options.jobs, limits)
        _report(target, summary, options.out, options.seed)
        failed = failed or bool(summary.faults)
    return int(failed)


def _report(target: Target, summary: Summary, out: Path, seed: int) -> None:
    for fault in summary.faults[:_SHOWN]:
        out.mkdir(parents=True, exist_ok=True)
        path = out / f"{target}-{seed}-{fault.index}"
        path.write_bytes(make(target, seed, fault.index))
        print(f"{fault.kind} at input {fault.index}, kept as {path}\n{fault.detail}\n", file=sys.stderr)
    kinds = Counter(fault.kind for fault in summary.faults)
    print(
        f"{target}: {summary.inputs:,} inputs in {summary.seconds:,.0f} s "
        f"({summary.inputs / summary.seconds:,.0f} a second); "
        f"faults: {', '.join(f'{count} {kind}' for kind, count in kinds.items()) or 'none'}; "
        f"slowest: {summary.slowest_cpu_s:.3f} s of CPU, input {summary.slowest_index}; "
        f"most memory: {summary.highest_mb:.0f} MB; written to standard error: {summary.chatter_bytes:,} bytes"
    )


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", choices=TARGETS, help="what to fuzz; all by default")
    parser.add_argument("--inputs", type=int, default=10_000, help="how many, for each target")
    parser.add_argument("--first", type=int, default=0, help="the number of the first input")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--stuck-s", type=float, default=20, help="an input that takes longer by the clock is a hang")
    parser.add_argument("--slow-cpu-s", type=float, default=2, help="an input that takes more CPU time is a fault")
    parser.add_argument("--memory-mb", type=int, default=400, help="a process that ever holds more is a fault")
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "unprompt-fuzz")
    parser.add_argument("--only", type=int, help="the number of one input to run in this process")
    return parser


if __name__ == "__main__":
    sys.exit(main())
