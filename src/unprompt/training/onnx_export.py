"""Export from torch to ONNX files: small on disk, computing in float32.

Weights are stored in 16 or 8 bits and converted when the model is loaded. `onnx_integers` computes in integers too.
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


def share_weights(path: Path, other: Path, made: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Let an ONNX file read from the other's file of weights, in place, what both hold.

    `made` are the names of integers that need not be stored, for they can be made of the other's weights; returns what
    is needed for that, by their names. See `unprompt.models.regressors.integers`.
    """
    model, lender = onnx.load(str(path)), onnx.load(str(other), load_external_data=False)
    places = {tensor.name: tensor for tensor in lender.graph.initializer if tensor.external_data}
    whole = {tensor.name: tensor.raw_data for tensor in onnx.load(str(other)).graph.initializer}
    sources: dict[str, dict[str, Any]] = {}
    for tensor in model.graph.initializer:
        if tensor.name in places and tensor.raw_data == whole[tensor.name]:
            tensor.CopyFrom(places[tensor.name])
            continue
        stored = [(kind, f"{made.get(tensor.name)}.{kind}") for kind in ("fp16", "int8")]
        for kind, place in ((kind, places[name]) for kind, name in stored if name in places):
            where = {entry.key: entry.value for entry in place.external_data}
            rows, columns = tensor.dims
            sources[tensor.name] = {
                "file": where["location"],
                "offset": int(where["offset"]),
                "rows": rows,
                "columns": columns,
                "kind": "float16" if kind == "fp16" else kind,
            }
            _point(tensor, where["location"], int(where["offset"]), rows * columns)
    onnx.save(model, str(path))
    return sources


def _move_weights(model: Any, path: Path) -> None:
    """Move the large tensors of a model to a file in its folder, each at the start of a page."""
    with path.open("wb") as file:
        for tensor in model.graph.initializer:
            if len(tensor.raw_data) < SMALLEST_PACKED:
                continue
            file.write(bytes(-file.tell() % PAGE))
            offset = file.tell()
            file.write(tensor.raw_data)
            _point(tensor, path.name, offset, len(tensor.raw_data))


def _point(tensor: Any, file: str, offset: int, length: int) -> None:
    """Let a tensor's numbers be those at a place of a file."""
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": file, "offset": offset, "length": length}.items():
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
        place = list(graph.node).index(gather)
        graph.node.remove(gather)
        for offset, node in enumerate(row_nodes(name, number, gather)):
            graph.node.insert(place + offset, node)


def row_nodes(table: str, number: int, gather: Any) -> list[Any]:
    """The nodes that replace the look-up of rows in a table by one in 8 bits, `table`.int8 and `table`.scale."""
    rows, indices, result = f"{table}.rows{number}", gather.input[1], gather.output[0]
    return [
        helper.make_node("Gather", [f"{table}.int8", indices], [f"{rows}.int8"]),
        helper.make_node("Gather", [f"{table}.scale", indices], [f"{rows}.scale"]),
        helper.make_node("Cast", [f"{rows}.int8"], [rows], to=onnx.TensorProto.FLOAT),
        helper.make_node("Mul", [rows, f"{rows}.scale"], [result]),
    ]
