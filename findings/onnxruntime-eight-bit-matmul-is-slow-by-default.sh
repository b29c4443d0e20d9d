#!/usr/bin/env bash
# A good guess: MatMulNBits with 8-bit weights, onnxruntime's operator for products with quantised weights, is faster than
#   the same product in float32, or at least not much slower: it reads a quarter of the memory.
# What happens: without an accuracy_level it widens the weights at each run, on a CPU: a row times 256 x 8192 takes twenty
#   to a hundred times as long as in float32. With accuracy_level 4, which also rounds the inputs to 8 bits, it is faster
#   for one row, and no faster than float32 from some four rows on.
# Seen: December 2026, Python 3.11, onnxruntime 1.32.0, onnx 1.20.1, x86-64 with VNNI, one thread.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check onnxruntime==1.32.0 onnx==1.20.1 numpy

"$work/venv/bin/python" - <<'PYTHON'
import time

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

ROWS, COLUMNS, BLOCK = 256, 8192, 32
weights = np.random.default_rng(0).standard_normal((ROWS, COLUMNS)).astype(np.float32)


def session(node, constants):
    given = helper.make_tensor_value_info("given", TensorProto.FLOAT, ["n", ROWS])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", COLUMNS])
    stored = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(helper.make_graph([node], "g", [given], [out], stored), opset_imports=opsets, ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def eight_bits(**level):
    blocks = weights.T.reshape(COLUMNS, ROWS // BLOCK, BLOCK)
    scale = np.abs(blocks).max(axis=2, keepdims=True) / 127
    constants = {"w": (np.round(blocks / scale) + 128).astype(np.uint8), "s": scale.ravel()}
    node = helper.make_node(
        "MatMulNBits", ["given", "w", "s"], ["out"], domain="com.microsoft", K=ROWS, N=COLUMNS, bits=8, block_size=BLOCK,
        **level,
    )
    return session(node, constants)


def best(run, rows):
    given = np.ones((rows, ROWS), np.float32)
    times = []
    for _ in range(20):
        start = time.perf_counter()
        run.run(None, {"given": given})
        times.append(time.perf_counter() - start)
    return min(times)


floats = session(helper.make_node("MatMul", ["given", "w"], ["out"]), {"w": weights})
default, fast = eight_bits(), eight_bits(accuracy_level=4)
for rows in (1, 30):
    base = best(floats, rows)
    print(f"{rows} rows, beside float32: by default {best(default, rows) / base:.1f}, at level 4 {best(fast, rows) / base:.2f}")
ratio = best(default, 1) / best(floats, 1)
if ratio < 5:
    raise SystemExit(f"changed: expected five times float32's time or more by default, found {ratio:.1f}")
PYTHON
