"""ComfyUI's graphs: links in circles and by the thousand, texts that double at each node, nodes of all kinds."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

from layouts import itext, png, text

_ENDS = ("SaveImage", "PreviewImage", "VHS_VideoCombine", "SaveVideo", "Image Save")
_MIDDLES = (
    "KSampler", "KSamplerAdvanced", "SamplerCustom", "SamplerCustomAdvanced", "BasicGuider", "CFGGuider",
    "VAEDecode", "CLIPTextEncode", "CLIPTextEncodeSDXL", "CLIPTextEncodeFlux", "ConditioningCombine",
    "ConditioningConcat", "ConditioningAverage", "ConditioningSetArea", "ConditioningZeroOut",
    "ControlNetApplyAdvanced", "FluxGuidance", "StringConcatenate", "StringReplace", "RegexReplace",
    "RegexExtract", "StringSubstring", "CaseConverter", "StringTrim", "PrimitiveString",
    "PrimitiveStringMultiline", "PrimitiveNode", "Reroute", "ShowText|pysssss", "ImpactSwitch",
    "ImpactWildcardProcessor", "ToBasicPipe", "FromBasicPipe", "easy fullLoader", "Efficient Loader",
    "CR Text Concatenate", "Text Concatenate", "Text Multiline", "JoinStringMulti", "Any Switch (rgthree)",
    "Context (rgthree)", "workflow>a group", "d1b2c3d4-0000-4000-8000-000000000000", "GeminiNode", "OpenAIDalle3",
    "FluxProUltraImageNode", "unknown kind",
)  # fmt: skip
_INPUTS = (
    "images", "samples", "positive", "negative", "conditioning", "guider", "text", "text_g", "text_l", "clip_l",
    "t5xxl", "string", "string_a", "string_b", "delimiter", "find", "replace", "regex_pattern", "value", "prompt",
    "select", "input1", "input2", "index", "pipe", "basic_pipe", "conditioning_1", "conditioning_2", "any_01",
    "any_02", "populated_text", "wildcard_text", "latent_image", "model", "seed", "steps", "start", "end", "mode",
    "separator",
)  # fmt: skip
_VALUES = (
    *("a fox", "", ", ", "(a)+", "((a*)*)*b", "[", "\\1", "upper", "{a|b}", "__w__"),
    *(0, 1, -1, 2**70, 1.5, True, None, [], {}),
)


def circles(random: Random) -> bytes:
    """A few nodes, each linked to any other."""
    return _png(random, _graph(random, random.choice((2, 5, 12))))


def many_links(random: Random) -> bytes:
    """One node with many inputs, or a long chain of nodes; sometimes with thousands."""
    (size,) = random.choices((20, 100, 10_000), (70, 30, 0.2))
    graph = _graph(random, 5)
    if random.random() < 0.5:
        graph["1"] = _node(random.choice(_MIDDLES), {f"text_{number}": ["2", 0] for number in range(size)})
    else:
        kind = random.choice(_MIDDLES)
        for number in range(6, size):
            graph[str(number)] = _node(kind, {random.choice(_INPUTS): [str(number + 1), 0]})
    return _png(random, graph)


def doubling(random: Random) -> bytes:
    """Each node joins the next one's text with itself."""
    kind = random.choice(
        ("StringConcatenate", "CR Text Concatenate", "JoinStringMulti", "ConditioningConcat", "unknown")
    )
    names = random.choice(
        (("string_a", "string_b"), ("text1", "text2"), ("conditioning_to", "conditioning_from"), ("text", "text_b"))
    )
    depth = random.choice((20, 50))
    graph = {
        str(number): _node(kind, {name: [str(number + 1), 0] for name in names} | {"delimiter": ", "})
        for number in range(10, 10 + depth)
    }
    graph[str(10 + depth)] = _node("PrimitiveString", {"value": "a fox " * 20})
    graph |= {
        "1": _node("SaveImage", {"images": ["2", 0]}),
        "2": _node("KSampler", {"positive": ["3", 0], "negative": ["3", 0], "seed": 1, "steps": 2}),
        "3": _node("CLIPTextEncode", {"text": ["10", 0]}),
    }
    return _png(random, graph)


def texts_in_steps(random: Random) -> bytes:
    """A sampler whose text is computed by string nodes, with sound and unsound arguments."""
    graph = {
        "1": _node("SaveImage", {"images": ["2", 0]}),
        "2": _node("KSampler", {"positive": ["3", 0], "negative": ["4", 0], "seed": 1, "steps": 2}),
        "3": _node("CLIPTextEncode", {"text": ["10", 0]}),
        "4": _node("CLIPTextEncode", {"text": "blurry"}),
    }
    for number in range(10, 18):
        inputs = {name: random.choice(_VALUES) for name in random.sample(_INPUTS, 5)}
        inputs[random.choice(_INPUTS)] = [str(number + 1), random.choice((0, 1, -1, 99))]
        graph[str(number)] = _node(random.choice(_MIDDLES[16:]), inputs)
    return _png(random, graph)


def a_workflow(random: Random) -> bytes:
    """The other form of a graph, with nodes, links and subgraphs, alone in the file."""
    size = random.choice((2, 4, 12))
    return png(itext("workflow", json.dumps(_workflow(random, size, 2))))


BUILDERS: tuple[Callable[[Random], bytes], ...] = (circles, circles, many_links, doubling, texts_in_steps, a_workflow)


def _node(kind: Any, inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def _graph(random: Random, size: int) -> dict[str, Any]:
    def value() -> Any:
        if random.random() < 0.6:
            return [str(random.randrange(size + 1)), random.choice((0, 0, 1, "0", None))]
        return random.choice(_VALUES)

    return {
        str(number): _node(
            random.choice(_ENDS) if number == 0 else random.choice(_MIDDLES),
            {name: value() for name in random.sample(_INPUTS, random.randrange(1, 8))},
        )
        for number in range(size)
    }


def _workflow(random: Random, size: int, depth: int) -> dict[str, Any]:
    subgraphs = [_workflow(random, 3, depth - 1) for _ in range(random.randrange(2))] if depth else []
    kinds = (*_MIDDLES, *_ENDS, *(graph["id"] for graph in subgraphs))
    links = [
        [number, random.randrange(size), 0, random.randrange(size), random.randrange(3), "*"]
        for number in range(size * 2)
    ]
    nodes = [
        {
            "id": number,
            "type": random.choice(kinds),
            "mode": random.choice((0, 0, 0, 2, 4, None)),
            "widgets_values": random.choice(([random.choice(_VALUES) for _ in range(4)], {"text": "a fox"}, None)),
            "inputs": [
                {"name": name, "link": random.choice((None, random.randrange(size * 2))), "widget": {"name": name}}
                for name in random.sample(_INPUTS, 3)
            ],
            "outputs": [{"name": "*", "links": [random.randrange(size * 2)]}],
        }
        for number in range(size)
    ]
    return {
        "id": f"00000000-0000-4000-8000-{random.randrange(10**12):012}",
        "nodes": nodes,
        "links": links if random.random() < 0.8 else [{"id": 1, "origin_id": 0, "target_id": -20}],
        "definitions": {"subgraphs": subgraphs},
        "version": 0.4,
    }


def _png(random: Random, graph: dict[str, Any]) -> bytes:
    written = json.dumps(graph)
    chunks = [text("prompt", written)] if random.random() < 0.8 else []
    if not chunks or random.random() < 0.2:
        chunks.append(itext("workflow", json.dumps(_workflow(random, 4, 1))))
    return png(*chunks)
