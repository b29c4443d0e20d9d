"""Taggers at tiny size, in the files of the published ones: the same inputs, outputs and lists of tags."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from unprompt.images.decode import Picture

SIDE = 32
_PATCH = 8
COMMIT = "0123456789abcdef0123456789abcdef01234567"

# (name, Danbooru's number of the category, the number before the sigmoid for a black picture)
Row = tuple[str, int, float]

WD: tuple[Row, ...] = (
    ("general", 9, 1.0),
    ("sensitive", 9, 2.0),
    ("questionable", 9, -3.0),
    ("explicit", 9, -6.0),
    ("1girl", 0, 2.0),
    ("solo", 0, 1.5),
    ("shirt", 0, 2.5),
    ("white_shirt", 0, 1.0),
    ("long_hair", 0, 0.0),
    ("very_long_hair", 0, -0.2),
    ("^_^", 0, 0.5),
    ("watermark", 0, 3.0),
    ("hat", 0, -1.0),
    ("fox_(animal)", 0, 0.7),
    ("hatsune_miku", 4, 4.0),
    ("skadi_(arknights)", 4, 1.0),
)
"""Every case of a list: ratings, counts, pairs of which one says the other, a face, brackets, characters."""

JOYTAG = ("1girl", "solo", "blue_sky", "sky", "photorealistic")
PIXAI: tuple[Row, ...] = (
    ("1girl", 0, 2.0),
    ("sky", 0, -0.5),
    ("hu_tao_(genshin_impact)", 4, 4.0),
    ("skadi_(arknights)", 4, 0.0),
)
PIXAI_IPS = {"hu_tao_(genshin_impact)": ["genshin_impact"], "skadi_(arknights)": ["arknights"]}
CAMIE: tuple[tuple[str, str], ...] = (
    ("1girl", "general"),
    ("hatsune_miku", "character"),
    ("vocaloid", "copyright"),
    ("someone", "artist"),
    ("highres", "meta"),
    ("year_2024", "year"),
    ("rating_general", "rating"),
    ("rating_explicit", "rating"),
)


def write_wd(folder: Path, rows: Sequence[Row] = WD, *, count: int | None = None, side: int = SIDE) -> Path:
    """model.onnx (batch, side, side, 3) -> output (batch, tags), and selected_tags.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    biases = [row[2] for row in rows][:count]
    nodes = [("Transpose", ["input"], ["channels"], {"perm": [0, 3, 1, 2]})]
    _save(folder / "model.onnx", [None, side, side, 3], nodes, {"output": (biases, True)}, scale=255.0)
    lines = [f"{900_000 + at},{name},{category},{1000 - at}" for at, (name, category, _) in enumerate(rows)]
    (folder / "selected_tags.csv").write_text("\n".join(["tag_id,name,category,count", *lines, ""]))
    return folder


def write_joytag(folder: Path) -> Path:
    """model.onnx (batch, 3, side, side) -> numbers before the sigmoid, and top_tags.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    _save(folder / "model.onnx", [None, 3, SIDE, SIDE], [], {"output": ([2.0, 0.1, 1.0, 1.5, -2.0], False)})
    (folder / "top_tags.txt").write_text("\n".join(JOYTAG) + "\n")
    return folder


def write_pixai(folder: Path, thresholds: Mapping[str, float] | None = None) -> Path:
    """model.onnx with `embedding`, `logits` and `prediction`, selected_tags.csv with series, and thresholds.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    biases = [row[2] for row in PIXAI]
    outputs = {"embedding": (np.zeros(7), False), "logits": (biases, False), "prediction": (biases, True)}
    _save(folder / "model.onnx", [None, 3, SIDE, SIDE], [], outputs)
    lines = ["id,tag_id,name,category,count,ips"]
    for at, (name, category, _) in enumerate(PIXAI):
        ips = json.dumps(PIXAI_IPS.get(name, [])).replace('"', '""')
        lines.append(f'{at},{at + 10},{name},{category},{100 - at},"{ips}"')
    (folder / "selected_tags.csv").write_text("\n".join([*lines, ""]))
    stated = thresholds or {"general": 0.3, "character": 0.85}
    numbered = {"general": 0, "character": 4}
    rows = [f"{numbered[name]},{name},{number}" for name, number in stated.items()]
    (folder / "thresholds.csv").write_text("\n".join(["category,name,threshold", *rows, ""]))
    return folder


