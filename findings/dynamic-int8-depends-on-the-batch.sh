#!/usr/bin/env bash
# A good guess: a model that was quantised dynamically to int8 loses some precision, but gives an input the same
#   answer in every batch, as the float model does.
# What happens: activations get one scale for the whole batch (DynamicQuantizeLinear is per tensor), so a single large
#   input takes the precision from all that share its batch. Here the cosine with the float answer falls below 0.99.
# Seen: November 2026, Python 3.11, onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6.
# Source: the definition of DynamicQuantizeLinear in ONNX; microsoft/onnxruntime issue 10111.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6

export ORT_DISABLE_TELEMETRY=1
"$work/venv/bin/python" - "$work" <<'PYTHON'
import logging
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

logging.disable(logging.WARNING)  # advice to pre-process, which one MatMul does not need
from onnxruntime.quantization import quantize_dynamic

size = 384
random = np.random.default_rng(0)
weight = random.standard_normal((size, size)).astype(np.float32) / size**0.5
picture = random.standard_normal((1, size)).astype(np.float32)
large = 50 * random.standard_normal((1, size)).astype(np.float32)

graph = helper.make_graph(
    [helper.make_node("MatMul", ["x", "weight"], ["y"])],
    "linear",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", size])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", size])],
    [numpy_helper.from_array(weight, "weight")],
)
float_file, int8_file = f"{sys.argv[1]}/float.onnx", f"{sys.argv[1]}/int8.onnx"
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), float_file)
quantize_dynamic(float_file, int8_file)


def answer(file: str, batch: np.ndarray) -> np.ndarray:
    """The answer to the first row of a batch."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": batch})[0][0]


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


truth = picture[0] @ weight
cosines = {
    (kind, place): cosine(answer(file, batch), truth)
    for kind, file in (("float", float_file), ("int8", int8_file))
    for place, batch in (("alone", picture), ("beside a large input", np.concatenate([picture, large])))
}
for (kind, place), value in cosines.items():
    print(f"{kind}, {place}: cosine with the true answer {value:.5f}")
if not (cosines["float", "beside a large input"] > 0.99999 and cosines["int8", "alone"] > 0.999):
    raise SystemExit("changed: expected the float model, and int8 alone, to be right")
if cosines["int8", "beside a large input"] > 0.99:
    raise SystemExit("changed: expected a cosine below 0.99 for int8 beside a large input")
PYTHON
