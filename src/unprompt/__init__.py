"""unprompt turns a picture back into the prompt that made it.

    import unprompt

    model = unprompt.load()
    for answer in model.predict(["a.png", "pictures/"]):
        print(answer.source, answer)

The names below are imported when they are first used, so that `import unprompt` costs nothing. `unprompter.py` is the
way from pictures to predictions; docs/architecture.md is the map of the code.
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
    from unprompt.version import __version__ as __version__

_HOMES = {
    "__version__": "unprompt.version",
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
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: Any = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
