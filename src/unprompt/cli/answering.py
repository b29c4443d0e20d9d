"""Answering many pictures: what `predict` and `interrogate` share, from their options to the exit code."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from unprompt.cli.interrupts import Interrupts
from unprompt.cli.options import BatchSize, PictureOptions, Quiet, Threads
from unprompt.cli.outputs import OutputOptions, Outputs, kept_answers, opened
from unprompt.cli.progress import Steps, Tally, are_many, counted, interruptible, shown
from unprompt.cli.terminal import return_memory, say, say_failure, say_passed_over
from unprompt.errors import EXIT_SOME_FAILED

if TYPE_CHECKING:
    from unprompt.images.ref import ImageRef
    from unprompt.images.selection import Selection
    from unprompt.output.phrasing import Phrasing
    from unprompt.prediction import Failure, Prediction
    from unprompt.unprompter import Unprompter

Answer: TypeAlias = "Prediction | Failure"
Predict: TypeAlias = "Callable[[Iterable[ImageRef]], Generator[Answer, None, None]]"


@dataclass(frozen=True, kw_only=True)
class AnsweringOptions:
    """Which pictures are answered, where the answers go, and how the run goes."""

    outputs: OutputOptions
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first picture that fails.")] = False
    batch_size: BatchSize = 8
    threads: Threads = 0
    pictures: PictureOptions
    quiet: Quiet = False


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
    unprompter.prepare(Steps(quiet=options.quiet))
    model = unprompter.identity(text=text)
    asked = {"text": text, "top": top, "ignore_metadata": ignore_metadata, "read_beside": read_beside}
    with kept_answers(options.outputs, model, **asked) as answers:
        predict = functools.partial(
            unprompter.predict,
            batch_size=options.batch_size,
            text=text,
            top=top,
            answers=answers,
            ignore_metadata=ignore_metadata,
            read_beside=read_beside,
            **options.pictures.limits,
        )
        return _answer_all(options, predict, phrasing)


def _answer_all(options: AnsweringOptions, predict: Predict, phrasing: Phrasing | None) -> int:
    """Reads, answers, writes and counts each picture; shows how far it is and what became of all in the end."""
    from unprompt.images.selection import decodable
    from unprompt.prediction import Failure

    paths, tally, selection = options.pictures.paths, Tally(), decodable()
    watched = not options.quiet and are_many(paths)
    advice = "; continue with --resume" if options.outputs.can_resume else ""
    with (
        interruptible(tally, f"what was answered is kept{advice}"),
        Interrupts() as interrupts,
        opened(options.outputs, phrasing, paths[0] if len(paths) == 1 else None) as outputs,
        _shown(options, tally) if watched else contextlib.nullcontext(lambda: None) as advance,
    ):
        for ref, answer in interrupts.between(_answers(options.pictures, predict, outputs, tally, selection)):
            written = outputs.write(ref, answer)
            tally.add(written)
            if tally.done == 1:  # the models are loaded
                return_memory()
            advance()
            if isinstance(written, Failure):
                say_failure(written)
                if options.fail_fast:
                    raise typer.Exit(EXIT_SOME_FAILED)
    if watched and tally.done > 1:
        say(tally.summary())
    if not options.quiet and not tally.found_nothing:
        say_passed_over(selection)
    return tally.exit_code


def _answers(
    pictures: PictureOptions, predict: Predict, outputs: Outputs, tally: Tally, selection: Selection
) -> Generator[tuple[ImageRef, Answer], None, None]:
    """Each answer with what it answers: `predict` keeps the order, so whatever it took first is answered first."""
    taken: deque[ImageRef] = deque()

    def refs() -> Iterator[ImageRef]:
        for found in pictures.refs(selection):
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
def _shown(options: AnsweringOptions, tally: Tally) -> Iterator[Callable[[], None]]:
    # Lines that come one by one to a terminal are progress enough, and a bar would run through them.
    to_terminal = options.outputs.output is None and not options.outputs.sidecar and sys.stdout.isatty()
    with counted(options.pictures.paths, tally), shown(tally, bar=not to_terminal) as advance:
        yield advance
