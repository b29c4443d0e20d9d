"""What every member of the ensemble can do, and what every kind of member says of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from typing import Generic, Protocol, TypeVar

from unprompt.images.decode import Picture
from unprompt.models.store.needs import Need
from unprompt.prediction import Vote
from unprompt.progress import Step

Options = TypeVar("Options")


class Member(Protocol):
    """One opinion about pictures. Made quickly; weights are loaded at the first vote."""

    name: str
    """By which its votes are known."""

    def identities(self) -> Mapping[str, str]:
        """What it asks, models and lists, by name, each with a hash that changes with its content."""

    @property
    def shorter_side(self) -> int | None:
        """How many pixels it needs to see; None: every one that the file has."""

    def prepare(self, step: Step) -> None:
        """Makes what takes minutes the first time and is kept then; `step` shows how far it is."""

    def vote(self, pictures: Sequence[Picture]) -> list[Vote]:
        """One vote a picture, in their order; what else is in the batch changes nothing."""

    def unload(self) -> None:
        """Makes what room it can on the device, for the members after it; the next vote takes it again."""


@dataclass(frozen=True, slots=True)
class MemberSpec(Generic[Options]):
    """One member of the ensemble. `weight` is its share of the vote, above 0 and at most 1; `options` its kind's."""

    name: str
    kind: str
    model: str
    weight: float
    options: Options = field(hash=False)


@dataclass(frozen=True)
class NoOptions:
    """The options of a kind that has none."""


def no_needs(spec: MemberSpec[Options]) -> Sequence[Need]:
    """The needs of a kind that has all it needs in its package."""
    return ()


@dataclass(frozen=True, slots=True)
class MemberKind(Generic[Options]):
    """A kind of member.

    `open` makes a member out of what a preset says and a number of threads (0: one a core); it loads and downloads
    nothing, and raises an UnpromptError for what cannot work. `options` is a frozen dataclass whose annotations hold
    the bounds of the options: see `unprompt.checked`. `needs` says what the member needs on the disk, as far as it can
    be told without loading anything. A kind that `offers_texts` can do without a decoder in the preset.
    """

    open: Callable[[MemberSpec[Options], int], Member]
    options: type[Options] = NoOptions  # type: ignore[assignment]
    needs: Callable[[MemberSpec[Options]], Sequence[Need]] = no_needs
    offers_texts: bool = False

    def __post_init__(self) -> None:
        if not is_dataclass(self.options):
            raise TypeError(f"expected options to be a dataclass, found {self.options!r}")
