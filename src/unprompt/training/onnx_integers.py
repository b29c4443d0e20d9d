"""Matrix products of an ONNX file in 8-bit integers: two to three times as fast, and a quarter of the memory.

Weights have one scale a column. An input has one scale, taken from its smallest and largest number whenever the product
is computed, so what goes through the model together has to belong together. Some columns of a transformer's inputs are
far larger than the others and would leave these few steps: smoothing makes them smaller, and their weights larger.

Source: the operator DynamicQuantizeMatMul of onnxruntime; Xiao et al., "SmoothQuant" (2022).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from unprompt.models.regressors.integers import LARGEST_WEIGHT
from unprompt.models.regressors.onnx import session
from unprompt.training.onnx_export import row_nodes

SMALLEST_PRODUCT = 4096
"""The fewest numbers of a matrix whose product is worth it."""

_DOMAIN = "com.microsoft"

_Floats: TypeAlias = npt.NDArray[np.float32]
Inputs: TypeAlias = Mapping[str, npt.NDArray[np.generic]]
"""What a model is given, by the names of its inputs."""


@dataclass(frozen=True, slots=True)
class _Product:
    """An input times constant weights (rows, columns), and what is added to it; `replaced` are its nodes.

    `stored` is the weights' name in the file, `table` whether they lie there transposed, as rows that are looked up.
    """

    input: str
    output: str
    stored: str
    weights: _Floats
    bias: str
    replaced: tuple[Any, ...]
    table: bool = False


def compute_in_integers(path: Path, examples: Sequence[Inputs] = (), *, smoothing: float = 0.0) -> dict[str, str]:
    """Let the products of an ONNX file with float32 weights be computed in 8-bit integers, in place.

    `smoothing` is the share of a column's size that moves from the input to the weights, 0 (none) to 1; the sizes are
    those in `examples`. Returns the names of the weights in integers, and of those they were made of.
    """
    model = onnx.load(str(path))
    products = _products(model.graph)
    smooth: dict[str, _Floats] = {}
    if smoothing:  # which would change the rows that are looked up in a table
        products = [product for product in products if not product.table]
        sizes = _sizes(path, sorted({product.input for product in products}), examples)
        smooth = {name: _smooth(name, size, products, smoothing) for name, size in sizes.items()}
    made = {product.replaced[0].output[0]: product for product in products}
    gone = {node.output[0] for product in products for node in product.replaced}
    nodes: list[Any] = []
    smoothed: set[str] = set()
    for node in model.graph.node:
        if product := made.get(node.output[0]):
            factors = smooth.get(product.input)
            if factors is not None and product.input not in smoothed:
                smoothed.add(product.input)
                nodes += _smoothing(model.graph, product.input, factors)
            nodes += _weights(model.graph, product, factors)
            nodes.append(_multiplied(product, is_smoothed=factors is not None))
        elif node.output[0] not in gone:
            nodes.append(node)
    for product in products:
        if product.table:
            nodes = _looked_up(nodes, product.stored)
    _replace_nodes(model, nodes)
    model.opset_import.append(helper.make_opsetid(_DOMAIN, 1))
    onnx.save(model, str(path))
    return {f"{product.output}.int8": product.stored for product in products}


def _products(graph: Any) -> list[_Product]:
    """The products with constant weights. Scaled ones (alpha, beta) and transposed inputs are left out."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    tables = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Transpose"}
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    found = []
    for node in graph.node:
        options = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        is_scaled = options.get("alpha", 1) != 1 or options.get("beta", 1) != 1
        if node.op_type not in ("MatMul", "Gemm") or is_scaled or options.get("transA"):
            continue
        stored = tables.get(node.input[1], node.input[1])
        weights = constants.get(stored)
        if weights is None or weights.ndim != 2 or weights.dtype != np.float32 or weights.size < SMALLEST_PRODUCT:
            continue
        is_table = stored != node.input[1]
        weights = weights.T if is_table or options.get("transB") else weights
        product = _Product(node.input[0], node.output[0], stored, weights, "", (node,), table=is_table)
        found.append(_with_bias(product, readers.get(node.output[0], []), constants))
    return found


