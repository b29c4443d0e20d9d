"""Makes `import torchvision` work beside a CPU build of torch.

The published wheel of torchvision is linked to CUDA; beside a CPU torch its compiled part cannot load, and its import
fails because the schema of `torchvision::nms` is unknown. timm and transformers import torchvision whatever one does.
Transforms work after the cure; `ops.nms` and its picture decoders do not, and are not needed here.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

_schemas: list[Any] = []  # torch forgets a library's schemas when the library is collected


def cure_torchvision() -> None:
    """Imports torchvision; its schemas are declared if, and only if, its own import failed for want of them."""
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
