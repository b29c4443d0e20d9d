"""The interface of a member of the ensemble, and the description of a kind of member."""

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
    """Votes on pictures. Creating one is quick; its weights are loaded at the first vote."""

    name: str
    """The name under which its votes are recorded."""

    def identities(self) -> Mapping[str, str]:
        """The models and lists that it uses: name -> a hash that changes with the content."""

    @property
    def shorter_side(self) -> int | None:
        """The shorter side, in pixels, that it needs of a picture; None for the full size."""

    def prepare(self, step: Step) -> None:
        """Compute what takes minutes the first time and is cached afterwards; `step` shows the progress."""

    def vote(self, pictures: Sequence[Picture]) -> list[Vote]:
        """Return one vote per picture, in order; other pictures in the batch do not affect it."""

    def unload(self) -> None:
        """Free device memory; the next vote loads the weights again."""


@dataclass(frozen=True, slots=True)
class MemberSpec(Generic[Options]):
    """A member as a preset describes it.

    `weight` is its share of the vote, above 0 and at most 1; `options` is the options dataclass of its kind.
    """

    name: str
    kind: str
    model: str
    weight: float
    options: Options = field(hash=False)


@dataclass(frozen=True)
class NoOptions:
    """The options of a kind without options."""


def no_needs(spec: MemberSpec[Options]) -> Sequence[Need]:
    """The needs of a kind that needs no files beyond its own package."""
    return ()


@dataclass(frozen=True, slots=True)
class MemberKind(Generic[Options]):
    """A kind of member.

    `open` makes a member from its spec and a number of threads (0: one per core); it loads and downloads nothing, and
    raises an UnpromptError for a spec that cannot work. `options` is a frozen dataclass whose annotations hold the
    bounds of the options, as `unprompt.checked` reads them. `needs` lists what the member needs on disk, as far as is
    known without loading anything. With a kind that `offers_texts`, a preset needs no decoder.
    """

    open: Callable[[MemberSpec[Options], int], Member]
    options: type[Options] = NoOptions  # type: ignore[assignment]
    needs: Callable[[MemberSpec[Options]], Sequence[Need]] = no_needs
    offers_texts: bool = False

    def __post_init__(self) -> None:
        if not is_dataclass(self.options):
            raise TypeError(f"expected options to be a dataclass, found {self.options!r}")