def _with_bias(product: _Product, readers: Sequence[Any], constants: Mapping[str, npt.NDArray[Any]]) -> _Product:
    """The product with what its own node, or the only one that reads it, adds to each row."""
    (node,) = product.replaced
    if len(node.input) > 2:
        return replace(product, bias=node.input[2])
    if len(readers) == 1 and readers[0].op_type == "Add":
        for name in readers[0].input:
            if name in constants and constants[name].shape == (product.weights.shape[1],):
                return replace(product, bias=name, output=readers[0].output[0], replaced=(node, readers[0]))
    return product


def _sizes(path: Path, names: Sequence[str], examples: Sequence[Inputs]) -> dict[str, _Floats]:
    """The largest absolute number in each column of the inputs of products, over all examples."""
    model = onnx.load(str(path))
    model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    looking = path.with_name(f"{path.name}.looking")
    sizes: dict[str, _Floats] = {}
    try:
        onnx.save(model, str(looking))
        run = session(looking)
        for example in examples:
            for name, values in zip(names, run.run(list(names), dict(example)), strict=True):
                size = np.abs(values).reshape(-1, values.shape[-1]).max(axis=0)
                sizes[name] = np.maximum(size, sizes.get(name, size))
    finally:
        looking.unlink(missing_ok=True)
    return sizes


def _smooth(name: str, size: _Floats, products: Sequence[_Product], smoothing: float) -> _Floats:
    """The factors by which the columns of an input are divided, for all products that share it; their mean is 1."""
    rows = [np.abs(product.weights).max(axis=1) for product in products if product.input == name]
    factors = np.maximum(size, 1e-5) ** smoothing / np.maximum(np.max(rows, axis=0), 1e-5) ** (1 - smoothing)
    return np.asarray(factors / np.exp(np.log(factors).mean()), np.float32)


def _smoothing(graph: Any, name: str, factors: _Floats) -> list[Any]:
    """The node that divides the columns of an input."""
    graph.initializer.append(numpy_helper.from_array(1 / factors, f"{name}.smooth"))
    return [helper.make_node("Mul", [name, f"{name}.smooth"], [f"{name}.smoothed"])]


def _weights(graph: Any, product: _Product, factors: _Floats | None) -> list[Any]:
    """Adds a product's weights in integers with their scales, and returns the nodes that turn a table's on loading."""
    name, stored = product.output, product.stored
    weights = product.weights if factors is None else product.weights * factors[:, None]
    scale = np.maximum(np.abs(weights).max(axis=0), 1e-12).astype(np.float32) / LARGEST_WEIGHT
    integers = np.round(weights / scale).astype(np.int8)
    constants: dict[str, npt.NDArray[Any]] = {f"{name}.int8": integers, f"{name}.scale": scale}
    nodes = []
    if product.table:
        rows = {f"{stored}.int8": integers.T.copy(), f"{stored}.scale": scale[:, None]}
        constants = {**rows, f"{name}.flat": np.array([-1])}
        nodes = [
            helper.make_node("Transpose", [f"{stored}.int8"], [f"{name}.int8"], perm=[1, 0]),
            helper.make_node("Reshape", [f"{stored}.scale", f"{name}.flat"], [f"{name}.scale"]),
        ]
    graph.initializer.extend(numpy_helper.from_array(values, key) for key, values in constants.items())
    return nodes


def _multiplied(product: _Product, *, is_smoothed: bool) -> Any:
    """The node of a product in integers."""
    name = product.output
    given = f"{product.input}.smoothed" if is_smoothed else product.input
    inputs = [given, f"{name}.int8", f"{name}.scale", *(["", product.bias] if product.bias else [])]
    return helper.make_node("DynamicQuantizeMatMul", inputs, [name], domain=_DOMAIN)


def _looked_up(nodes: Sequence[Any], table: str) -> list[Any]:
    """The nodes, with each that looks up rows of a table of floats replaced by some that look them up in integers."""
    changed: list[Any] = []
    for number, node in enumerate(nodes):
        is_look_up = node.op_type == "Gather" and node.input[0] == table
        changed += row_nodes(table, number, node) if is_look_up else [node]
    return changed


def _replace_nodes(model: Any, nodes: Sequence[Any]) -> None:
    """Give a graph these nodes that something reads, and drop the weights that none of them reads."""
    graph = model.graph
    read = {name for node in nodes for name in node.input} | {output.name for output in graph.output}
    nodes = [node for node in nodes if read & set(node.output)]
    read = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    for field, values in ((graph.node, nodes), (graph.initializer, kept)):
        del field[:]
        field.extend(values)
