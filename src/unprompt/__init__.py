"""unprompt turns a picture back into the prompt that made it.

    import unprompt

    model = unprompt.load()
    for answer in model.predict(["a.png", "pictures/"]):
        print(answer.source, answer)

The names below are imported when they are first used, so that `import unprompt` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unprompt.interrogation.interrogator import Interrogator as Interrogator
    from unprompt.prediction import Failure as Failure
    from unprompt.prediction import Prediction as Prediction
    from unprompt.text.similarity import embed as embed
    from unprompt.text.similarity import similarity as similarity
    from unprompt.unprompter import Unprompter as Unprompter
    from unprompt.unprompter import load as load

    __version__: str

_HOMES = {
    "Failure": "unprompt.prediction",
    "Interrogator": "unprompt.interrogation.interrogator",
    "Prediction": "unprompt.prediction",
    "Unprompter": "unprompt.unprompter",
    "embed": "unprompt.text.similarity",
    "load": "unprompt.unprompter",
    "similarity": "unprompt.text.similarity",
}

__all__ = ["Failure", "Interrogator", "Prediction", "Unprompter", "embed", "load", "similarity"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = _version()
    elif name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, "__version__"})


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("unprompt")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0+unknown"
