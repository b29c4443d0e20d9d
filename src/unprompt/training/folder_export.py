"""Exports a torch model folder, trained or converted here, to ONNX, for machines without torch."""

from __future__ import annotations

from pathlib import Path

import torch

from unprompt.errors import ModelError
from unprompt.models.regressors.onnx import session
from unprompt.models.regressors.torch_folder import load_network
from unprompt.models.store.folder import CARD, ModelFolder, replacing, write_config
from unprompt.models.store.image_model import ONNX_WEIGHTS, TORCH_WEIGHTS
from unprompt.training.onnx_export import export_onnx, pack_weights

LEAST_AGREEMENT = 0.9995
"""Minimum mean cosine with the original's vectors; 16-bit weights cost far less than that."""

_COMPARED = 8  # random pictures on which the two are compared


def is_torch_folder(source: str) -> bool:
    """Whether a path is a model folder with weights for torch."""
    return (Path(source) / TORCH_WEIGHTS).is_file() and (Path(source) / "config.json").is_file()


def export_folder(source: Path, folder: Path) -> ModelFolder:
    """Write the same model with ONNX weights in 16 bits, which are converted to float32 on loading.

    Raises ModelError if the network is too large for one file, if its export gives other vectors than the original, or
    if the folder is the source or holds anything but a model.
    """
    if folder.resolve() == source.resolve():
        raise ModelError(f"expected another folder than {source}, which is read; its weights would be lost")
    original = ModelFolder.open(source)
    network = load_network(original)
    side = network.backbone.preprocessing.input_size
    pixels = torch.randn(_COMPARED, 3, side, side, generator=torch.Generator().manual_seed(0))
    with replacing(folder) as new:
        path = new / ONNX_WEIGHTS
        export_onnx(network, {"pixels": pixels[:2]}, ["vectors"], {"pixels": {0: "batch"}}, path)
        pack_weights(path, eight_bits=False)
        with torch.inference_mode():
            expected = network(pixels).numpy()
        (found,) = session(path).run(["vectors"], {"pixels": pixels.numpy()})
        agreement = float((expected * found).sum(axis=1).mean())
        if not agreement >= LEAST_AGREEMENT:
            raise ModelError(
                f"the export of {original.name} gives other vectors: mean cosine {agreement:.4f} to the original's, "
                f"expected {LEAST_AGREEMENT} or more"
            )
        if (source / CARD).is_file():
            (new / CARD).write_bytes((source / CARD).read_bytes())
        write_config(new, {**original.config, "origin": f"{original.config['origin']}; exported"}, [ONNX_WEIGHTS])
    return ModelFolder.open(folder)
