"""transformers' own chat server, `transformers serve`, in a process of its own: python transformers_serve.py PORT."""

import io
import sys
from typing import Any


def _decode(data: Any, mode: Any = None, **_options: Any) -> Any:
    """Pictures by Pillow: torchvision's compiled decoder does not load beside a torch for the CPU alone."""
    import numpy as np
    import torch
    from PIL import Image

    pixels = np.asarray(Image.open(io.BytesIO(bytes(data.numpy()))).convert("RGB"))
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)


def main(port: int) -> None:
    from unprompt.models.networks.torchvision_cure import cure_torchvision

    cure_torchvision()
    import torchvision.io
    from transformers.cli.serve import Serve

    torchvision.io.decode_image = _decode
    Serve(force_model=None, host="127.0.0.1", port=port, device="cpu", default_seed=0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
