"""A tagger beside the bare session: pictures per second with preprocessing and the choice of tags, and without.

    python benchmarks/tagger.py PICTURES [--tagger NAME]

Without --tagger it runs a network of random weights with the input and the list of WD v3 (448 pixels, 10,861 tags) and
3 billion multiplications a picture. A ViT-B at this size has more than 20 times as many, so what surrounds it counts
for less.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from unprompt.images.decode import Picture, decode
from unprompt.images.sources import image_refs
from unprompt.models.regressors.onnx import session
from unprompt.taggers.opening import open_tagger
from unprompt.taggers.squares import square_input
from unprompt.taggers.tagger import Tagger
from unprompt.threads import core_count

TAGS, FOUND, SIDE, ROUNDS, PICTURES = 10_861, 50, 448, 5, 16
CLAIM = 0.85


def main() -> None:
    """Print the pictures per second of both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--tagger", default="")
    parser.add_argument("--threads", type=int, default=core_count())
    given = parser.parse_args()
    found = [decode(ref) for ref, _ in zip(image_refs(str(given.pictures)), range(PICTURES), strict=False)]
    pictures = [picture for picture in found if isinstance(picture, Picture)]
    with tempfile.TemporaryDirectory() as folder:
        tagger = (
            open_tagger(given.tagger, threads=given.threads)
            if given.tagger
            else open_tagger(f"local:{write_tagger(Path(folder))}", "wd", threads=given.threads)
        )
        ours, bare = measured([lambda: tagger.tag(pictures), bare_run(tagger, pictures, given.threads)])
    sizes = {picture.pixels.shape[:2] for picture in pictures}
    print(f"{len(pictures)} pictures of {min(sizes)} to {max(sizes)} pixels, {given.threads} threads")
    for name, clock in (("second", 0), ("second of the processor", 1)):
        rates = len(pictures) / bare[clock], len(pictures) / ours[clock]
        print(f"per {name}: bare session {rates[0]:.2f}, tagger {rates[1]:.2f}, ratio {rates[1] / rates[0]:.3f}")
    print(f"claim: {CLAIM}; with one thread the ratio of processor time holds on a busy machine too")


def bare_run(tagger: Tagger, pictures: Sequence[Picture], threads: int) -> Callable[[], object]:
    """The session alone, with a thread a picture as the tagger has, on inputs that are ready."""
    tagger.tag(pictures[:1])
    network = tagger._network
    inputs = [square_input(picture.pixels, network.family.square, network.side) for picture in pictures]
    opened = session(network.weights, threads=1)
    pool = ThreadPoolExecutor(threads)
    return lambda: list(pool.map(lambda given: opened.run([network.output.name], {network.input: given}), inputs))


def measured(runs: Sequence[Callable[[], object]]) -> list[tuple[float, float]]:
    """The median seconds of each run, on the wall and of the processor; they take turns."""
    seconds: list[list[tuple[float, float]]] = [[] for _ in runs]
    for number in range(ROUNDS + 1):
        for run, took in zip(runs, seconds, strict=True):
            start = time.perf_counter(), time.process_time()
            run()
            if number:  # the first round warms up
                took.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    return [(statistics.median(wall), statistics.median(processor)) for wall, processor in map(_apart, seconds)]


def _apart(pairs: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [wall for wall, _ in pairs], [processor for _, processor in pairs]


def write_tagger(folder: Path) -> Path:
    """A network of random weights in the files of WD v3."""
    from onnx import TensorProto, helper, numpy_helper, save

    random = np.random.default_rng(0)
    nodes = [helper.make_node("Transpose", ["input"], ["x0"], perm=[0, 3, 1, 2])]
    weights = []
    channels = (3, 64, 192, 384, 384, 384)
    for at, (before, after, size, stride) in enumerate(
        zip(channels, channels[1:], (4, 3, 3, 3, 3), (4, 2, 2, 1, 1), strict=False)
    ):
        kernel = random.standard_normal((after, before, size, size)) * (2 / (before * size * size)) ** 0.5
        weights.append(numpy_helper.from_array(kernel.astype(np.float32), f"w{at}"))
        pads = [size // 2 % 2] * 4
        convolved = helper.make_node(
            "Conv",
            [f"x{at}", f"w{at}"],
            [f"c{at}"],
            kernel_shape=[size] * 2,
            strides=[stride] * 2,
            pads=pads,
        )
        nodes.append(convolved)
        nodes.append(helper.make_node("Relu", [f"c{at}"], [f"x{at + 1}"]))
    last = len(channels) - 1
    head = random.standard_normal((channels[-1], TAGS)).astype(np.float32) * 0.0001
    biases = np.full(TAGS, -6, np.float32)
    biases[random.choice(TAGS, FOUND, replace=False)] = 3  # the other tags stay below their thresholds
    weights += [numpy_helper.from_array(head, "head"), numpy_helper.from_array(biases, "biases")]
    nodes += [
        helper.make_node("GlobalAveragePool", [f"x{last}"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["features"]),
        helper.make_node("Gemm", ["features", "head", "biases"], ["raw"]),
        helper.make_node("Sigmoid", ["raw"], ["output"]),
    ]
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", SIDE, SIDE, 3])
    found = helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", TAGS])
    graph = helper.make_graph(nodes, "random", [given], [found], weights)
    save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        folder / "model.onnx",
    )
    lines = [f"{at},tag_{at}_of_many,{9 if at < 4 else 4 if at > 8000 else 0},{at}" for at in range(TAGS)]
    (folder / "selected_tags.csv").write_text("\n".join(["tag_id,name,category,count", *lines]))
    return folder


if __name__ == "__main__":
    main()
