"""The actor: one process of the cluster that holds a loaded `Unprompter` and answers one chunk after the other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from unprompt.answer.memory import RecentAnswers
from unprompt.errors import EXIT_INTERNAL, UnpromptError
from unprompt.images.decode import MEMORY_LIMIT_MB
from unprompt.images.ref import ImageRef
from unprompt.models.store.hub_cache import go_offline
from unprompt.output.phrasing import Phrasing
from unprompt.prediction import Style
from unprompt.presets import read_preset
from unprompt.progress import SILENT
from unprompt.scale.ray.rows import Row, keeping, row
from unprompt.unprompter import Unprompter


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked of every picture, as `Unprompter.predict` names it.

    The preset comes as text, for a node need not have its file. `phrasing` makes the texts, if others than the prompts
    are wanted; `with_pictures` returns the files.
    """

    preset_text: str
    preset_file: str
    threads: int = 1
    allow_missing: bool = False
    style: Style | None = None
    offline: bool = False
    batch_size: int = 8
    text: bool = True
    top: int = 5
    ignore_metadata: bool = False
    read_beside: bool = True
    pixel_limit_mp: float = 100.0
    memory_limit_mb: float = MEMORY_LIMIT_MB
    embedding: bool = False
    phrasing: Phrasing | None = None
    with_pictures: bool = False

    def unprompter(self) -> Unprompter:
        """Open the preset. Raises as `load` does."""
        if self.offline:
            go_offline()
        preset = read_preset(self.preset_text, self.preset_file)
        return Unprompter(preset, threads=self.threads, allow_missing=self.allow_missing, style=self.style)


@dataclass(frozen=True, slots=True)
class Refused:
    """Why the request cannot be carried out, whatever the picture; a value, for errors lose their class on the way."""

    message: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class Broken:
    """An error that no picture should raise; tried alone, it costs one picture."""

    message: str


class Answerer:
    """Holds the models, and the recent answers, in which copies are looked up."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._answers = RecentAnswers()
        self._unprompter: Unprompter | None = None

    def prepare(self) -> Refused | None:
        """Open the preset, and do what takes minutes the first time."""
        try:
            self._unprompter = self._asked.unprompter()
            self._unprompter.prepare(SILENT)
        except UnpromptError as error:
            return Refused(str(error), error.exit_code)
        except Exception as error:
            return Refused(f"a fault of ours: {type(error).__name__}: {error}", EXIT_INTERNAL)
        return None

    def process(self) -> int:
        """The number of the process."""
        return os.getpid()

    def answer(self, refs: Sequence[ImageRef]) -> list[Row] | Refused | Broken:
        """A row for each picture, in order; or the error that kept all from being answered."""
        try:
            return list(self._rows(refs))
        except UnpromptError as error:
            return Refused(str(error), error.exit_code)
        except Exception as error:
            return Broken(f"{type(error).__name__}: {error}")

    def _rows(self, refs: Sequence[ImageRef]) -> list[Row]:
        asked, unprompter = self._asked, self._unprompter
        assert unprompter is not None  # `prepare` comes first
        refs = keeping(refs) if asked.with_pictures else refs
        answers = unprompter.predict(
            refs,
            batch_size=asked.batch_size,
            ignore_metadata=asked.ignore_metadata,
            read_beside=asked.read_beside,
            text=asked.text,
            top=asked.top,
            pixel_limit_mp=asked.pixel_limit_mp,
            memory_limit_mb=asked.memory_limit_mb,
            answers=self._answers,
        )
        made: dict[str, Any] = {
            "embedding": asked.embedding,
            "phrasing": asked.phrasing,
            "with_picture": asked.with_pictures,
        }
        return [row(ref, answer, **made) for ref, answer in zip(refs, answers, strict=True)]
