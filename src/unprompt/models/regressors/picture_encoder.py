"""Turns pictures into vectors of the metric space, and names what is in them, by one image model in one step."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from unprompt.errors import ModelError
from unprompt.images.decode import Picture
from unprompt.images.preprocess import VIEWS, preprocess
from unprompt.images.preprocess import View as Crop
from unprompt.models.regressors.engine import Engine, open_engine
from unprompt.models.store.folder import ModelFolder
from unprompt.models.store.image_model import concept_names, preprocessing_of
from unprompt.prediction import EMBEDDING_SIZE, Concept, Vector
from unprompt.threads import core_count

LEAST_PROBABILITY = 0.02
"""Concepts that are less probable are not named: there are thousands of them."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What is seen in a picture: its unit vector (384,), and its concepts, most probable first."""

    vector: Vector
    concepts: tuple[Concept, ...]


class PictureEncoder:
    """Encodes pictures as unit vectors (384,), and names their concepts, with the model of a folder.

    On a CPU each picture goes through the model alone and on one core, several at a time: a vector is the same to the
    bit for any batch and number of threads, and no thread waits for another inside the model. On a GPU, which torch
    uses if there is one, pictures go in batches. If the model's config names several `views`, the vector is the mean of
    theirs, at unit length, and a concept's probability the mean of theirs.

    Raises ModelError if the folder has no preprocessing. The first picture loads the weights, which raises ModelError
    if they are damaged or give another shape, and MissingExtraError if they need torch.
    """

    def __init__(self, folder: ModelFolder, threads: int = 0) -> None:
        self.folder = folder
        self._threads = threads or core_count()
        self._preprocessing = preprocessing_of(folder)
        self._views = views_of(folder)
        self._loading = threading.Lock()

    @property
    def shorter_side(self) -> int | None:
        """The shorter side, in pixels, that a picture needs; None if the model's config says `every_pixel`.

        The embedded models learnt from pictures of 256 pixels, and larger ones score the same when reduced first
        (0.4944, and 0.4942 at full size, on 400 of the validation pictures enlarged four times). Converted weights get
        exactly the pixels that they were trained with.
        """
        if self.folder.config.get("every_pixel") is True:
            return None
        return max(self._preprocessing.of_view(view).resized_side for view in self._views)

    def encode(self, pictures: Sequence[Picture]) -> Vector:
        """Return one vector per picture, (pictures, 384), in order; other pictures in the batch do not affect it."""
        found = [view.vector for view in self.see(pictures)]
        return np.stack(found) if found else np.empty((0, EMBEDDING_SIZE), np.float32)

    def see(self, pictures: Sequence[Picture]) -> list[View]:
        """Return what is seen in each picture, in order; other pictures in the batch do not affect it."""
        if not pictures:
            return []
        with self._loading:
            workers, engine = self._workers, self._engine
        if not engine.batched:
            return list(workers.map(self._see, pictures))
        pixels = np.concatenate(list(workers.map(self._pixels, pictures)))
        seen, views = engine.see(pixels), len(self._views)
        rows = [slice(at, at + views) for at in range(0, len(pixels), views)]
        return [self._view(seen.vectors[each], seen.concepts[each]) for each in rows]

    def unload(self) -> None:
        """Free device memory; the next picture loads the weights again. Must not overlap with `encode`."""
        with self._loading:
            if "_engine" in vars(self):
                self._engine.unload()

    def _see(self, picture: Picture) -> View:
        seen = self._engine.see(self._pixels(picture))
        return self._view(seen.vectors, seen.concepts)

    def _view(self, vectors: Vector, concepts: npt.NDArray[np.float32]) -> View:
        """One view of a picture from those of its crops."""
        probabilities = concepts.mean(axis=0)
        order = np.argsort(-probabilities, kind="stable")  # equals in the order of the model
        probable = order[: np.count_nonzero(probabilities >= LEAST_PROBABILITY)]
        named = (Concept(self._names[place], float(probabilities[place])) for place in probable)
        return View(_mean(vectors), tuple(named))

    def _pixels(self, picture: Picture) -> npt.NDArray[np.float32]:
        seen = [preprocess(picture.pixels, self._preprocessing, view) for view in self._views]
        return np.stack(seen)  # (views, 3, input_size, input_size)

    @cached_property
    def _workers(self) -> ThreadPoolExecutor:
        engine = self._engine  # loaded here once, not by every thread at the same time
        return ThreadPoolExecutor(self._threads, "unprompt-encode", initializer=engine.prepare_thread)

    @cached_property
    def _names(self) -> Sequence[str]:
        return concept_names(self.folder)

    @cached_property
    def _engine(self) -> Engine:
        return open_engine(self.folder)


def views_of(folder: ModelFolder) -> tuple[Crop, ...]:
    """The views that a model's config names, by default only the whole picture. Raises ModelError."""
    names = folder.config.get("views", ["whole"])
    if not isinstance(names, list) or not names or any(name not in VIEWS or names.count(name) > 1 for name in names):
        raise ModelError(f"model {folder.name}: expected views to be some of {', '.join(VIEWS)}, found {names!r}")
    return tuple(names)


def _mean(views: Vector) -> Vector:
    """Average the vectors of a picture's views (views, 384) to one unit vector (384,)."""
    if len(views) == 1:
        return np.array(views[0], np.float32)
    mean = views.mean(axis=0)
    return np.asarray(mean / np.linalg.norm(mean), np.float32)
