"""Many pictures to predictions: batches, order, copies and failures. The only way to the models."""

from __future__ import annotations

import contextlib
import logging
import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias, TypeVar

from unprompt.answer.answering import Answering
from unprompt.answer.memory import Answers, RecentAnswers
from unprompt.answer.style import check_style
from unprompt.errors import DataError, PictureError
from unprompt.images.decode import MEMORY_LIMIT_MB, Picture, decode
from unprompt.images.reading import fetched_ahead, read_ahead, takes_too_much
from unprompt.images.ref import ImageRef, Input
from unprompt.images.sources import count, image_refs
from unprompt.members.member import Member
from unprompt.models.store.hub_cache import go_offline
from unprompt.prediction import Candidate, Failure, Prediction, Style, Vector, Vote
from unprompt.presets import DEFAULT_PRESET, Preset, load_preset
from unprompt.progress import Progress, Step, told_to
from unprompt.text.sentence import SentenceEncoder
from unprompt.text.similarity import listed_texts
from unprompt.threads import check_threads, core_count

_DECODERS_LIMIT = 8
_WAITING_LIMIT = 64
"""The most answers that wait for an earlier picture whose batch is not full yet."""

_BATCHES = 2
"""Batches in work at once: a thread without a picture left of the first takes one of the second."""

_log = logging.getLogger(__name__)

_Read: TypeAlias = "Picture | Prediction | Failure"
"""A picture for the models, or its answer, if that is known already."""

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class _Words:
    """How many candidates are wanted (0: no words), and in which style (None: as loaded).

    `vectors` says whether written prompts get vectors, too.
    """

    top: int
    style: Style | None
    vectors: bool = True


@dataclass(frozen=True, slots=True)
class _Batch:
    """Items in input order, the pictures among them that are new, by sha256, and the votes on these."""

    items: Sequence[_Read]
    new: Mapping[str, Picture]
    votes: Future[list[tuple[Vote, ...]]]


def load(
    preset: str | Path = DEFAULT_PRESET,
    *,
    threads: int = 0,
    offline: bool = False,
    allow_missing: bool = False,
    style: Style | None = None,
) -> Unprompter:
    """Loads a preset, given by name or as a .toml file.

    `threads` is the number of threads of each model, and, up to 8, of decoding; 0: one for each core. `offline` forbids
    every download in this process, through HF_HUB_OFFLINE. With `allow_missing`, members that cannot vote are left out:
    the weights of the others keep their proportions, and `model["missing"]` of each answer says who did not vote and
    why. `style` is how a decoder words answers: "prompt", "sentence" or "tags"; None: as the preset says. It changes
    nothing where the preset has no decoder.

    Raises UnknownNameError (preset, key, model, style), DataError (a broken preset), MissingExtraError, ModelError (a
    broken model folder or missing weights; damaged weights raise it when they are first needed), and ValueError for
    negative `threads`.
    """
    if offline:
        go_offline()
    return Unprompter(load_preset(preset), threads=threads, allow_missing=allow_missing, style=style)


