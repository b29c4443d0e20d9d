"""What the nodes of a cluster have installed, asked before the first picture: every node has to answer alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from unprompt.errors import ClusterError
from unprompt.scale.ray.answerer import Asked

ANSWER_LIMIT_S = 300.0
"""How long a node may take: it starts a process and opens the preset, whose models it may have to fetch first."""

_SHOWN = 5

_WORDS = {
    "python": "Python {there}, here {here}",
    "unprompt": "unprompt {there}, here {here}",
    "preset": "the preset cannot be opened: {there}",
    "files": "{there}, which is a file here; pictures have to lie where every node sees them",
}

Said = Mapping[str, str]
"""What a node said of itself: "python", "unprompt", "files", and each part of its preset, by a name that begins with
"preset's"; or "preset", why that cannot be opened; or "error", why nothing can be said."""


def check_nodes(nodes: Sequence[Mapping[str, Any]], asked: Asked, file: str | None) -> None:
    """Ask every node for its versions and its preset, and whether it sees `file`.

    Raises ClusterError that names each node that differs from this process, and in what.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ask = _ask()
    questions = (asked.preset_text, asked.preset_file, asked.allow_missing, file)
    mine = ask(*questions)
    task = ray.remote(num_cpus=0, max_retries=1)(ask)
    asking = {
        task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(
            *questions
        ): _shown(node)
        for node in nodes
    }
    ready, late = ray.wait(list(asking), num_returns=len(asking), timeout=ANSWER_LIMIT_S)
    faults = [f"{asking[reference]} did not answer in {ANSWER_LIMIT_S:.0f} s" for reference in late]
    for reference in ready:
        try:
            said = ray.get(reference)
        except ray.exceptions.RayError as error:
            said = {"error": " ".join(str(error).split())[-300:]}
        faults += differences(asking[reference], said, mine)
    if faults:
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise ClusterError(
            f"expected nodes that answer as this process does, found: {'; '.join(faults[:_SHOWN])}{more}; install the "
            "same there, and begin again"
        )


def differences(node: str, said: Said, mine: Said) -> list[str]:
    """In what a node differs, a sentence for each."""
    if "error" in said:
        return [f"{node}: {said['error']}"]
    differing = [name for name in {**mine, **said} if said.get(name) != mine.get(name)]
    if "preset" in said:
        differing = [name for name in differing if not name.startswith("preset's")]
    return [f"{node}: {_difference(name, said.get(name), mine.get(name))}" for name in differing]


def _difference(name: str, there: str | None, here: str | None) -> str:
    if name in _WORDS:
        return _WORDS[name].format(there=there, here=here)
    return f"{name} is {there}, here {here}"


def _shown(node: Mapping[str, Any]) -> str:
    return f"node {node['NodeManagerHostname']} ({node['NodeManagerAddress']}, {node['NodeID'][:8]})"


def _ask() -> Callable[[str, str, bool, str | None], dict[str, str]]:
    """A function that Ray sends by its code, not by its name: a node may have another unprompt, or none."""

    def ask(preset_text: str, preset_file: str, allow_missing: bool, file: str | None) -> dict[str, str]:
        import os
        import platform
        from collections.abc import Mapping

        said = {"python": platform.python_version()}
        try:
            from unprompt.presets import read_preset
            from unprompt.unprompter import Unprompter
            from unprompt.version import __version__

            said["unprompt"] = __version__
            preset = Unprompter(read_preset(preset_text, preset_file), threads=1, allow_missing=allow_missing)
            for name, value in preset.identity(text=True).items():
                parts = value.items() if isinstance(value, Mapping) else [("", value)]
                said |= {f"preset's {name} {part}".rstrip(): str(each) for part, each in parts if name != "unprompt"}
        except ModuleNotFoundError as error:
            return {"error": f"no module {error.name} for {platform.python_version()}; pip install unprompt there"}
        except Exception as error:
            said["preset"] = f"{type(error).__name__}: {error}"
        if file is not None:
            said["files"] = f"sees {file}" if os.path.lexists(file) else f"does not see {file}"
        return said

    return ask
