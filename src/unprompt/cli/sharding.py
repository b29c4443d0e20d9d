"""`--shards N --shard I`: one run in parts, by workers that share no more than a folder."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from unprompt.cli.interrupts import Interrupts
from unprompt.cli.outputs import OutputOptions
from unprompt.cli.terminal import say
from unprompt.errors import EXIT_FINE, EXIT_INTERRUPTED, EXIT_SOME_FAILED, DataError

if TYPE_CHECKING:
    from unprompt.scale.places import Place
    from unprompt.scale.runs import Run
    from unprompt.scale.shards import Work

AUTO = "auto"
_NAMED = 5
"""Missing shards that are named, of however many there are."""

CONTINUES = "; the same command continues"


@dataclass(frozen=True, kw_only=True)
class ShardOptions:
    """Which part of a run this process answers."""

    shards: Annotated[
        int | None,
        typer.Option(
            "--shards",
            metavar="N",
            min=1,
            max=100_000,
            help="Divide the work into N shards, which processes on several machines do; -o is the folder that they "
            "share.",
        ),
    ] = None
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="I|auto",
            help="The shard to do, from 0 to N - 1; auto: one after the other of those that no other process has.",
        ),
    ] = None
    lease_s: Annotated[
        float,
        typer.Option(
            "--lease-s", metavar="N", min=1.0, help="Seconds of silence after which a process's shard is taken over."
        ),
    ] = 120.0

    @property
    def asked(self) -> bool:
        """Whether the run is divided."""
        return self.shards is not None or self.shard is not None

    def check(self, outputs: OutputOptions, paths: Sequence[str]) -> None:
        """Raises DataError if something is missing, out of range, or cannot go together."""
        if not self.asked:
            if self.lease_s != ShardOptions().lease_s:
                raise DataError(
                    "expected --shards with --lease-s, which says when one is taken over; add it, or omit this"
                )
            return
        if outputs.output is None:
            raise DataError("shards need a folder that their workers share; add -o FOLDER")
        if outputs.sidecar or outputs.vectors is not None or outputs.failures is not None:
            raise DataError(
                "a shard writes records alone; omit --sidecar, --vectors and --failures (--embedding adds the vectors)"
            )
        if outputs.wanted is not None:
            raise DataError("'unprompt merge' needs every answer; omit --must-contain and --drop-if")
        if outputs.format not in (None, "jsonl"):
            raise DataError(f"shards are jsonl, found --format {outputs.format}; give that to 'unprompt merge'")
        for path in paths:
            check_repeatable(path)
        from unprompt.scale.places import place_at

        self.chosen(place_at(outputs.output))

    def chosen(self, place: Place) -> tuple[int, list[int]]:
        """The number of shards, and those that this process computes; without --shards, as the folder's run has it.

        Raises DataError if the folder cannot be that of a run, or if there is no such shard.
        """
        from unprompt.scale.runs import check_folder, find_run

        if self.shard is None:
            raise DataError(f"--shards needs the one to compute; add --shard 0 to {(self.shards or 1) - 1}, or auto")
        check_folder(place)
        shards = self.shards
        if shards is None and (run := find_run(place)) is not None:
            shards = run.shards
        if shards is None:
            raise DataError(f"expected --shards N, found --shard {self.shard} alone; say how many shards there are")
        if self.shard == AUTO:
            return shards, list(range(shards))
        number = int(self.shard) if self.shard.isascii() and self.shard.isdecimal() else shards
        if number >= shards:
            raise DataError(f"expected --shard from 0 to {shards - 1}, or auto, found {self.shard}")
        return shards, [number]


def check_repeatable(path: str) -> None:
    """Raises DataError for what can be read only once: the pictures are listed more than once, and by every worker."""
    if path.startswith("@"):
        from unprompt.images.lists import may_be_read_twice

        repeatable = may_be_read_twice(path[1:])
    else:
        repeatable = path != "-"
    if not repeatable:
        raise DataError(f"expected pictures that every worker can list, found {path}; write the list to a file: @LIST")


def work_on(place: Place, run: Run, wanted: Sequence[int], compute: Callable[[Work], int], *, quiet: bool) -> int:
    """Joins the run in a folder and computes the wanted shards, each by a call of `compute`; returns the exit code.

    Raises DataError if the folder holds another run, before anything is computed.
    """
    from unprompt.scale.runs import join_run
    from unprompt.scale.shards import Shards, Waiting, finished

    assert run.shards is not None
    for difference in join_run(place, run):
        say(f"{place} was begun with another version: {difference}; answers may differ in their last bits")
    if not quiet:
        done = len(finished(place) & set(wanted))
        say(f"{run.shards:,} shards; {len(wanted) - done:,} of {len(wanted):,} to do")
    code, said = EXIT_FINE, ""
    with _resumable(), Interrupts() as interrupts:
        for step in interrupts.between(Shards(place, run.shards, run.lease_s).work(wanted)):
            if not isinstance(step, Waiting):
                if not quiet:
                    say(f"shard {step.shard} of {run.shards:,}")
                if _computed(step, compute) != EXIT_FINE:
                    code = EXIT_SOME_FAILED
            elif step.reason != said and not quiet:
                said = step.reason
                say(said)
    return code


def _computed(work: Work, compute: Callable[[Work], int]) -> int:
    """Computes a shard and publishes it, unless another worker has taken it over; returns the exit code."""
    from unprompt.scale.shards import LostShardError

    with work:
        try:
            code = compute(work)
            if work.publish():
                return code
        except (LostShardError, DataError, OSError) as error:
            # Whoever took it over also removes what this worker was writing to.
            if not isinstance(error, LostShardError) and not work.is_lost():
                raise
    say(f"another worker took shard {work.shard} over; what was done here is not needed")
    return EXIT_FINE


@contextlib.contextmanager
def _resumable() -> Iterator[None]:
    """Says what a Ctrl-C between two shards leaves. Raises typer.Exit then."""
    try:
        yield
    except KeyboardInterrupt:
        say(f"interrupted; finished shards are kept{CONTINUES}")
        raise typer.Exit(EXIT_INTERRUPTED) from None


def given_command() -> list[str]:
    """The command as it was given, without the shard."""
    command = ["unprompt"]
    given = iter(sys.argv[1:])
    for argument in given:
        if argument == "--shard":
            next(given, None)
        elif not argument.startswith("--shard="):
            command.append(argument)
    return command


def command_for(run: Run, shard: int | str) -> str:
    """The command line that computes a shard."""
    return shlex.join([*run.command, "--shard", str(shard)])


def said_missing(place: Place, run: Run, shards: list[int]) -> str:
    """Which shards are missing, who works on them, and how they are computed."""
    from unprompt.scale.shards import Shards

    assert run.shards is not None
    owners = Shards(place, run.shards, run.lease_s).owners(shards[:_NAMED])
    named = [f"{shard} ({owners[shard]} has it)" if shard in owners else str(shard) for shard in shards[:_NAMED]]
    more = f" and {len(shards) - _NAMED} more" if len(shards) > _NAMED else ""
    command = command_for(run, shards[0] if len(shards) == 1 else AUTO)
    return (
        f"expected {run.shards} parts, found {run.shards - len(shards)}: shard {', '.join(named)}{more} missing; "
        f"compute with: {command}"
    )
