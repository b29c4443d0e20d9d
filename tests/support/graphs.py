"""ComfyUI's graphs for tests: ComfyUI's default one, whose prompt comes from node "20"."""

from __future__ import annotations

import json
from typing import Any

from layouts import png, text

from unprompt.images.metadata import read
from unprompt.prediction import WrittenPrompt

Node = dict[str, Any]


def node(kind: str, **inputs: Any) -> Node:
    """A node as the file has it."""
    return {"class_type": kind, "inputs": inputs}


def painting(**nodes: Node) -> dict[str, Node]:
    """The default graph: encoder 6 takes its text from node 20, encoder 7 holds the negative prompt."""
    default = {
        "3": node(
            "KSampler",
            seed=7,
            steps=20,
            cfg=8.0,
            sampler_name="euler",
            scheduler="normal",
            denoise=1.0,
            model=["4", 0],
            positive=["6", 0],
            negative=["7", 0],
            latent_image=["5", 0],
        ),
        "4": node("CheckpointLoaderSimple", ckpt_name="model.safetensors"),
        "5": node("EmptyLatentImage", width=512, height=512, batch_size=1),
        "6": node("CLIPTextEncode", text=["20", 0], clip=["4", 1]),
        "7": node("CLIPTextEncode", text="blurry", clip=["4", 1]),
        "8": node("VAEDecode", samples=["3", 0], vae=["4", 2]),
        "9": node("SaveImage", filename_prefix="x", images=["8", 0]),
        "20": node("PrimitiveString", value="a fox"),
    }
    return default | {key.removeprefix("n"): value for key, value in nodes.items()}


def answer(nodes: dict[str, Node], **more: Any) -> WrittenPrompt | None:
    """What is read from a PNG with this graph; `more` are other text chunks, as JSON."""
    chunks = [text(key, json.dumps(value)) for key, value in ({"prompt": nodes} | more).items()]
    return read(png(*chunks))


def prompt_of(**nodes: Node) -> str:
    """The prompt of the default graph with these nodes, such as `n20=node(..)`; empty if none is found."""
    found = answer(painting(**nodes))
    return found.prompt if found else ""
