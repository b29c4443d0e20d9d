"""What a report shows of individual pictures: the scores of all, and the best and worst ones."""

from __future__ import annotations

import base64
import heapq
import io
import itertools

from PIL import Image

from unprompt.evaluation.scoring import Outcome, Scored
from unprompt.images.decode import decode
from unprompt.images.ref import ImageRef
from unprompt.prediction import Failure

SHOWN = 12
"""The number of best pictures, and of worst ones."""

_SIDE = 256  # pixels
_QUALITY = 80


class Highlights:
    """Collects the scores of a run, and the pictures whose vectors have the highest and lowest cosines."""

    def __init__(self) -> None:
        self.vector: list[float] = []
        self.text: list[float] = []
        self._best: list[tuple[float, int, Scored]] = []
        self._worst: list[tuple[float, int, Scored]] = []
        self._order = itertools.count()

    def add(self, outcome: Outcome) -> None:
        """Add one picture; failures are ignored."""
        if not isinstance(outcome, Scored):
            return
        score, order = outcome.score, next(self._order)
        self.vector.append(score.vector)
        if score.text is not None:
            self.text.append(score.text)
        # Of equal scores, the earlier picture is kept.
        for heap, height in ((self._best, score.vector), (self._worst, -score.vector)):
            heapq.heappush(heap, (height, -order, outcome))
            if len(heap) > SHOWN:
                heapq.heappop(heap)

    @property
    def best(self) -> list[Scored]:
        """The best pictures, best first; at most half of all, so that none is also among the worst."""
        return self._sorted(self._best, (len(self.vector) + 1) // 2)

    @property
    def worst(self) -> list[Scored]:
        """The worst pictures, worst first."""
        return self._sorted(self._worst, len(self.vector) // 2)

    def _sorted(self, heap: list[tuple[float, int, Scored]], limit: int) -> list[Scored]:
        ordered = sorted(heap, key=lambda entry: entry[:2], reverse=True)
        return [outcome for _, _, outcome in ordered[:limit]]


def thumbnail(picture: ImageRef) -> str | None:
    """The picture as a small JPEG in a data: URL; None if it can no longer be read."""
    answer = decode(picture, shorter_side=_SIDE, read_metadata=False)
    if isinstance(answer, Failure):
        return None
    image = Image.fromarray(answer.pixels)
    image.thumbnail((_SIDE, _SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
