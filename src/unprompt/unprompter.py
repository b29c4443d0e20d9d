"""Pictures to predictions: the only door to the models. Batches, order, failures."""

from __future__ import annotations

import contextlib
import functools
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from unprompt import __version__
from unprompt.ensemble import fuse
from unprompt.errors import PictureError
from unprompt.images.decode import Picture, decode
from unprompt.images.sources import ImageRef, Input, image_refs
from unprompt.members.member import Member
from unprompt.members.regressor import Regressor
from unprompt.members.written import NAME as METADATA
from unprompt.members.written import written_vote
from unprompt.models.folder import ModelFolder
from unprompt.models.registry import find_model
from unprompt.prediction import Candidate, Failure, Prediction, Vector, Vote, WrittenPrompt
from unprompt.presets import DEFAULT_PRESET, MemberSpec, Preset, load_preset
from unprompt.text.decoder import Decoder
from unprompt.text.sentence import SentenceEncoder
from unprompt.wording import Wording

BATCH_LIMIT_MB = 256
"""A batch is closed early when its pixels take this much memory: few pictures are large, but they may come together."""

_DECODERS = min(os.cpu_count() or 1, 8)
# While the models look at one batch, the decoders get this far into the next one.
_AHEAD = 2 * _DECODERS

_KINDS: Mapping[str, Callable[..., Member]] = {"regressor": Regressor}


@dataclass(frozen=True, slots=True)
class _InputError:
    """The inputs broke off: what came before is answered first, then this is raised."""

    error: Exception


_Decoded: TypeAlias = Picture | Failure | _InputError


def load(preset: str | Path = DEFAULT_PRESET, *, threads: int = 0, offline: bool = False) -> Unprompter:
    """The unprompter of a preset, given by name or as a .toml file.

    `threads` are those of each model, 0: one a core. `offline` forbids every download in this process, by
    HF_HUB_OFFLINE. Raises UnknownNameError (preset, key, model), DataError (a broken preset), MissingExtraError,
    ModelError (a broken model folder; damaged weights show when they are first needed).
    """
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    return Unprompter(load_preset(preset), threads=threads)