def write_camie(folder: Path, *, second: bool = False) -> Path:
    """The first version's initial model, or the second version with its refined output and its tables in tables."""
    folder.mkdir(parents=True, exist_ok=True)
    initial, refined = [-1.0] * len(CAMIE), [2.0, 3.0, 2.5, 4.0, 4.0, 4.0, 1.0, 0.0]
    table: dict[str, Any] = {
        "idx_to_tag": {str(at): name for at, (name, _) in enumerate(CAMIE)},
        "tag_to_category": dict(CAMIE),
    }
    if second:
        outputs = {
            "initial_predictions": (initial, False),
            "refined_predictions": (refined, False),
            "selected_candidates": (np.zeros(3), False),
        }
        table = {"model_info": {"img_size": SIDE}, "dataset_info": {"total_tags": len(CAMIE), "tag_mapping": table}}
        names = ("camie-tagger-v2.onnx", "camie-tagger-v2-metadata.json")
    else:
        outputs = {"initial_logits": (refined, False)}
        names = ("model_initial.onnx", "model_initial_metadata.json")
    _save(folder / names[0], [None, 3, SIDE, SIDE], [], outputs)
    (folder / names[1]).write_text(json.dumps(table))
    return folder


@dataclass(frozen=True)
class Published:
    """A tagger by its name on the hub, what writes its repository, and the output whose numbers count."""

    name: str
    repository: str
    family: str
    write: Callable[[Path], Path]
    output: str
    sigmoid: bool  # whether that output lacks it


PUBLISHED = (
    Published("wd-vit-tagger-v3", "SmilingWolf/wd-vit-tagger-v3", "wd", write_wd, "output", False),
    Published("pixai-tagger-v0.9", "deepghs/pixai-tagger-v0.9-onnx", "pixai", write_pixai, "prediction", False),
    Published("joytag", "fancyfeast/joytag", "joytag", write_joytag, "output", True),
    Published("camie-tagger", "Camais03/camie-tagger", "camie", write_camie, "initial_logits", True),
    Published(
        "camie-tagger-v2",
        "Camais03/camie-tagger-v2",
        "camie-v2",
        partial(write_camie, second=True),
        "refined_predictions",
        True,
    ),
)


def put_in_cache(cache: Path, tagger: Published) -> Path:
    """Write a tagger's repository into a cache of the hub's; returns the folder of its snapshot."""
    place = cache / f"models--{tagger.repository.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(COMMIT)
    return tagger.write(place / "snapshots" / COMMIT)


def pictures(count: int) -> list[Picture]:
    """Pictures of several shapes, each with its own pixels."""
    random = np.random.default_rng(7)
    shapes = [(40, 60), (50, 50), (90, 31)]
    made = []
    for at in range(count):
        small = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        height, width = shapes[at % len(shapes)]
        pixels = np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))
        made.append(Picture(f"{at}.png", pixels, (width, height), None, f"{at:064}", None))
    return made


def _save(
    path: Path,
    shape: Sequence[int | None],
    nodes: Sequence[tuple[str, list[str], list[str], dict[str, Any]]],
    outputs: Mapping[str, tuple[Sequence[float] | npt.NDArray[np.float64], bool]],
    *,
    scale: float = 1.0,
) -> None:
    """A graph that adds the mean colours of patches, by seeded weights, to the numbers of each output."""
    from onnx import TensorProto, checker, helper, numpy_helper, save

    side = max(number for number in shape if number is not None)
    features = 3 * (side // _PATCH) ** 2
    made = [helper.make_node(kind, given, found, **options) for kind, given, found, options in nodes]
    last = nodes[-1][2][0] if nodes else "input"
    made.append(helper.make_node("AveragePool", [last], ["means"], kernel_shape=[_PATCH] * 2, strides=[_PATCH] * 2))
    made.append(helper.make_node("Flatten", ["means"], ["features"]))
    random = np.random.default_rng(1)
    constants, described = [], []
    for name, (biases, sigmoid) in outputs.items():
        weights = random.standard_normal((features, len(biases))) * 0.1 / scale
        constants.append(numpy_helper.from_array(weights.astype(np.float32), f"{name}/weights"))
        constants.append(numpy_helper.from_array(np.array(biases, np.float32), f"{name}/biases"))
        raw = f"{name}/raw" if sigmoid else name
        made.append(helper.make_node("Gemm", ["features", f"{name}/weights", f"{name}/biases"], [raw]))
        if sigmoid:
            made.append(helper.make_node("Sigmoid", [raw], [name]))
        described.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", len(biases)]))
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", *shape[1:]])
    graph = helper.make_graph(made, "tiny", [given], described, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    save(model, path)
