"""What one run answers: all pictures, or those of one shard after the other."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from unprompt.cli.options import PictureOptions
from unprompt.cli.outputs import OutputOptions
from unprompt.cli.progress import Steps
from unprompt.cli.sharding import CONTINUES, ShardOptions, given_command, work_on
from unprompt.cli.terminal import say, say_passed_over

if TYPE_CHECKING:
    from unprompt.images.ref import ImageRef
    from unprompt.images.selection import Selection
    from unprompt.output.journal import Journal
    from unprompt.output.stored_journal import StoredJournal
    from unprompt.prediction import Failure, Prediction
    from unprompt.scale.listing import Listing
    from unprompt.scale.places import Place
    from unprompt.scale.runs import Run
    from unprompt.scale.shards import Work

Answer: TypeAlias = "Prediction | Failure"
Predict: TypeAlias = "Callable[[Iterable[ImageRef]], Generator[Answer, None, None]]"


class Share:
    """What one run answers: all pictures."""

    total: int | None = None
    """The number of pictures, where it is known beforehand."""

    def __init__(self, pictures: PictureOptions, advice: str = "") -> None:
        self._pictures = pictures
        self.advice = advice

    def begin(self, answers: Journal | StoredJournal | None) -> None:
        """Prepares the journal, which is open."""

    def refs(self, selection: Selection) -> Iterator[ImageRef]:
        """The pictures, in order."""
        return self._pictures.refs(selection)

    def around(self, predict: Predict) -> Predict:
        """What answers them."""
        return predict


class ShardShare(Share):
    """Those of a shard. After a worker died with it, what that one had in work is answered picture by picture."""

    def __init__(self, pictures: PictureOptions, run: Run, work: Work) -> None:
        super().__init__(pictures, CONTINUES)
        self._run, self._work = run, work
        self.total = len(run.positions(work.shard))

    def begin(self, answers: Journal | StoredJournal | None) -> None:
        """Goes on with the answers of earlier workers, which are on this machine."""
        from unprompt.output.journal import Journal

        if isinstance(answers, Journal):
            self._work.adopt_answers(answers)

    def refs(self, selection: Selection) -> Iterator[ImageRef]:
        """The pictures of the shard. Raises LostShardError once another worker has it."""
        from unprompt.scale.listing import share_of

        assert self._run.shards is not None
        for ref in share_of(self._pictures.refs(selection), self._work.shard, self._run.shards, _listing(self._run)):
            self._work.check()
            yield ref

    def around(self, predict: Predict) -> Predict:
        """What answers them, and passes over those that ended one worker after the other."""
        work = self._work
        if not work.is_taken_over:
            return predict

        def predicted(refs: Iterable[ImageRef]) -> Generator[Answer, None, None]:
            _warm_up(predict)
            numbered = enumerate(refs)
            for alone, group in itertools.groupby(numbered, lambda each: work.is_suspect(each[0])):
                if alone:
                    for number, ref in group:
                        work.trying(number)
                        yield from [_deadly(ref)] if work.is_deadly(number) else predict([ref])
                    work.trying(None)
                else:
                    yield from predict(ref for _, ref in group)

        return predicted


def answer_shards(
    options: ShardOptions,
    outputs: OutputOptions,
    pictures: PictureOptions,
    answer: Callable[[OutputOptions, Share], int],
    *,
    model: Mapping[str, Any],
    asked: Mapping[str, Any],
    quiet: bool,
) -> int:
    """Answers the chosen shards, each by a call of `answer`; returns the exit code.

    `model` and `asked` are all that decides an answer, as `settings_key` takes it. Raises DataError if the folder holds
    another run, before anything is computed.
    """
    from unprompt.images.selection import decodable
    from unprompt.scale.listing import list_all
    from unprompt.scale.places import place_at
    from unprompt.scale.runs import Run

    assert outputs.output is not None
    place, selection = place_at(outputs.output), decodable()
    shards, wanted = options.chosen(place)
    listing = _listing_if_done(place, wanted)
    if listing is None:
        with Steps(quiet=quiet)("listing the pictures", None, "pictures") as advance:
            listing = list_all(pictures.refs(selection), advance)
    decides = {**asked, "embedding": outputs.embedding, **_deciding(pictures)}
    run = Run(shards, options.lease_s, listing.pictures, listing.sha256, model, decides, given_command())
    if not quiet:
        say_passed_over(selection)
        say(f"{listing.pictures:,} pictures")

    def compute(work: Work) -> int:
        own = replace(outputs, output=str(work.part), format="jsonl", resume=True, positions=run.positions(work.shard))
        return answer(own, ShardShare(pictures, run, work))

    return work_on(place, run, wanted, compute, quiet=quiet)


def _warm_up(predict: Predict) -> None:
    """Loads all models, so that no picture is blamed for what ends the process meanwhile."""
    import numpy as np

    from unprompt.images.ref import ImageRef

    for _ in predict([ImageRef("<nothing>", np.zeros((64, 64, 3), np.uint8))]):
        pass


def _deadly(ref: ImageRef) -> Failure:
    from unprompt.prediction import Failure
    from unprompt.scale.shards import DEADLY

    return Failure(
        ref.source,
        "deadly",
        f"expected a picture that can be read, found that {DEADLY} workers ended while they read it alone; look at it "
        "by itself",
    )


def _listing_if_done(place: Place, wanted: Sequence[int]) -> Listing | None:
    """The listing of the run at a place, if the wanted shards are finished: there is nothing to be listed for."""
    from unprompt.scale.runs import find_run
    from unprompt.scale.shards import finished

    run = find_run(place)
    return _listing(run) if run is not None and finished(place) >= set(wanted) else None


def _listing(run: Run) -> Listing:
    from unprompt.scale.listing import Listing

    return Listing(run.pictures, run.listing)


def _deciding(pictures: PictureOptions) -> dict[str, Any]:
    """The options by which a picture is answered or refused."""
    names = ("pixel_limit_mp", "memory_limit_mb", "url_timeout_s", "url_limit_mb", "allow_private_urls")
    return {name: getattr(pictures, name) for name in names}