class Unprompter:
    """Turns pictures back into prompts, by one preset.

    Models are loaded when the first picture needs them, and leave memory when it is closed, at the latest when nothing
    refers to it any more; `with` closes it. May be used by several threads at once. Once it is closed, and in a process
    forked after the first prediction, every use raises RuntimeError. Raises as `load` does.
    """

    def __init__(
        self, preset: Preset, *, threads: int = 0, allow_missing: bool = False, style: Style | None = None
    ) -> None:
        self._threads = check_threads(threads)
        self._opened: Answering | None = Answering(preset, threads=threads, allow_missing=allow_missing, style=style)
        self._process: int | None = None

    def __repr__(self) -> str:
        if self._opened is None:
            return "<Unprompter, closed>"
        return f"<Unprompter of {self.preset.name}: {', '.join(member.name for member in self.members)}>"

    def __enter__(self) -> Unprompter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Frees the models, after the votes under way; closing twice does nothing.

        Answers that were not taken yet are lost: the next one raises RuntimeError.
        """
        answering, self._opened = self._opened, None
        if answering is not None:
            answering.close()

    @property
    def _answering(self) -> Answering:
        if self._opened is None:
            raise RuntimeError(
                "expected an open Unprompter, found one that was closed; take all answers of predict() inside its "
                "`with`, or load another"
            )
        if self._process not in (None, os.getpid()):
            raise RuntimeError(
                "expected the process that predicted first, found a fork of it, in which the models' threads are gone; "
                'load in each process, or start processes by multiprocessing.get_context("spawn")'
            )
        return self._opened

    @property
    def preset(self) -> Preset:
        """The preset that it answers by."""
        return self._answering.preset

    @property
    def members(self) -> Sequence[Member]:
        """The members that vote, in the order of their votes."""
        return self._answering.members

    @property
    def missing(self) -> Mapping[str, str]:
        """Why each member that cannot vote cannot, by its name."""
        return self._answering.missing

    @property
    def encoder(self) -> SentenceEncoder:
        """The model that turns sentences into vectors."""
        return self._answering.encoder

    def prepare(self, step: Step) -> None:
        """Does the work that takes minutes the first time and is cached afterwards; `step` shows the progress.

        Without it, the first picture waits for that work. Raises what `predict` raises.
        """
        self._answering.prepare(step)

    def predict(
        self,
        inputs: Input | Iterable[Input],
        *,
        batch_size: int = 8,
        ignore_metadata: bool = False,
        read_beside: bool = True,
        text: bool = True,
        written_vectors: bool = True,
        style: Style | None = None,
        top: int = 5,
        pixel_limit_mp: float = 100.0,
        memory_limit_mb: float = MEMORY_LIMIT_MB,
        answers: Answers | None = None,
        progress: Progress | None = None,
    ) -> Generator[Prediction | Failure, None, None]:
        """Predicts lazily, one answer for each picture, in input order; memory does not grow with their number.

        `inputs` is one or many of what `image_refs` takes: paths, folders, addresses, bytes, open files, Pillow
        pictures, arrays or tensors; a few are read ahead. If a file holds its prompt, that is the answer and no image
        model is asked, unless `ignore_metadata`; with `read_beside`, a text file that its generator wrote beside it
        will do. Without `text` only vectors are predicted. Without `written_vectors`, written prompts get none,
        for which no model is loaded; ignored with `answers`, which are kept with all they have. `style` words these
        answers in another style than `load` was given. `top` is the number of candidates kept. `pixel_limit_mp`
        (megapixels) and `memory_limit_mb` (megabytes) bound each picture: see `decode`. `answers` is a cache of answers
        made with the same settings, in which copies of a picture are looked up; default: the most recent answers of
        this call. `progress` is called before the first picture, for the work that `prepare` does, and with "pictures"
        after each one; their number is counted first where `inputs` can be read twice.

        A picture that cannot be read gives a Failure. While iterating, after the answers to everything before, raises
        TypeError (an input that is no picture at all), ModelError (damaged weights), and what `inputs` and `answers`
        raise; at once, UnknownNameError for a style that there is not.
        """
        words = _Words(
            top if text else 0, None if style is None else check_style(style), written_vectors or answers is not None
        )
        if batch_size < 1 or top < 1:
            raise ValueError(f"expected batch_size and top of 1 or more, found {batch_size} and {top}")
        answers = RecentAnswers() if answers is None else answers
        shorter_side, self._process = self._answering.shorter_side, os.getpid()

        def read(ref: ImageRef) -> _Read:
            item = decode(
                ref,
                shorter_side=shorter_side,
                pixel_limit_mp=pixel_limit_mp,
                memory_limit_mb=memory_limit_mb,
                read_metadata=not ignore_metadata,
                read_beside=read_beside,
                known=answers.get,
            )
            # A copy that was answered before may have had another name.
            return replace(item, source=ref.source) if isinstance(item, Prediction) else item

        decoders = min(self._threads or core_count(), _DECODERS_LIMIT)
        refs = fetched_ahead(image_refs(inputs))
        pictures = read_ahead(refs, read, threads=decoders, ahead=batch_size + 2 * decoders)
        found = self._answers(pictures, batch_size, words, answers)
        return found if progress is None else self._told(found, inputs, told_to(progress))

    def score(self, picture: Input, prompts: Iterable[str]) -> tuple[Candidate, ...]:
        """Scores prompts for one picture, in the order given; a prompt written in the file is ignored.

        The score is the cosine with the fused vector, not drawn by a codebook: drawn vectors tell prompts apart less
        well (see the codebook's model card). Of a prompt only the beginning counts, as in `unprompt.embed`. Raises
        PictureError if the picture cannot be read, DataError if `picture` stands for more than one or a prompt is
        empty, TypeError for what is no list of texts.
        """
        prompts = listed_texts(prompts, "score(picture, [prompt])")
        if empty := [place for place, prompt in enumerate(prompts, 1) if not prompt.strip()]:
            raise DataError(f"expected prompts to compare with the picture, found that number {empty[0]} is empty")
        answers = list(self.predict([picture], ignore_metadata=True, text=False))
        if len(answers) != 1:
            raise DataError(f"expected one picture, found {len(answers):,}; give the path of one of them")
        answer = answers[0]
        if isinstance(answer, Failure):
            raise PictureError(answer.kind, f"{answer.source}: {answer.message}")
        cosines = self.encoder.encode(prompts) @ self.fused(answer)  # (prompts,)
        return tuple(Candidate(prompt, float(cosine), "given") for prompt, cosine in zip(prompts, cosines, strict=True))

    def fused(self, answer: Prediction) -> Vector:
        """The fused unit vector (384,) of an answer's votes before a codebook draws it: what prompts are scored by."""
        return self._answering.fused(answer.votes)

    def identity(self, *, text: bool, style: Style | None = None) -> Mapping[str, Any]:
        """All that computes an answer: the version, the preset, each model by its hash, and another style."""
        return self._answering.identity(words=text, style=style)

    def _told(
        self, answers: Generator[Prediction | Failure, None, None], inputs: Input | Iterable[Input], step: Step
    ) -> Generator[Prediction | Failure, None, None]:
        """Yields the answers, and tells a step how far they are."""
        with contextlib.closing(answers):
            self.prepare(step)
            with step("pictures", count(inputs), "pictures") as advance:
                for answer in answers:
                    advance(1)
                    yield answer

    def _answers(
        self, items: Generator[_Read, None, None], batch_size: int, words: _Words, answers: Answers
    ) -> Generator[Prediction | Failure, None, None]:
        """Yields answers in order. Pictures wait for a full batch; other answers only for the pictures before them.

        While one batch gets its words, the members vote on the next one, so that no core is idle.
        """
        waiting: list[_Read] = []
        batches: deque[_Batch] = deque()
        errors: list[Exception] = []
        voters = ThreadPoolExecutor(_BATCHES, thread_name_prefix="unprompt-vote")
        writers = ThreadPoolExecutor(self._threads or core_count(), thread_name_prefix="unprompt-write")
        try:
            for item in _until_error(items, errors):
                answer = self._without_models(item, answers, words)
                if not waiting and not batches and not isinstance(answer, Picture):
                    yield answer
                    continue
                waiting.append(answer)
                if _is_full(waiting, batch_size):
                    batches.append(self._begun(waiting, batches, voters, answers))
                    waiting = []
                while batches and (len(batches) == _BATCHES or batches[0].votes.done()):
                    yield from self._answered(batches.popleft(), words, answers, writers)
                if not batches and not any(isinstance(item, Picture) for item in waiting):
                    yield from self._answered(self._begun(waiting, (), voters, answers), words, answers, writers)
                    waiting = []
            batches.append(self._begun(waiting, batches, voters, answers))
            while batches:
                yield from self._answered(batches.popleft(), words, answers, writers)
            for error in errors:
                raise error
        finally:
            voters.shutdown(wait=False, cancel_futures=True)
            writers.shutdown(wait=False, cancel_futures=True)
            items.close()

    def _begun(
        self, items: Sequence[_Read], before: Iterable[_Batch], voters: ThreadPoolExecutor, answers: Answers
    ) -> _Batch:
        """Starts the votes on a batch: on those pictures that are neither answered nor in an earlier batch."""
        new: dict[str, Picture] = {}
        for item in items:
            if not isinstance(item, Picture) or any(item.sha256 in batch.new for batch in before):
                continue
            # A copy may have been read before the first was answered.
            if answers.get(item.sha256) is None:
                new.setdefault(item.sha256, item)
        return _Batch(items, new, voters.submit(self._answering.votes, list(new.values())))

    def _answered(
        self, batch: _Batch, words: _Words, answers: Answers, writers: ThreadPoolExecutor
    ) -> Iterator[Prediction | Failure]:
        """Yields a batch's answers one by one, each of which is written by one thread; each is stored at once."""
        begun: dict[str, Future[Prediction]] = {}
        if batch.new:
            # While the members load, which saves a tenth of the first answer's time.
            self._answering.load(words=words.top > 0, style=words.style)
            begun = {
                sha256: writers.submit(self._answering.answer, picture, votes, words.top, words.style)
                for (sha256, picture), votes in zip(batch.new.items(), batch.votes.result(), strict=True)
            }
        for item in batch.items:
            if not isinstance(item, Picture):
                yield item
                continue
            answer = answers.get(item.sha256)
            if answer is None:
                # If an earlier batch answered it, that answer may have been dropped since.
                if item.sha256 in begun:
                    answer = begun[item.sha256].result()
                else:
                    (votes,) = self._answering.votes([item])
                    answer = self._answering.answer(item, votes, words.top, words.style)
                answers.put({item.sha256: answer})
            yield replace(answer, source=item.source)

    def _without_models(self, item: _Read, answers: Answers, words: _Words) -> _Read:
        """The answer that needs no image model, or else the item itself."""
        if not isinstance(item, Picture) or item.written is None or not item.written.prompt:
            return item
        answer = self._answering.answer_written(item.source, item.written, words.top, vectors=words.vectors)
        answers.put({item.sha256: answer})
        return answer


def _is_full(waiting: Sequence[_Read], batch_size: int) -> bool:
    pictures = sum(isinstance(item, Picture) for item in waiting)
    return pictures >= batch_size or len(waiting) >= _WAITING_LIMIT or takes_too_much(waiting)


def _until_error(items: Iterable[_Item], errors: list[Exception]) -> Iterator[_Item]:
    """Yield the items. If an error ends them, append it to `errors`: the items before it are answered first."""
    try:
        yield from items
    except Exception as error:
        errors.append(error)
