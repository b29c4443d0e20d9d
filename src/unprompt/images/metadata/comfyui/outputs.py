"""What the outputs of nodes with several are, and what a bundle of them ("pipe") holds under a name.

Sources: pipe.py of Impact Pack, loaders.py and pipe.py of Easy-Use, efficiency_nodes.py, context_utils.py of rgthree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from unprompt.images.metadata.comfyui.graph import Graph, Node, matching

_CHAIN_LIMIT = 100

_SIDES = ("positive", "negative")
_CONTEXT = ("pipe", "model", "clip", "vae", *_SIDES, "latent", "images", "seed")
_FROM_DETAILER = ("model", "clip", "vae", *_SIDES)
_LOADER = ("model", *_SIDES, "latent", "vae", "clip", "dependencies")
_SAMPLER = ("model", *_SIDES, "latent", "vae", "image")

_OUTPUTS: Mapping[str, tuple[str, ...]] = {
    "frombasicpipe": ("model", "clip", "vae", *_SIDES),
    "frombasicpipev2": ("pipe", "model", "clip", "vae", *_SIDES),
    "fromdetailerpipe": _FROM_DETAILER,
    "fromdetailerpipev2": ("pipe", *_FROM_DETAILER),
    "fromdetailerpipesdxl": ("pipe", *_FROM_DETAILER),
    "contextrgthree": _CONTEXT,
    "contextswitchrgthree": _CONTEXT,
    "contextmergergthree": _CONTEXT,
    "contextbigrgthree": (
        *(*_CONTEXT, "steps", "step_refiner", "cfg", "ckpt_name", "sampler", "scheduler", "clip_width", "clip_height"),
        *("text_pos_g", "text_pos_l", "text_neg_g", "text_neg_l", "mask", "control_net"),
    ),
    "efficientloader": _LOADER,
    "efficientloadersdxl": ("pipe", "latent", "vae", "dependencies"),
    "effloadersdxl": ("pipe", "latent", "vae", "dependencies"),
    "ksamplerefficient": _SAMPLER,
    "ksampleradvefficient": _SAMPLER,
    "ksamplersdxleff": ("pipe", "latent", "vae", "image"),
    "unpacksdxltuple": (
        "model",
        "clip",
        *_SIDES,
        "refiner_model",
        "refiner_clip",
        "refiner_positive",
        "refiner_negative",
    ),
    "easyfullloader": ("pipe", "model", "vae", "clip", *_SIDES, "latent"),
    "easypipeout": ("pipe", "model", *_SIDES, "latent", "vae", "clip", "image", "seed"),
    "easypipeedit": ("pipe", "model", *_SIDES, "latent", "vae", "clip", "image"),
    "easycontrolnetloader": ("pipe", *_SIDES),
    "easycontrolnetloaderadv": ("pipe", *_SIDES),
    "easycontrolnetloader++": ("pipe", *_SIDES),
    "ttnpipeloader": ("pipe", "model", *_SIDES, "latent", "vae", "clip", "seed"),
    "ttnpipeout": ("pipe", "model", *_SIDES, "latent", "vae", "clip", "image", "seed"),
    "pipeout": ("pipe", "model", *_SIDES, "latent", "vae", "clip", "image", "seed"),
    "crmodulepipeloader": ("pipe",),
}
# Kinds whose first two outputs are the two sides, after what they add to both.
_BOTH_SIDES = matching(
    r"(?:controlnet|cnet|acn)\w*(?:apply|advanced|stack)|apply\w*(?:controlnet|cnet)|inpaintmodelconditioning"
    r"|instructpixtopixconditioning|\w*(?:tovideo|img2vid|txt2vid)\w*|ltxv\w*(?:conditioning|guides?|guide)|wan\w+"
    r"|condpassthrough|conditioningsetmaskandcombine\d?|pairconditioning\w*|\w*stylerpair|stablezero123\w*"
)
_ALIASES: Mapping[str, tuple[str, ...]] = {
    "positive": (
        *("positive", "pos", "positive_cond", "positive_conditioning", "base_positive", "conditioning_positive"),
        *("cond_positive", "optional_positive", "opt_positive"),
    ),
    "negative": (
        *("negative", "neg", "negative_cond", "negative_conditioning", "base_negative", "neg_conditioning"),
        *("conditioning_negative", "cond_negative", "optional_negative", "opt_negative"),
    ),
    "image": ("image", "images", "pixels"),
    "images": ("images", "image", "pixels"),
    "latent": ("latent", "latent_image", "samples"),
}
_BUNDLE = matching(
    r"(?:.*_)?pipe(?:_?line)?(?:_in|_opt|_\d+)?|base_ctx|ctx(?:_\d+)?|context|sdxl_tuple|data|any_pipe|detailer_pipe|bus"
)


def output_name(node: Node, output: int) -> str:
    """What an output is: "positive", "latent", "pipe", ...; an empty string if that is not known."""
    names = _OUTPUTS.get(node.name)
    if names is None and output < 2 and _BOTH_SIDES(node.name) and has_sides(node):
        return _SIDES[output]
    return names[output] if names and 0 <= output < len(names) else ""


def has_sides(node: Node) -> bool:
    """Whether both sides come into a node."""
    return "positive" in node.inputs and "negative" in node.inputs


def is_bundle(name: str) -> bool:
    """Whether an input of this name brings a bundle."""
    return _BUNDLE(name)


def slot(graph: Graph, node: Node, name: str) -> tuple[Node, str] | None:
    """Where a bundle's entry is set: the node and its input, looked for in the node and the bundles that it extends."""
    seen: set[str] = set()
    queue = [node]
    while queue and len(seen) < _CHAIN_LIMIT:
        node = queue.pop(0)
        if node.key in seen:
            continue
        seen.add(node.key)
        for alias in _ALIASES.get(name, (name,)):
            value = node.inputs.get(alias)
            if (isinstance(value, str) and value.strip()) or graph.source(value) is not None:
                return node, alias
        queue.extend(_bundles(graph, node))
    return None


def _bundles(graph: Graph, node: Node) -> Iterator[Node]:
    """The bundles that a node extends; of several the first that counts comes first."""
    names = sorted((name for name, _ in node.links if is_bundle(name)), reverse="merge" in node.name)
    for name in names:
        if (source := graph.source(node.inputs[name])) is not None:
            yield source[0]
