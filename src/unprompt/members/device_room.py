"""Lets members share a device: all at once while they fit, otherwise one at a time."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from unprompt.errors import NoRoomError
from unprompt.images.decode import Picture
from unprompt.members.member import Member
from unprompt.prediction import Vote
from unprompt.progress import Step

_Answer = TypeVar("_Answer")

_log = logging.getLogger(__name__)


class Turns:
    """Calls members to prepare and to vote; safe to use from several threads.

    All members stay loaded and may run at the same time until one finds no room on the device. From then on, or from
    the start if turns are `taken`, one runs at a time and is unloaded afterwards.
    """

    def __init__(self, members: Sequence[Member], *, taken: bool) -> None:
        self.taken = taken
        self._members = members
        self._asked = 0
        self._changed = threading.Condition()

    def vote(self, member: Member, pictures: Sequence[Picture]) -> list[Vote]:
        """Return the member's votes. Raises what its `vote` raises, and NoRoomError if it does not fit even alone."""
        return self._ask(member, lambda: member.vote(pictures))

    def prepare(self, member: Member, step: Step) -> None:
        """Have the member prepare. Raises as `vote` does."""
        self._ask(member, lambda: member.prepare(step))

    def close(self) -> None:
        """Wait for the members that are asked, and unload all."""
        with self._alone():
            for member in self._members:
                member.unload()

    def _ask(self, member: Member, answer: Callable[[], _Answer]) -> _Answer:
        if self._joins():
            try:
                return answer()
            except NoRoomError as error:
                if len(self._members) == 1:
                    raise
                self._take_turns(f"{member.name}: {error}")
            finally:
                self._leave()
        # Outside the handler, because its error keeps objects on the device alive.
        with self._alone():
            return self._answer_and_leave(member, answer)

    def _answer_and_leave(self, member: Member, answer: Callable[[], _Answer]) -> _Answer:
        for other in self._members:  # they may have loaded before turns were taken
            other.unload()
        try:
            return answer()
        except NoRoomError as error:
            error.args = (f"{member.name}: {error}; the other members had already left the device",)
            raise
        finally:
            member.unload()

    def _take_turns(self, why: str) -> None:
        with self._changed:
            if not self.taken:
                self.taken = True
                _log.warning("%s; the members take turns on it from now on, which is slower", why)

    def _joins(self) -> bool:
        """Whether the member may run beside others; if so, it is counted until it leaves."""
        with self._changed:
            self._asked += not self.taken
            return not self.taken

    def _leave(self) -> None:
        with self._changed:
            self._asked -= 1
            self._changed.notify_all()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._asked)
            self._asked += 1
        try:
            yield
        finally:
            self._leave()
