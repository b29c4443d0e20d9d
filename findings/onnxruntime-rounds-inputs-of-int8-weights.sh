#!/usr/bin/env bash
# A good guess: int8 weights behind a DequantizeLinear only take less space. The product after it is written in float, so
#   its inputs keep 32 bits, and the answer is that of the widened matrix.
# What happens: by default onnxruntime replaces both nodes by its own MatMulNBits with accuracy_level 4, which rounds the
#   inputs to 8 bits as well. The answer is off by 0.5 %, ten thousand times as much as that of the graph as it is
#   written. `session.disable_quant_qdq` = 1 keeps the graph: then the weights are widened once, and the product is float.
# Seen: November 2026, Python 3.11, onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6.
# Source: microsoft/onnxruntime pull request 21180, written for 4 bits and for speed; the level is that of the option
#   `session.qdq_matmulnbits_accuracy_level`.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6

export ORT_DISABLE_TELEMETRY=1
"$work/venv/bin/python" - "$work" <<'PYTHON'
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

size = 512
random = np.random.default_rng(0)
weight = random.integers(-127, 128, (size, size)).astype(np.int8)
scale = random.uniform(0.001, 0.01, size).astype(np.float32)  # one for each column
given = random.standard_normal((4, size)).astype(np.float32)

graph = helper.make_graph(
    [
        helper.make_node("DequantizeLinear", ["weight", "scale"], ["wide"], axis=1),
        helper.make_node("MatMul", ["x", "wide"], ["y"]),
    ],
    "linear",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", size])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", size])],
    [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(scale, "scale")],
)
file, run = f"{sys.argv[1]}/model.onnx", f"{sys.argv[1]}/run.onnx"
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), file)
truth = given.astype(np.float64) @ (weight * scale.astype(np.float64))

errors = {}
for kept in ("0", "1"):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = run
    options.add_session_config_entry("session.disable_quant_qdq", kept)
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    answer = session.run(None, {"x": given})[0]
    errors[kept] = float(np.abs(answer - truth).max() / np.abs(truth).max())
    nodes = [node.op_type for node in onnx.load(run).graph.node]
    print(f"session.disable_quant_qdq = {kept}: runs {nodes}, off by {errors[kept]:.1e} of the largest number")
if not (errors["0"] > 1e-3 and errors["1"] < 1e-5):
    raise SystemExit("changed: expected an error above 1e-3 by default, and below 1e-5 with disable_quant_qdq")
PYTHON
