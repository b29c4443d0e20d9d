"""Shards of generated pairs: folders of pictures with a metadata.jsonl, each published whole by one process."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
import uuid
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from unprompt.datasets.generation.plan import Drawing, Plan
from unprompt.datasets.generation.settings import THEN, Settings
from unprompt.datasets.tables import METADATA_NAMES
from unprompt.durable import sync_tree, write_errors
from unprompt.scale.claims import Claim, Claims

METADATA = METADATA_NAMES[0]
DROPPED = "dropped.jsonl"
"""The file beside the metadata that lists pictures drawn but not kept, if any, with the reason."""

WORK = ".work"  # hidden, so readers of the folder skip it
POLL_S = 1.0
_QUALITY = 95


@dataclass(frozen=True, slots=True)
class Drawn:
    """The outcome of a drawing: a picture, or the reason for its absence. `truncated`: the model cut the prompt."""

    picture: Image.Image | None
    truncated: bool = False
    fault: Literal["", "filtered", "black", "not-finite"] = ""


Draw = Callable[[Sequence[Drawing]], Iterable[Drawn]]
"""Draws one picture for each drawing, in order."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A step of a run, in pictures; negative if a shard was lost to another process. `waiting` says what for."""

    made: int = 0
    dropped: int = 0
    skipped: int = 0
    waiting: str = ""


class Shards:
    """The shards `shard-00000`, ... of a folder. Pictures of a shard are in the order of the plan."""

    def __init__(self, folder: Path, plan: Plan, settings: Settings, claims: Claims | None = None) -> None:
        self._folder, self._plan, self._settings = folder, plan, settings
        self._work = folder / WORK
        self._claims = claims

    def finished(self) -> set[int]:
        """The shards that are complete."""
        try:
            names = set(os.listdir(self._folder))
        except FileNotFoundError:
            return set()
        return {shard for shard in range(self._plan.shards) if _name(shard) in names}

    def generate(self, draw: Draw) -> Generator[Progress, None, None]:
        """Draw all shards that no other process draws, wait for theirs, and take over those of dead processes.

        At the end all shards are complete. If closed early, it abandons the current shard and keeps the finished ones.
        Raises DataError if nothing can be written.
        """
        with write_errors(self._folder, THEN):
            claims = self._claims or Claims(self._work)
            done: set[int] = set()
            while True:
                yield from self._skip(self.finished() - done, done)
                if len(done) == self._plan.shards:
                    break
                drawn_before = len(done)
                for shard in sorted(set(range(self._plan.shards)) - done):
                    yield from self._draw_if_free(shard, draw, claims, done)
                if len(done) == drawn_before:
                    yield Progress(waiting=self._waiting(claims, done))
                    time.sleep(POLL_S)
            shutil.rmtree(self._work, ignore_errors=True)

    def count_dropped(self) -> Counter[str]:
        """The number of pictures dropped for each reason, in all shards of all processes."""
        dropped: Counter[str] = Counter()
        for shard in self.finished():
            with contextlib.suppress(FileNotFoundError), (self._folder / _name(shard) / DROPPED).open("rb") as file:
                dropped.update(str(json.loads(line)["reason"]) for line in file)
        return dropped

    def _skip(self, shards: set[int], done: set[int]) -> Iterator[Progress]:
        for shard in sorted(shards):
            done.add(shard)
            yield Progress(skipped=len(self._plan.shard_range(shard)))

    def _draw_if_free(self, shard: int, draw: Draw, claims: Claims, done: set[int]) -> Iterator[Progress]:
        name = _name(shard)
        claim = claims.take(name)
        if claim is None:
            return
        with claim:
            if (self._folder / name).exists():  # another process finished it in the meantime
                yield from self._skip({shard}, done)
            else:
                for leftover in self._work.glob(f"{name}-*"):
                    shutil.rmtree(leftover, ignore_errors=True)
                if (yield from self._draw_shard(shard, draw, claim)):
                    done.add(shard)
        if shard in done:
            claims.forget(name)

    def _draw_shard(self, shard: int, draw: Draw, claim: Claim) -> Generator[Progress, None, bool]:
        """Draw a shard and move it into place; False if another process has taken it over."""
        made = dropped = 0
        place = self._work / f"{_name(shard)}-{uuid.uuid4().hex}"
        try:
            place.mkdir()
            for kept in self._write_pictures(place, self._plan.shard(shard), draw):
                made, dropped = made + kept, dropped + (not kept)
                yield Progress(made=int(kept), dropped=int(not kept))
                if claim.is_lost():
                    break
            else:
                if _put_folder(place, self._folder / _name(shard)):
                    return True
        except FileNotFoundError:  # a process that takes a shard over removes its owner's files
            if not claim.is_lost():
                raise
        finally:
            shutil.rmtree(place, ignore_errors=True)
        yield Progress(made=-made, dropped=-dropped)
        return False

    def _write_pictures(self, place: Path, drawings: Sequence[Drawing], draw: Draw) -> Iterator[bool]:
        """Write a shard's files; yields after each drawing whether its picture was kept."""
        records: list[dict[str, Any]] = []
        dropped: list[dict[str, Any]] = []
        for drawing, drawn in zip(drawings, draw(drawings), strict=True):
            if drawn.picture is None:
                dropped.append({"prompt": drawing.prompt, "seed": drawing.seed, "reason": drawn.fault})
            else:
                name = f"{drawing.number:08}.{self._settings.format}"
                _write_picture(place / name, drawn.picture)
                records.append(self._record(name, drawing, drawn.picture, truncated=drawn.truncated))
            if len(records) + len(dropped) == len(drawings):
                _write_lines(place / METADATA, records)
                if dropped:
                    _write_lines(place / DROPPED, dropped)
            yield drawn.picture is not None

    def _record(self, name: str, drawing: Drawing, picture: Image.Image, *, truncated: bool) -> dict[str, Any]:
        settings = self._settings
        return {
            "file_name": name,
            "prompt": drawing.prompt,
            "seed": drawing.seed,
            "generator": settings.model,
            "steps": settings.steps,
            "guidance": settings.guidance,
            "scheduler": settings.scheduler,
            "width": picture.width,
            "height": picture.height,
            "truncated": truncated,
        }

    def _waiting(self, claims: Claims, done: set[int]) -> str:
        missing = sorted(set(range(self._plan.shards)) - done)
        owner = claims.owner(_name(missing[0]))
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        return f"waiting for {_name(missing[0])}{more}, drawn by {owner or 'another process'}"


def _name(shard: int) -> str:
    return f"shard-{shard:05}"


def _write_picture(path: Path, picture: Image.Image) -> None:
    """Write the pixels only: with its prompt in its metadata, a picture would give away the answer."""
    picture.save(path, "jpeg" if path.suffix == ".jpg" else path.suffix.removeprefix("."), quality=_QUALITY)


def _write_lines(path: Path, records: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def _put_folder(source: Path, target: Path) -> bool:
    """Rename a folder; False if the target exists. Raises OSError."""
    sync_tree(source)  # nobody looks again into a shard that has its name
    try:
        os.rename(source, target)  # never replaces a folder that is not empty
    except OSError:
        if target.exists():
            return False
        raise
    return True
