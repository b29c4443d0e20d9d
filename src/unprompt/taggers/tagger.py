"""Runs a tagger: pictures in, tags out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from unprompt.errors import ModelError
from unprompt.images.decode import Picture
from unprompt.models.regressors.onnx import session
from unprompt.taggers.choosing import DEFAULT_CHOICE, Choice, Chooser, Tags
from unprompt.taggers.families import Family, Output
from unprompt.taggers.files import TaggerFiles
from unprompt.taggers.spelling import Spelling
from unprompt.taggers.squares import square_input
from unprompt.taggers.tag_files import TagList, read_tags, read_thresholds
from unprompt.threads import core_count

if TYPE_CHECKING:
    import onnxruntime

_LARGEST_SIDE = 2048
"""The largest input in pixels; published models take 448 or 512."""

_ROUNDING = 1e-3
"""How far a probability may lie outside 0 to 1: half precision rounds."""


class Tagger:
    """Tags pictures with one network. Safe to use from several threads.

    Each picture goes through the network alone and on one core, several at a time, so that its tags do not depend on
    the others. The first picture loads the weights. It raises ModelError if they are not available, if the list of tags
    does not fit them, or if they are of another family.
    """

    shorter_side = None
    """Every pixel, since the publishers' own code scales down from that."""

    def __init__(
        self,
        name: str,
        family: Family,
        files: Callable[[], TaggerFiles],
        choice: Choice = DEFAULT_CHOICE,
        threads: int = 0,
    ) -> None:
        self.name, self.family, self.choice = name, family, choice
        self._find = files
        self._threads = threads or core_count()
        self._loading = threading.Lock()

    def identities(self) -> Mapping[str, str]:
        """The tagger's name and hash. Unless the weights are from the hub, the first call reads all of them."""
        with self._loading:
            return {self.name: self._identity}

    def tag(self, pictures: Sequence[Picture]) -> list[Tags]:
        """The tags of each picture, in order; other pictures do not affect them."""
        if not pictures:
            return []
        with self._loading:
            workers, network, chooser = self._workers, self._network, self._chooser
        return list(workers.map(lambda picture: chooser.choose(network.probabilities(picture)), pictures))

    @cached_property
    def _files(self) -> TaggerFiles:
        return self._find()

    @cached_property
    def _identity(self) -> str:
        return self._files.identity()

    @cached_property
    def _tags(self) -> TagList:
        return read_tags(self._files.tags)

    @cached_property
    def _network(self) -> Network:
        return Network.open(self._files, self.family, len(self._tags.names))

    @cached_property
    def _chooser(self) -> Chooser:
        stated = self._files.thresholds
        thresholds = {**self.family.thresholds, **({} if stated is None else read_thresholds(stated))}
        return Chooser(self._tags, thresholds, self.choice)

    @cached_property
    def _workers(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._threads, "unprompt-tag")


@dataclass(frozen=True, slots=True)
class TagWords:
    """A tagger whose tags are words for the texts of others."""

    tagger: Tagger
    spelling: Spelling

    def words(self, pictures: Sequence[Picture]) -> list[list[str]]:
        """The tags of each picture, as they are spelt, without a trigger word."""
        return [[self.spelling.tag(tag.name) for tag in tags.chosen] for tags in self.tagger.tag(pictures)]


@dataclass(frozen=True, eq=False)
class Network:
    """The loaded weights of a tagger: the input's name and its side in pixels, and the output that counts."""

    session: onnxruntime.InferenceSession
    family: Family
    weights: Path
    count: int
    side: int
    input: str
    output: Output

    @classmethod
    def open(cls, files: TaggerFiles, family: Family, count: int) -> Network:
        """Load weights for a list of `count` tags. Raises ModelError if they do not fit it, or the family."""
        opened = session(files.weights, threads=1)
        (name, shape), *others = [(given.name, given.shape) for given in opened.get_inputs()] or [("", [])]
        side = _side(shape, family)
        if side is None or others:
            wanted = "(batch, side, side, 3)" if family.square.raw else "(batch, 3, side, side)"
            raise ModelError(
                f"{files.weights}: expected one input {wanted}, as taggers of the family {family.name} have, found "
                f"{[name, *others]} with {shape}; name its family"
            )
        return cls(opened, family, files.weights, count, side, name, _output(opened, files, family, count))

    def probabilities(self, picture: Picture) -> npt.NDArray[np.float32]:
        """The probability of each tag (tags,)."""
        given = square_input(picture.pixels, self.family.square, self.side)
        found = np.asarray(self.session.run([self.output.name], {self.input: given})[0], np.float32)
        if found.shape != (1, self.count):
            raise ModelError(f"{self.weights}: expected a number for each of {self.count:,} tags, found {found.shape}")
        values = _sigmoid(found[0]) if self.output.logits else found[0]
        if not ((values >= -_ROUNDING) & (values <= 1 + _ROUNDING)).all():  # not a number is no probability either
            raise ModelError(
                f"{self.weights}: expected probabilities, found {values.min():.3g} to {values.max():.3g}; it is no "
                f"tagger of the family {self.family.name}"
            )
        return values


def _side(shape: Sequence[Any], family: Family) -> int | None:
    """The input's side in pixels: the model's own or, where that is open, the family's. None for another form."""
    if len(shape) != 4:
        return None
    *sides, channels = shape[1:] if family.square.raw else (*shape[2:], shape[1])
    if isinstance(channels, int) and channels != 3:
        return None
    stated = {side for side in sides if isinstance(side, int)} or {family.square.side}
    return next(iter(stated)) if len(stated) == 1 and 0 < min(stated) <= _LARGEST_SIDE else None


def _output(opened: onnxruntime.InferenceSession, files: TaggerFiles, family: Family, count: int) -> Output:
    """The output with the tags' numbers. Raises ModelError if none has one for each tag."""
    shapes = {output.name: output.shape for output in opened.get_outputs()}
    known = next((output for output in family.outputs if output.name in shapes), None)
    fitting = [name for name, shape in shapes.items() if _fits(shape, count)]
    if known is None and fitting:
        known = Output(fitting[-1], family.outputs[0].logits)
    if known is None or known.name not in fitting:
        found = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ModelError(
            f"{files.tags} does not fit {files.weights.name}: it lists {count:,} tags, and the model's outputs are "
            f"{found}; put both there again, from one place"
        )
    return known


def _fits(shape: Sequence[Any], count: int) -> bool:
    return len(shape) == 2 and (shape[1] == count or not isinstance(shape[1], int))


def _sigmoid(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -80, 80))), np.float32)  # beyond, exp overflows float32
