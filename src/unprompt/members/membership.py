"""Which members of a preset can vote here, and why the others cannot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from unprompt.errors import MissingExtraError, ModelError, UnpromptError
from unprompt.members.captioner import CaptionerMember
from unprompt.members.interrogator import InterrogatorMember
from unprompt.members.member import Member
from unprompt.members.needs import needs_of
from unprompt.members.neighbours import Neighbours
from unprompt.members.regressor import Regressor
from unprompt.models.engine import ONNX_WEIGHTS
from unprompt.models.hub_cache import is_offline
from unprompt.models.needed_files import Need
from unprompt.models.registry import find_model
from unprompt.presets import CAPTIONER, INTERROGATOR, NEIGHBOURS, REGRESSOR, MemberSpec, Preset, is_installed

KINDS: Mapping[str, Callable[[MemberSpec, int], Member]] = {
    REGRESSOR: Regressor.of,
    CAPTIONER: CaptionerMember.of,
    INTERROGATOR: InterrogatorMember.of,
    NEIGHBOURS: Neighbours.of,
}
"""What makes a member of each kind; see there what it raises."""


@dataclass(frozen=True, slots=True)
class Membership:
    """The members that vote, whose weights sum to 1, and by name why each of the others does not."""

    members: Sequence[Member]
    missing: Mapping[str, str]


def open_members(preset: Preset, threads: int = 0, *, allow_missing: bool = False) -> Membership:
    """The members of a preset; nothing is loaded or downloaded yet.

    One is missing where it needs an extra that is not installed, or something that is not here and that no download may
    bring. Without `allow_missing`, and where all are missing, that is raised, of all at once: ModelError or
    MissingExtraError. Whatever else is wrong is always raised: see `load_preset` and each member's `of`.
    """
    members: list[Member] = []
    absent: dict[str, UnpromptError] = {}
    for spec in preset.members:
        try:
            error = _absence(spec)
            members += [] if error else [KINDS[spec.kind](spec, threads)]
        except (ModelError, MissingExtraError) as raised:
            error = raised
        if error:
            absent[spec.name] = error
    if absent and (not allow_missing or not members):
        raise _all_absent(preset, absent, others=bool(members) and not allow_missing)
    if absent:
        present = [spec for spec in preset.members if spec.name not in absent]
        total = sum(spec.weight for spec in present)
        members = [KINDS[spec.kind](replace(spec, weight=spec.weight / total), threads) for spec in present]
    return Membership(members, {name: str(error) for name, error in absent.items()})


def _all_absent(preset: Preset, absent: Mapping[str, UnpromptError], *, others: bool) -> UnpromptError:
    """One error of all that are missing; `others` may go on without them."""
    if len(preset.members) == 1:  # that of a command that knows no presets, it may be
        return next(iter(absent.values()))
    told = [f"the member {name}: {error}" for name, error in absent.items()]
    way = "'unprompt presets show' lists every file"
    told.append(f"{way}, and --allow-missing goes on with the members that are here" if others else way)
    return _joined(told, list(absent.values()))


def _absence(spec: MemberSpec) -> UnpromptError | None:
    """What a member lacks that nothing will bring by itself; None where there is no such thing."""
    lacking = [need.absence() for need in needs_of(spec) if not need.is_here and not _is_fetched(need)]
    if lacking:
        return _joined([str(error) for error in lacking], lacking)
    if spec.kind == REGRESSOR and ONNX_WEIGHTS not in find_model(spec.model).config["files"]:
        return None if is_installed("torch") else MissingExtraError(f"the model {spec.model}", "torch")
    return None


def _is_fetched(need: Need) -> bool:
    """Whether the first picture brings it."""
    return need.hub is not None and not is_offline()


def _joined(sentences: Sequence[str], errors: Sequence[UnpromptError]) -> UnpromptError:
    """One error that says all this; where one is alone it keeps its class, and so its HTTP status."""
    if len(errors) > 1:
        return ModelError("; ".join(sentences))
    errors[0].args = ("; ".join(sentences),)
    return errors[0]
