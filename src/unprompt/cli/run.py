"""One run over many pictures: what is named is read, answered, written and counted."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import typer

from unprompt.cli.interrupts import Interrupts
from unprompt.cli.outputs import OutputOptions, Outputs, kept_answers, opened
from unprompt.cli.progress import Tally, counted, shown
from unprompt.cli.steps import Steps
from unprompt.cli.terminal import say, say_failure
from unprompt.errors import EXIT_FINE, EXIT_INTERRUPTED, EXIT_SOME_FAILED, EXIT_USAGE

if TYPE_CHECKING:
    from unprompt.images.ref import ImageRef
    from unprompt.images.web.limits import WebLimits
    from unprompt.output.phrasing import Phrasing
    from unprompt.prediction import Failure, Prediction
    from unprompt.unprompter import Unprompter

FEW = 8
"""Pictures named one by one that need neither a bar nor a summary."""

Answer: TypeAlias = "Prediction | Failure"
Predict: TypeAlias = "Callable[[Iterable[ImageRef]], Generator[Answer, None, None]]"


@dataclass(frozen=True)
class Run:
    """What to read and where the answers go. `watched` shows how far it is, and what became of all in the end."""

    paths: Sequence[str]
    web: WebLimits
    options: OutputOptions
    phrasing: Phrasing | None
    watched: bool
    fail_fast: bool

    def answer(self, predict: Predict) -> int:
        """Answers all pictures by `predict`, one answer a picture in their order; the exit code."""
        from unprompt.prediction import Failure

        self.options.check_lists(self.paths)
        tally = Tally()
        try:
            with (
                Interrupts() as interrupts,
                opened(self.options, self.phrasing) as outputs,
                self._shown(tally) as advance,
            ):
                for ref, answer in interrupts.between(self._answers(predict, outputs, tally)):
                    written = outputs.write(ref, answer)
                    tally.add(written)
                    advance()
                    if isinstance(written, Failure):
                        say_failure(written)
                        if self.fail_fast:
                            raise typer.Exit(EXIT_SOME_FAILED)
        except KeyboardInterrupt:
            self._say_interrupted(tally)
            raise typer.Exit(EXIT_INTERRUPTED) from None
        if self.watched and tally.done > 1:
            say(f"unprompt: {tally.summary()}")
        if tally.found_nothing:
            return EXIT_USAGE
        return EXIT_SOME_FAILED if tally.failed else EXIT_FINE

    def _answers(
        self, predict: Predict, outputs: Outputs, tally: Tally
    ) -> Generator[tuple[ImageRef, Answer], None, None]:
        """Each answer with what it answers: `predict` keeps the order, so whatever it took first is answered first."""
        from unprompt.images.sources import image_refs

        taken: deque[ImageRef] = deque()

        def refs() -> Iterator[ImageRef]:
            for found in image_refs(self.paths, web=self.web):
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
    def _shown(self, tally: Tally) -> Iterator[Callable[[], None]]:
        if not self.watched:
            yield lambda: None
            return
        # Lines that come one by one to a terminal are progress enough, and a bar would run through them.
        to_terminal = self.options.output is None and not self.options.sidecar and sys.stdout.isatty()
        with counted(self.paths, tally), shown(tally, bar=not to_terminal) as advance:
            yield advance

    def _say_interrupted(self, tally: Tally) -> None:
        advice = "; go on with --resume" if self.options.can_resume else ""
        say(f"unprompt: interrupted: {tally.line()}; what was answered is kept{advice}")


def are_many(paths: Sequence[str]) -> bool:
    """Whether these can stand for more pictures than one waits for without asking how far it is."""
    from unprompt.images.sources import may_be_many

    return len(paths) > FEW or any(map(may_be_many, paths))


def answer_all(
    run: Run,
    unprompter: Unprompter,
    *,
    batch_size: int,
    text: bool = True,
    top: int = 5,
    ignore_metadata: bool = False,
    pixel_limit_mp: float,
    memory_limit_mb: float,
    quiet: bool,
) -> int:
    """Answers all pictures of a run, those that an interrupted one has answered out of its journal; the exit code."""
    unprompter.prepare(Steps(quiet=quiet))
    model = unprompter.identity(text=text)
    with kept_answers(run.options, model, text=text, top=top, ignore_metadata=ignore_metadata) as answers:
        return run.answer(
            functools.partial(
                unprompter.predict,
                batch_size=batch_size,
                ignore_metadata=ignore_metadata,
                text=text,
                top=top,
                pixel_limit_mp=pixel_limit_mp,
                memory_limit_mb=memory_limit_mb,
                answers=answers,
            )
        )
