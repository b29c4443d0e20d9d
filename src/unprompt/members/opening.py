"""Opens the members of a preset, and says which cannot vote and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from unprompt.display import printable
from unprompt.errors import MissingExtraError, ModelError, UnpromptError
from unprompt.members.kinds import needs_of, open_member
from unprompt.members.member import Member, MemberSpec
from unprompt.models.store.hub_cache import is_offline
from unprompt.models.store.needs import Need


@dataclass(frozen=True, slots=True)
class Membership:
    """The members that vote, whose weights sum to 1, and the reason why each other one is `missing`, by name."""

    members: Sequence[Member]
    missing: Mapping[str, str]


def open_members(specs: Sequence[MemberSpec[Any]], threads: int = 0, *, allow_missing: bool = False) -> Membership:
    """Open the members of a preset; nothing is loaded yet and, without `allow_missing`, nothing is downloaded.

    A member is missing if it needs an extra that is not installed, or a file that is absent and that no download may
    provide. With `allow_missing`, other absent files are downloaded now, and a member whose download fails is missing
    too. Without it, or if all are missing, one ModelError or MissingExtraError names every missing member. Other
    errors, those of each member's `of`, are always raised.
    """
    members: dict[str, Member] = {}
    absent: dict[str, UnpromptError] = {}
    for spec in specs:
        try:
            error = _absence(spec)
            if error is None:
                members[spec.name] = open_member(spec, threads)
        except (ModelError, MissingExtraError) as raised:
            error = raised
        if error:
            absent[spec.name] = error
    if allow_missing:
        absent |= _bring([spec for spec in specs if spec.name not in absent])
    absent = {spec.name: absent[spec.name] for spec in specs if spec.name in absent}
    present = [spec for spec in specs if spec.name not in absent]
    if absent and (not allow_missing or not present):
        raise _all_absent(absent, others=bool(present) and not allow_missing)
    if not absent:
        return Membership(list(members.values()), {})
    total = sum(spec.weight for spec in present)
    rest = [open_member(replace(spec, weight=spec.weight / total), threads) for spec in present]
    return Membership(rest, {name: printable(str(error)) for name, error in absent.items()})


def _all_absent(absent: Mapping[str, UnpromptError], *, others: bool) -> UnpromptError:
    """One error for all missing members; `others` says whether the rest could go on without them."""
    if len(absent) == 1 and not others:  # possibly of a command without presets
        return next(iter(absent.values()))
    told = [f"the member {name}: {error}" for name, error in absent.items()]
    way = "'unprompt presets show' lists every file"
    told.append(f"{way}, and --allow-missing goes on with the members that are here" if others else way)
    return _joined(told, list(absent.values()))


def _absence(spec: MemberSpec[Any]) -> UnpromptError | None:
    """The error for what a member lacks and the first picture will not download; None if it lacks nothing."""
    lacking = [need.absence() for need in needs_of(spec) if not need.is_here and not _is_fetched(need)]
    return _joined([str(error) for error in lacking], lacking) if lacking else None


def _bring(specs: Sequence[MemberSpec[Any]]) -> dict[str, UnpromptError]:
    """Download what these members lack; returns, by name, the errors of those that still lack it.

    Once the hub is out of reach, nothing more is requested from it.
    """
    from unprompt.errors import OutOfReachError
    from unprompt.models.store.hub_download import bring_model, logged

    absent: dict[str, UnpromptError] = {}
    is_reached = True
    for spec in specs:
        for need in needs_of(spec):
            if need.hub is None or need.is_here:
                continue
            faults: list[UnpromptError] = [*bring_model(need.hub, logged)[1]] if is_reached else [need.absence()]
            if faults:
                is_reached = not any(isinstance(fault, OutOfReachError) for fault in faults) and is_reached
                absent[spec.name] = _joined([str(fault) for fault in faults], faults)
                break  # other files of this member would be downloaded for nothing
    return absent


def _is_fetched(need: Need) -> bool:
    """Whether the first picture will download it."""
    return need.hub is not None and not is_offline()


def _joined(sentences: Sequence[str], errors: Sequence[UnpromptError]) -> UnpromptError:
    """One error with all these sentences; a single error keeps its class, and so its HTTP status."""
    if len(errors) > 1:
        return ModelError("; ".join(sentences))
    errors[0].args = ("; ".join(sentences),)
    return errors[0]
