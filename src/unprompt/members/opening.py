"""Which members of a preset can vote here, and why the others cannot."""

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
    """The members that vote, whose weights sum to 1, and by name why each of the others does not."""

    members: Sequence[Member]
    missing: Mapping[str, str]


def open_members(specs: Sequence[MemberSpec[Any]], threads: int = 0, *, allow_missing: bool = False) -> Membership:
    """The members of a preset; nothing is loaded yet and, without `allow_missing`, nothing downloaded.

    One is missing where it needs an extra that is not installed, or something that is not here and that no download may
    bring. With `allow_missing` a download brings the rest at once, and one whose download fails is missing as well.
    Without it, and where all are missing, that is raised, of all at once: ModelError or MissingExtraError. Whatever
    else is wrong is always raised: see `load_preset` and each member's `of`.
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
    """One error of all that are missing; `others` may go on without them."""
    if len(absent) == 1 and not others:  # that of a command that knows no presets, it may be
        return next(iter(absent.values()))
    told = [f"the member {name}: {error}" for name, error in absent.items()]
    way = "'unprompt presets show' lists every file"
    told.append(f"{way}, and --allow-missing goes on with the members that are here" if others else way)
    return _joined(told, list(absent.values()))


def _absence(spec: MemberSpec[Any]) -> UnpromptError | None:
    """What a member lacks that nothing will bring by itself; None where there is no such thing."""
    lacking = [need.absence() for need in needs_of(spec) if not need.is_here and not _is_fetched(need)]
    return _joined([str(error) for error in lacking], lacking) if lacking else None


def _bring(specs: Sequence[MemberSpec[Any]]) -> dict[str, UnpromptError]:
    """Downloads what these members lack; by name, why others still lack it. A hub out of reach is asked once."""
    from unprompt.models.store.hub_download import OutOfReachError, bring_model, logged

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
                break  # what else it lacks would be downloaded for nothing
    return absent


def _is_fetched(need: Need) -> bool:
    """Whether the first picture brings it."""
    return need.hub is not None and not is_offline()


def _joined(sentences: Sequence[str], errors: Sequence[UnpromptError]) -> UnpromptError:
    """One error that says all this; where one is alone it keeps its class, and so its HTTP status."""
    if len(errors) > 1:
        return ModelError("; ".join(sentences))
    errors[0].args = ("; ".join(sentences),)
    return errors[0]
