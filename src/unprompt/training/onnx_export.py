"""Export from torch to ONNX files: small on disk, computing in float32.

Weights are stored in 16 or 8 bits and converted when the model is loaded. Activations are never quantised: dynamic int8
costs too much accuracy with these models (cosine 0.90 for ViT-Tiny features).
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from unprompt.errors import ModelError
from unprompt.models.regressors.onnx import weights_beside

LARGEST_MB = 2000
"""Maximum size of one ONNX file, which is a protocol buffer."""

SMALLEST_PACKED = 4096  # numbers; biases and norms stay float32

PAGE = 4096  # bytes


def export_onnx(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    dynamic_axes: Mapping[str, Mapping[int, str]],
    path: Path,
) -> None:
    """Write `model` as an ONNX file with float32 weights. `dynamic_axes` names the axes of variable length.

    Raises ModelError if the model is too large for one file.
    """
    size_mb = sum(value.numel() * value.element_size() for value in model.state_dict().values()) / 1e6
    if size_mb > LARGEST_MB:
        raise ModelError(
            f"the model has {size_mb:.0f} MB of weights, an ONNX file holds {LARGEST_MB}; run it with torch"
        )
    names = {name for axes in dynamic_axes.values() for name in axes.values()}
    dims = {name: torch.export.Dim(name) for name in sorted(names)}
    shapes = tuple({axis: dims[name] for axis, name in dynamic_axes.get(key, {}).items()} for key in inputs)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # the exporter's own deprecations and renamed axes
        program = torch.onnx.export(
            model.eval(),
            tuple(inputs.values()),
            dynamo=True,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=shapes,
            verbose=False,
        )
    assert program is not None
    program.save(str(path), external_data=False)


def pack_weights(
    path: Path,
    *,
    eight_bits: bool,
    least_columns: int = 0,
    gathered_eight_bits: bool = True,
    beside: bool = False,
) -> list[str]:
    """Store the large weights of an ONNX file in fewer bits, in place.

    Matrices of at least `least_columns` become int8 with one scale per column (`eight_bits`), others fp16; tables
    indexed by row become int8 with one scale per row. onnxruntime converts matrices once, on loading, and table rows on
    each lookup. With `beside`, all weights go to a second file, `weights_beside(path)`, which onnxruntime maps into
    memory instead of copying it.
    Returns the names of the files.
    """
    model = onnx.load(str(path))
    graph = model.graph
    _forget_where_it_was_made(model)
    weights = {tensor.name: tensor for tensor in graph.initializer}
    users = {name: [node for node in graph.node if name in node.input] for name in weights}
    added: list[Any] = []
    for name, tensor in weights.items():
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < SMALLEST_PACKED:
            continue
        only_gathered = {node.op_type for node in users[name]} == {"Gather"} and values.ndim == 2
        graph.initializer.remove(tensor)
        if only_gathered and gathered_eight_bits:
            _pack_table(graph, name, values, users[name])
        elif eight_bits and values.ndim == 2 and values.shape[1] >= least_columns:
            added.append(_packed_matrix(graph, name, values))
        else:
            graph.initializer.append(numpy_helper.from_array(values.astype(np.float16), f"{name}.fp16"))
            added.append(helper.make_node("Cast", [f"{name}.fp16"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*added, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    if not beside:
        onnx.save(model, str(path))
        return [path.name]
    _move_weights(model, weights_beside(path))
    onnx.save(model, str(path))
    return [path.name, weights_beside(path).name]


def _move_weights(model: Any, path: Path) -> None:
    """Move the large tensors of a model to a file in its folder, each at the start of a page."""
    with path.open("wb") as file:
        for tensor in model.graph.initializer:
            if len(tensor.raw_data) < SMALLEST_PACKED:
                continue
            file.write(bytes(-file.tell() % PAGE))
            place = {"location": path.name, "offset": file.tell(), "length": len(tensor.raw_data)}
            file.write(tensor.raw_data)
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            for key, value in place.items():
                tensor.external_data.add(key=key, value=str(value))


def _forget_where_it_was_made(model: Any) -> None:
    """Drop the exporter's metadata, such as stack traces with local paths, so that equal models give equal files."""
    for part in (model, model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
    del model.graph.value_info[:]


def _quantised(values: npt.NDArray[np.float32], axis: int) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    scale = np.maximum(np.abs(values).max(axis=axis, keepdims=True), 1e-12) / 127
    return np.round(values / scale).astype(np.int8), scale.astype(np.float32)


def _packed_matrix(graph: Any, name: str, values: npt.NDArray[np.float32]) -> Any:
    """Integers and scales; onnxruntime makes a float32 matrix of them in one step, since two take twice the memory."""
    integers, scale = _quantised(values, axis=0)
    graph.initializer.append(numpy_helper.from_array(integers, f"{name}.int8"))
    graph.initializer.append(numpy_helper.from_array(scale[0], f"{name}.scale"))
    return helper.make_node("DequantizeLinear", [f"{name}.int8", f"{name}.scale"], [name], axis=1)


def _pack_table(graph: Any, name: str, values: npt.NDArray[np.float32], gathers: Sequence[Any]) -> None:
    integers, scale = _quantised(values, axis=1)
    graph.initializer.append(numpy_helper.from_array(integers, f"{name}.int8"))
    graph.initializer.append(numpy_helper.from_array(scale, f"{name}.scale"))
    for number, gather in enumerate(gathers):
        rows, indices, result = f"{name}.rows{number}", gather.input[1], gather.output[0]
        nodes = [
            helper.make_node("Gather", [f"{name}.int8", indices], [f"{rows}.int8"]),
            helper.make_node("Gather", [f"{name}.scale", indices], [f"{rows}.scale"]),
            helper.make_node("Cast", [f"{rows}.int8"], [rows], to=onnx.TensorProto.FLOAT),
            helper.make_node("Mul", [rows, f"{rows}.scale"], [result]),
        ]
        place = list(graph.node).index(gather)
        graph.node.remove(gather)
        for offset, node in enumerate(nodes):
            graph.node.insert(place + offset, node)
