"""A tagger as a member: its tags, as one text, are its vote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from unprompt.checked import Bounds, Length, read_both
from unprompt.errors import DataError, UnknownNameError
from unprompt.images.decode import Picture
from unprompt.members.member import MemberKind, MemberSpec
from unprompt.models.store.needs import Need
from unprompt.prediction import Concept, Vote
from unprompt.progress import Step
from unprompt.taggers.choosing import DEFAULT_CATEGORIES, Choice, Tag, Tags
from unprompt.taggers.families import CATEGORIES, Category, FamilyName
from unprompt.taggers.needs import tagger_need
from unprompt.taggers.opening import open_tagger, tagger_place
from unprompt.taggers.spelling import Spelling
from unprompt.taggers.tagger import Tagger, TagWords


@dataclass(frozen=True, slots=True)
class TaggerOptions:
    """Which tagger: its `family` if the name does not tell, a folder of `weights`, by default in the hub's cache.

    Which tags: see `Choice`. How they are written: see `Spelling`.
    """

    family: FamilyName | None = None
    weights: str | None = None
    thresholds: Mapping[str, Annotated[float, Bounds(0, 1)]] = field(default_factory=dict)
    categories: tuple[Category, ...] = DEFAULT_CATEGORIES
    max_tags: Annotated[int, Bounds(1)] | None = None
    blacklist: tuple[Annotated[str, Length(300)], ...] = ()
    drop_implied: bool = True
    spaces: bool = True
    escape: bool = False
    trigger: Annotated[str, Length(1000)] = ""

    def __post_init__(self) -> None:
        for name in self.thresholds:
            if name not in CATEGORIES:
                raise UnknownNameError("category of tags in thresholds", name, CATEGORIES)
        if not self.categories or len(set(self.categories)) < len(self.categories):
            raise DataError(f"expected categories to be some of {', '.join(CATEGORIES)}, each once")

    @property
    def place(self) -> Path | None:
        """The folder of the weights; None for the hub's cache."""
        return None if self.weights is None else Path(self.weights)

    @property
    def choice(self) -> Choice:
        """Which tags are chosen."""
        thresholds = {category: self.thresholds[category] for category in CATEGORIES if category in self.thresholds}
        return Choice(thresholds, self.categories, self.max_tags, self.blacklist, self.drop_implied)

    @property
    def spelling(self) -> Spelling:
        """How they are written."""
        return Spelling(self.spaces, self.escape, self.trigger)


@dataclass(frozen=True, slots=True)
class _Nested:
    """The keys of a tagger inside another member's options, besides its own options."""

    model: str
    kind: Literal["tagger"] = "tagger"


def read_tagger(table: Mapping[str, Any], where: str) -> MemberSpec[TaggerOptions]:
    """Read a tagger that another member uses, {model = NAME, ...} with the options of a member.

    Raises as reading a preset does; `where` names the table in messages.
    """
    head, options = read_both(_Nested, TaggerOptions, table, where)
    return MemberSpec(head.kind, head.kind, head.model, 1.0, options)


class TaggerMember:
    """Votes with a tagger's tags: votes without a vector, and without a text if no tag is probable enough.

    The concepts of a vote are the tags and the rating, most probable first, spelt without backslashes.
    """

    def __init__(self, tagger: Tagger, spelling: Spelling, *, name: str, weight: float) -> None:
        self.name = name
        self.tagger = tagger
        self._spelling = spelling
        self._weight = weight

    @classmethod
    def of(cls, spec: MemberSpec[TaggerOptions], threads: int = 0) -> TaggerMember:
        """Make the member that a preset describes. Raises what `open_tagger` raises."""
        opened = tag_words(spec, threads)
        return cls(opened.tagger, opened.spelling, name=spec.name, weight=spec.weight)

    def identities(self) -> Mapping[str, str]:
        return self.tagger.identities()

    @property
    def shorter_side(self) -> int | None:
        return self.tagger.shorter_side

    def prepare(self, step: Step) -> None:
        """Nothing to prepare."""

    def vote(self, pictures: Sequence[Picture]) -> list[Vote]:
        """Return the tags of each picture as one text."""
        return [self._vote(tags) for tags in self.tagger.tag(pictures)]

    def unload(self) -> None:
        """Nothing to do: the weights are in main memory and stay there."""

    def _vote(self, tags: Tags) -> Vote:
        text = self._spelling.text(tag.name for tag in tags.chosen) if tags.chosen else ""
        concepts = tuple(map(self._concept, _by_probability(tags)))
        return Vote(self.name, self._weight, texts=(text,) if text else (), concepts=concepts)

    def _concept(self, tag: Tag) -> Concept:
        plain = Spelling(spaces=self._spelling.spaces).tag(tag.name)
        return Concept(f"rating:{plain}" if tag.category == "rating" else plain, tag.probability, tag.category)


def tag_words(spec: MemberSpec[TaggerOptions], threads: int = 0) -> TagWords:
    """Open the tagger of a spec, with its spelling. Raises what `open_tagger` raises."""
    options = spec.options
    tagger = open_tagger(spec.model, options.family, weights=options.place, choice=options.choice, threads=threads)
    return TagWords(tagger, options.spelling)


def needs(spec: MemberSpec[TaggerOptions]) -> list[Need]:
    """The tagger's weights, its list of tags, and what else its repository has."""
    return [tagger_need(tagger_place(spec.model, spec.options.family, spec.options.place))]


KIND = MemberKind(TaggerMember.of, TaggerOptions, needs, offers_texts=True)


def _by_probability(tags: Tags) -> list[Tag]:
    found = [*tags.chosen, *([tags.rating] if tags.rating is not None and tags.rating not in tags.chosen else [])]
    return sorted(found, key=lambda tag: (-tag.probability, tag.name))
