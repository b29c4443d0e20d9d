"""A run on a cluster: the pictures are listed and divided here, answered there, and written here."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from unprompt.images.archives import TarMember
from unprompt.images.files import LocalFile
from unprompt.images.ref import ImageRef
from unprompt.scale.ray.answerer import Asked
from unprompt.scale.ray.chunks import PICTURES, chunks_of
from unprompt.scale.ray.cluster import Cluster
from unprompt.scale.ray.nodes import check_nodes
from unprompt.scale.ray.parts import Form, Parts
from unprompt.scale.ray.pool import Needs, Pool
from unprompt.scale.ray.rows import Row

Pictures = Callable[[], Iterable[ImageRef]]
"""Lists the pictures from the first, in the same order each time."""


@dataclass(frozen=True, slots=True)
class Actors:
    """How many actors, and what each takes; None: as many as fit. `chunk_pictures` are handed out at a time."""

    count: int | None = None
    needs: Needs = field(default_factory=Needs)
    chunk_pictures: int = PICTURES


@dataclass(frozen=True, slots=True)
class Before:
    """What earlier drivers of the run did: how many pictures, and how many of these failed."""

    done: int
    failed: int


def check_cluster(cluster: Cluster, asked: Asked, pictures: Pictures) -> None:
    """Raise ClusterError if a node would answer otherwise than this process, or not at all."""
    check_nodes(cluster.nodes, asked, _first_file(pictures()))


def answer(
    cluster: Cluster, pictures: Pictures, asked: Asked, folder: Path, form: Form, actors: Actors
) -> Generator[Before | list[Row], None, None]:
    """Answer all pictures that the folder does not hold yet: yields first what it holds, then rows as they are written.

    Raises OutputBusyError, DataError (the folder), ClusterError and NodeError.
    """
    with Parts(folder, form) as parts:
        yield Before(sum(map(len, parts.done)), parts.failed)
        chunks = chunks_of(pictures(), parts.done, pictures=actors.chunk_pictures)
        first = next(chunks, None)
        if first is not None:
            count = actors.count or cluster.room(actors.needs)
            left = itertools.chain([first], chunks)
            with Pool(asked, count, actors.needs) as pool, contextlib.closing(pool.answers(left)) as done:
                for chunk, rows in done:
                    parts.add(chunk, rows)
                    yield rows
        parts.finish()


def _first_file(refs: Iterable[ImageRef]) -> str | None:
    """A file that nodes have to see; None if the first picture is not one."""
    for ref in refs:
        content = ref.content
        return os.path.abspath(content.path) if isinstance(content, (LocalFile, TarMember)) else None
    return None
