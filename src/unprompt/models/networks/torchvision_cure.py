"""Makes `import torchvision` work beside a CPU build of torch.

The published wheel of torchvision is linked to CUDA. Beside a CPU torch its compiled part cannot load, and the import
fails because the schema of `torchvision::nms` is unknown; timm and transformers always import it. After the cure,
transforms work; `ops.nms` and the picture decoders do not, and are not needed here.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

_schemas: list[Any] = []  # torch forgets a library's schemas when the library is collected


def cure_torchvision() -> None:
    """Import torchvision, declaring its schemas only if the import failed because they were missing."""
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    except ModuleNotFoundError:
        return
    else:
        return
    import torch

    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _schemas.append(library)
    importlib.import_module("torchvision")
