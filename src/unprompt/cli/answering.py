"""Answering many pictures: what `predict` and `interrogate` share, from their options to the exit code."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unprompt.cli.cluster import ClusterOptions, answer_on_cluster
from unprompt.cli.interrupts import Interrupts, was_interrupted
from unprompt.cli.options import BatchSize, PictureOptions, Quiet, Threads
from unprompt.cli.outputs import OutputOptions, Outputs, kept_answers, opened, placed_outputs
from unprompt.cli.progress import Steps, Tally, announced, are_many, counted, interruptible, shown
from unprompt.cli.sharding import ShardOptions
from unprompt.cli.shares import Answer, Predict, Share, answer_shards
from unprompt.cli.terminal import return_memory, say, say_failure, say_passed_over
from unprompt.errors import EXIT_SOME_FAILED

if TYPE_CHECKING:
    from unprompt.images.ref import ImageRef
    from unprompt.images.selection import Selection
    from unprompt.output.phrasing import Phrasing
    from unprompt.unprompter import Unprompter


@dataclass(frozen=True, kw_only=True)
class AnsweringOptions:
    """Which pictures are answered, where the answers go, and how the run goes."""

    outputs: OutputOptions
    sharding: ShardOptions
    clustering: ClusterOptions
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first picture that fails.")] = False
    batch_size: BatchSize = 8
    threads: Threads = 0
    pictures: PictureOptions
    quiet: Quiet = False

    @property
    def in_parts(self) -> bool:
        """Whether -o is a folder of parts, which several processes write."""
        return self.sharding.asked or self.clustering.asked


def answer(
    options: AnsweringOptions,
    unprompter: Unprompter,
    phrasing: Phrasing | None,
    *,
    text: bool = True,
    top: int = 5,
    ignore_metadata: bool = False,
    read_beside: bool = True,
) -> int:
    """Answers all pictures, those that an interrupted run answered from its journal; returns the exit code."""
    from unprompt.images.sources import check_stores

    check_stores(options.pictures.paths)
    asked: dict[str, Any] = {"text": text, "top": top, "ignore_metadata": ignore_metadata, "read_beside": read_beside}
    if options.clustering.asked:
        return answer_on_cluster(
            options.clustering,
            options.outputs,
            options.pictures,
            unprompter,
            phrasing,
            decides=asked,
            batch_size=options.batch_size,
            threads=options.threads,
            quiet=options.quiet,
        )
    unprompter.prepare(Steps(quiet=options.quiet))
    model = unprompter.identity(text=text)

    def run(outputs: OutputOptions, share: Share) -> int:
        with kept_answers(outputs, model, **asked) as answers, placed_outputs(outputs) as placed:
            share.begin(answers)
            predict = functools.partial(
                unprompter.predict,
                batch_size=options.batch_size,
                answers=answers,
                written_vectors=outputs.shows_vectors,
                **asked,
                **options.pictures.limits,
            )
            return _answer_all(replace(options, outputs=placed), share, share.around(predict), phrasing)

    if options.sharding.asked:
        decides = {**asked, "phrasing": phrasing and phrasing.identity}
        return answer_shards(
            options.sharding, options.outputs, options.pictures, run, model=model, asked=decides, quiet=options.quiet
        )
    advice = "; continue with --resume" if options.outputs.can_resume else ""
    return run(options.outputs, Share(options.pictures, advice))


def _answer_all(options: AnsweringOptions, share: Share, predict: Predict, phrasing: Phrasing | None) -> int:
    """Reads, answers, writes and counts each picture; shows how far it is and what became of all in the end."""
    from unprompt.images.selection import decodable
    from unprompt.prediction import Failure

    paths, tally, selection = options.pictures.paths, Tally(share.total), decodable()
    watched = not options.quiet and (share.total is not None or are_many(paths))
    with (
        interruptible(tally, f"what was answered is kept{share.advice}"),
        Interrupts() as interrupts,
        opened(options.outputs, phrasing, paths[0] if len(paths) == 1 else None) as outputs,
        _shown(options, tally) if watched else _awaited(options) as advance,
    ):
        for ref, answer in interrupts.between(_answers(share, predict, outputs, tally, selection)):
            written = outputs.write(ref, answer)
            if written is None:
                tally.left_out += 1
            else:
                tally.add(written)
            if tally.done == 1:  # the models are loaded
                return_memory()
            advance()
            if isinstance(written, Failure):
                say_failure(written)
                if options.fail_fast:
                    raise typer.Exit(EXIT_SOME_FAILED)
    if was_interrupted():
        say("interrupted after the last picture; all is answered, and the outputs are complete")
    if watched and tally.done > 1:
        say(tally.summary())
    elif tally.left_out and not options.quiet:
        say(f"{tally.left_out:,} left out by --must-contain or --drop-if")
    if not options.quiet and (remark := outputs.remark(skipped=options.outputs.existing == "skip")):
        say(remark)
    if not options.quiet and not tally.found_nothing and share.total is None:
        say_passed_over(selection)
    return tally.exit_code


def _answers(
    share: Share, predict: Predict, outputs: Outputs, tally: Tally, selection: Selection
) -> Generator[tuple[ImageRef, Answer], None, None]:
    """Each answer with what it answers: `predict` keeps the order, so whatever it took first is answered first."""
    taken: deque[ImageRef] = deque()

    def refs() -> Iterator[ImageRef]:
        for found in share.refs(selection):
            ref = outputs.wanted(found)
            if ref is None:
                tally.skipped += 1
            else:
                taken.append(ref.emptied())
                yield ref

    with contextlib.closing(predict(refs())) as answers:
        for answer in answers:
            yield taken.popleft(), answer


@contextlib.contextmanager
def _awaited(options: AnsweringOptions) -> Iterator[Callable[[], None]]:
    """For a few pictures: that the models are loaded, if the first answer takes its time; called after each answer."""
    with contextlib.ExitStack() as until_first:
        until_first.enter_context(announced("loading the models", quiet=options.quiet))
        yield until_first.close


@contextlib.contextmanager
def _shown(options: AnsweringOptions, tally: Tally) -> Iterator[Callable[[], None]]:
    # Lines that come one by one to a terminal are progress enough, and a bar would run through them.
    to_terminal = options.outputs.output is None and not options.outputs.sidecar and sys.stdout.isatty()
    known = contextlib.nullcontext() if tally.total is not None else counted(options.pictures.paths, tally)
    with known, shown(tally, bar=not to_terminal) as advance:
        yield advance
