"""Picks tags by their probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import numpy as np
import numpy.typing as npt

from unprompt.taggers.families import Category
from unprompt.taggers.implied import implied
from unprompt.taggers.spelling import is_count
from unprompt.taggers.tag_files import TagList

DEFAULT_CATEGORIES: tuple[Category, ...] = ("character", "copyright", "general")


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag with its category, as the tagger's list writes it, and the probability that the picture has it."""

    name: str
    category: Category
    probability: float


@dataclass(frozen=True, slots=True)
class Tags:
    """What a tagger finds in one picture.

    `chosen` are the tags in the order in which they are written: how many people there are, then each category, most
    probable first. `rating` is the most probable one, None if the tagger knows none.
    """

    chosen: tuple[Tag, ...]
    rating: Tag | None = None

    def of(self, category: Category) -> tuple[Tag, ...]:
        """The chosen tags of one category."""
        return tuple(tag for tag in self.chosen if tag.category == category)


@dataclass(frozen=True, slots=True)
class Choice:
    """Which tags are chosen: those of `categories`, in this order, above the probability of their category.

    `thresholds` replace the tagger's own. `blacklist` are tags, or patterns with * such as "*_background", which are
    left out; a space is as good as an underscore. `drop_implied` leaves out what another tag says as well. Of what is
    left, the `max_tags` most probable are taken.
    """

    thresholds: Mapping[Category, float] = field(default_factory=dict)
    categories: tuple[Category, ...] = DEFAULT_CATEGORIES
    max_tags: int | None = None
    blacklist: tuple[str, ...] = ()
    drop_implied: bool = True


DEFAULT_CHOICE = Choice()


class Chooser:
    """Chooses among the tags of one list. `thresholds` are the tagger's own; a category without one takes general's."""

    def __init__(self, tags: TagList, thresholds: Mapping[Category, float], choice: Choice) -> None:
        self._tags, self._choice = tags, choice
        own = {**thresholds, **choice.thresholds}
        self._patterns = tuple(_plain(pattern) for pattern in choice.blacklist)
        self._thresholds = np.array(
            [self._threshold(name, category, own) for name, category in zip(tags.names, tags.categories, strict=True)]
        )
        self._ratings = np.array([at for at, category in enumerate(tags.categories) if category == "rating"], np.intp)

    def choose(self, probabilities: npt.NDArray[np.float32]) -> Tags:
        """The tags of a picture, by the probability of each of the list (tags,)."""
        values = probabilities.astype(np.float64)
        found = [self._tag(int(at), float(values[at])) for at in np.flatnonzero(values > self._thresholds)]
        rating = self._rating(values)
        if rating is not None and "rating" in self._choice.categories:
            found.append(rating)
        found = self._with_copyrights(found)
        if self._choice.drop_implied:
            said = implied(tag.name for tag in found if tag.category == "general")
            found = [tag for tag in found if tag.category != "general" or tag.name not in said]
        found = sorted(found, key=lambda tag: (-tag.probability, tag.name))[: self._choice.max_tags]
        return Tags(tuple(sorted(found, key=self._place)), rating)

    def _threshold(self, name: str, category: Category, own: Mapping[Category, float]) -> float:
        """The probability above which a tag is chosen; infinite for one that never is. A rating is chosen otherwise."""
        if category == "rating" or category not in self._choice.categories or self._is_barred(name):
            return np.inf
        return own.get(category, own.get("general", 0.0))

    def _is_barred(self, name: str) -> bool:
        plain = _plain(name)
        return any(fnmatchcase(plain, pattern) for pattern in self._patterns)

    def _rating(self, values: npt.NDArray[np.float64]) -> Tag | None:
        if not len(self._ratings):
            return None
        best = int(self._ratings[np.argmax(values[self._ratings])])
        return self._tag(best, float(values[best]))

    def _with_copyrights(self, found: Sequence[Tag]) -> list[Tag]:
        """The tags and, of characters whose series the list knows, the series, as probable as the likeliest of them."""
        series: dict[str, float] = {}
        if "copyright" in self._choice.categories:
            for tag in found:
                for name in self._tags.copyrights.get(tag.name, ()) if tag.category == "character" else ():
                    series[name] = max(tag.probability, series.get(name, 0.0))
        known = {tag.name for tag in found if tag.category == "copyright"}
        more = [Tag(name, "copyright", probability) for name, probability in series.items() if name not in known]
        return [*found, *(tag for tag in more if not self._is_barred(tag.name))]

    def _tag(self, at: int, probability: float) -> Tag:
        return Tag(self._tags.names[at], self._tags.categories[at], probability)

    def _place(self, tag: Tag) -> tuple[bool, int, float, str]:
        return not is_count(tag.name), self._choice.categories.index(tag.category), -tag.probability, tag.name


def _plain(tag: str) -> str:
    return tag.strip().casefold().replace(" ", "_")