class Unprompter:
    """Turns pictures back into prompts, by one preset.

    Models are loaded when the first picture needs them. May be used by several threads at once. Raises as `load` does.
    """

    def __init__(self, preset: Preset, *, threads: int = 0) -> None:
        preset.check_extras()
        self.preset = preset
        self._threads = threads
        self._members = [_member(spec, threads) for spec in preset.members]

    def predict(
        self,
        inputs: Input | Iterable[Input],
        *,
        batch_size: int = 8,
        ignore_metadata: bool = False,
        text: bool = True,
        top: int = 5,
        pixel_limit_mp: float = 100.0,
    ) -> Generator[Prediction | Failure, None, None]:
        """One answer a picture, in input order, while it goes; memory stays the same however many there are.

        `inputs` are paths, folders, bytes, Pillow pictures or arrays (height, width, 3) uint8, one or many; a few are
        read ahead. A prompt that the file itself holds is the answer, and no image model is asked, unless
        `ignore_metadata`. Without `text` only vectors are predicted. `top` is how many candidates are kept.

        A picture that cannot be read is a Failure. Raised while iterating, after all that came before is answered:
        DataError (a folder without pictures), TypeError (no picture at all), ModelError (damaged weights).
        """
        if batch_size < 1 or top < 1:
            raise ValueError(f"expected batch_size and top of 1 or more, found {batch_size} and {top}")
        read = functools.partial(
            decode,
            shorter_side=self._shorter_side(),
            pixel_limit_mp=pixel_limit_mp,
            read_metadata=not ignore_metadata,
        )
        return self._answers(_decoded_ahead(image_refs(inputs), read), batch_size, top if text else 0)

    def score(self, picture: Input, prompts: Sequence[str]) -> tuple[Candidate, ...]:
        """How near each prompt comes to one picture, in the order given; what the file says is not looked at.

        Raises PictureError where the picture cannot be read, ValueError where `picture` is more than one.
        """
        answers = list(self.predict([picture], ignore_metadata=True, text=False))
        if len(answers) != 1:
            raise ValueError(f"expected one picture, found {len(answers)}")
        answer = answers[0]
        if isinstance(answer, Failure):
            raise PictureError(answer.kind, f"{answer.source}: {answer.message}")
        cosines = self.encoder.encode(prompts) @ answer.vector  # (prompts,)
        return tuple(Candidate(prompt, float(cosine), "given") for prompt, cosine in zip(prompts, cosines, strict=True))

    @functools.cached_property
    def encoder(self) -> SentenceEncoder:
        """What turns sentences into vectors."""
        return SentenceEncoder.embedded(self._threads)

    @functools.cached_property
    def _wording(self) -> Wording:
        return Wording(self.encoder, Decoder(self._decoder_folder, self._threads))

    @contextlib.contextmanager
    def _wording_loading(self, top: int) -> Iterator[None]:
        """Loads what words the answers while the members load and vote: a tenth of the time of a first answer."""
        if not top or "_wording" in self.__dict__:
            yield
            return
        with ThreadPoolExecutor(1, thread_name_prefix="unprompt-load") as loader:
            loading = loader.submit(lambda: self._wording.load())
            yield
            loading.result()

    @functools.cached_property
    def _decoder_folder(self) -> ModelFolder:
        return find_model(self.preset.wording.decoder)

    def _shorter_side(self) -> int | None:
        sides = [member.shorter_side for member in self._members]
        return None if None in sides else max(side for side in sides if side is not None)

    def _answers(
        self, decoded: Generator[_Decoded, None, None], batch_size: int, top: int
    ) -> Generator[Prediction | Failure, None, None]:
        """What is answered at once waits only for pictures before it; these wait until a batch is full."""
        waiting: list[Picture | Prediction | Failure] = []
        with contextlib.closing(decoded):
            for item in decoded:
                if isinstance(item, _InputError):
                    yield from self._flushed(waiting, top)
                    raise item.error
                answer = self._without_models(item)
                if not waiting and not isinstance(answer, Picture):
                    yield answer
                    continue
                waiting.append(answer)
                if len(waiting) >= batch_size or _megabytes(waiting) > BATCH_LIMIT_MB:
                    yield from self._flushed(waiting, top)
                    waiting = []
        yield from self._flushed(waiting, top)

    def _flushed(self, waiting: Sequence[Picture | Prediction | Failure], top: int) -> Iterator[Prediction | Failure]:
        predictions = iter(self._predicted([item for item in waiting if isinstance(item, Picture)], top))
        for item in waiting:
            yield next(predictions) if isinstance(item, Picture) else item

    def _without_models(self, item: Picture | Failure) -> Picture | Prediction | Failure:
        """The answer that needs no image model, if there is one."""
        if isinstance(item, Picture) and item.written is not None and item.written.prompt:
            return self._from_metadata(item.source, item.written)
        return item

    def _from_metadata(self, source: str, written: WrittenPrompt) -> Prediction:
        (vector,) = self.encoder.encode([written.prompt])
        return Prediction(
            source=source,
            prompt=written.prompt,
            origin="metadata",
            vector=vector,
            similarity=1.0,
            candidates=(Candidate(written.prompt, 1.0, METADATA),),
            votes=(written_vote(written, vector),),
            written=written,
            model=self._model([self.encoder.folder]),
        )

    def _predicted(self, pictures: Sequence[Picture], top: int) -> list[Prediction]:
        if not pictures:
            return []
        with self._wording_loading(top):
            votes = self._votes(pictures)
        fused = np.stack([fuse(cast) for cast in votes])  # (pictures, 384)
        model = self._model(self._folders(with_words=top > 0))
        return [
            Prediction(
                source=picture.source,
                prompt=candidates[0].text if candidates else "",
                origin="prediction",
                vector=vector,
                similarity=candidates[0].similarity if candidates else None,
                candidates=candidates[:top],
                votes=cast,
                written=picture.written,
                model=model,
            )
            for picture, cast, vector, candidates in zip(
                pictures, votes, fused, self._words(fused, votes, top), strict=True
            )
        ]

    def _votes(self, pictures: Sequence[Picture]) -> list[tuple[Vote, ...]]:
        """Each picture's votes, in the order of the members."""
        return list(zip(*(member.vote(pictures) for member in self._members), strict=True))

    def _words(self, fused: Vector, votes: Sequence[Sequence[Vote]], top: int) -> Sequence[tuple[Candidate, ...]]:
        if not top:
            return [()] * len(votes)
        return self._wording.choose(
            fused, [[(text, vote.member) for vote in cast for text in vote.texts] for cast in votes]
        )

    def _folders(self, *, with_words: bool) -> list[ModelFolder]:
        """The models behind a prediction."""
        folders = [member.folder for member in self._members]
        if with_words:
            folders += [self._decoder_folder, self.encoder.folder]
        return folders

    def _model(self, folders: Iterable[ModelFolder]) -> Mapping[str, Any]:
        """What computed an answer; the hashes change with every byte of the preset and the models."""
        return {
            "unprompt": __version__,
            "preset": self.preset.name,
            "preset_hash": self.preset.identity,
            "models": {folder.name: folder.identity() for folder in folders},
        }


def _member(spec: MemberSpec, threads: int) -> Member:
    return _KINDS[spec.kind](find_model(spec.model), name=spec.name, weight=spec.weight, threads=threads)


def _megabytes(items: Iterable[Picture | Prediction | Failure]) -> float:
    return sum(item.pixels.nbytes for item in items if isinstance(item, Picture)) / 1e6


def _decoded_ahead(
    refs: Iterator[ImageRef], read: Callable[[ImageRef], Picture | Failure]
) -> Generator[_Decoded, None, None]:
    """The pictures in order, decoded in threads, at most _AHEAD of them before they are asked for."""

    def decoded(item: ImageRef | _InputError) -> _Decoded:
        return item if isinstance(item, _InputError) else read(item)

    waiting: deque[Future[_Decoded]] = deque()
    pool = ThreadPoolExecutor(_DECODERS, thread_name_prefix="unprompt-decode")
    try:
        for item in _until_error(refs):
            waiting.append(pool.submit(decoded, item))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _until_error(refs: Iterator[ImageRef]) -> Iterator[ImageRef | _InputError]:
    try:
        yield from refs
    except Exception as error:  # whatever the caller's own generator raises is theirs to see, in its place
        yield _InputError(error)
