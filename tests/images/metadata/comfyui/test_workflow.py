"""Workflows in the forms in which ComfyUI's canvas saves them, as graphs that its server would execute."""

from __future__ import annotations

from typing import Any

import pytest

from unprompt.images.metadata.comfyui import groups, widgets, workflow
from unprompt.images.metadata.comfyui.layouts import LAYOUTS
from unprompt.images.metadata.comfyui.workflow import to_graph

Json = dict[str, Any]


def slot(name: str, kind: str, link: Any = None, *, widget: bool = False) -> Json:
    return {"name": name, "type": kind, "link": link, **({"widget": {"name": name}} if widget else {})}


def node(
    number: int,
    kind: str,
    values: Any = None,
    inputs: tuple[Json, ...] = (),
    outputs: tuple[str, ...] = (),
    **more: Any,
) -> Json:
    found: Json = {"id": number, "type": kind, "pos": [0, 0], "mode": 0, "inputs": list(inputs), **more}
    found["outputs"] = [{"name": output, "type": output, "links": []} for output in outputs]
    return found if values is None else {**found, "widgets_values": values}


def encoder(number: int, text: str, *inputs: Json, **more: Any) -> Json:
    return node(number, "CLIPTextEncode", [text], (slot("clip", "CLIP"), *inputs), ("CONDITIONING",), **more)


def sampler(number: int, positive: Any, *inputs: Json, values: Any = None) -> Json:
    values = values or [7, "randomize", 20, 6.5, "euler", "normal", 1.0]
    return node(number, "KSampler", values, (slot("positive", "CONDITIONING", positive), *inputs), ("LATENT",))


def inputs_of(nodes: list[Json], links: Any, number: str, **more: Any) -> Json:
    graph, _ = to_graph({"nodes": nodes, "links": links, "version": 0.4, **more})
    inputs: Json = graph[number]["inputs"]
    return inputs


def test_a_simple_workflow_becomes_the_graph_that_is_executed() -> None:
    nodes = [
        sampler(10, 3, slot("negative", "CONDITIONING", 4)),
        encoder(9, "a paper boat", title="Positive"),
        encoder(2, "fog"),
        node(4, "Note", ["remember the milk"]),
    ]

    graph, certain = to_graph(
        {"nodes": nodes, "links": [[3, 9, 0, 10, 0, "CONDITIONING"], [4, 2, 0, 10, 1, "CONDITIONING"]]}
    )

    assert certain
    assert list(graph) == ["2", "9", "10"]  # as JavaScript lists them
    assert graph["9"] == {
        "class_type": "CLIPTextEncode",
        "inputs": {"text": "a paper boat"},
        "_meta": {"title": "Positive"},
    }
    assert graph["10"]["inputs"] == {
        "seed": 7,
        "steps": 20,
        "cfg": 6.5,
        "sampler_name": "euler",
        "scheduler": "normal",
        "denoise": 1.0,
        "positive": ["9", 0],
        "negative": ["2", 0],
    }


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("KSampler", [7, True, 20, 8, "euler", "normal", 1], {"seed": 7, "steps": 20, "denoise": 1}),  # of early 2023
        ("KSampler", [7, 20, 8, "euler", "normal", 1], {"seed": 7, "steps": 20, "sampler_name": "euler"}),
        ("CLIPTextEncodeSDXL", [1, 2, 3, 4, 5, 6, "words", "style"], {"text_g": "words", "text_l": "style"}),
        ("CLIPTextEncodeFlux", ["short", "long", 3.5], {"clip_l": "short", "t5xxl": "long", "guidance": 3.5}),
        ("StringReplace", ["a cat", "cat", "dog"], {"string": "a cat", "find": "cat", "replace": "dog"}),
        ("LoadImage", ["boat.png", "image"], {"image": "boat.png"}),  # and a button
        ("SaveAnimatedWEBP", ["x", 16, False, 90, "default", ""], {"fps": 16, "lossless": False, "quality": 90}),
        ("Text Concatenate", ["false"], {"linebreak_addition": "false"}),
        ("Text Concatenate", [", ", "true"], {"delimiter": ", ", "clean_whitespace": "true"}),
        ("ImpactWildcardProcessor", ["__a__", "a boat", "fixed", 5, "randomize", "x"], {"mode": "fixed", "seed": 5}),
        ("VHS_VideoCombine", {"frame_rate": 8, "videopreview": {"hidden": True}}, {"frame_rate": 8}),
        ("ShowText|pysssss", [["a shown text"]], {"text_0": "a shown text"}),
        (
            "Power Lora Loader (rgthree)",
            [{}, {"on": True, "lora": "x", "strength": 1}, {}],
            {"lora_1": {"on": True, "lora": "x", "strength": 1}},
        ),
    ],
)
def test_values_of_known_kinds_get_their_names(kind: str, values: Any, expected: Json) -> None:
    found, certain = widgets.named(node(1, kind, values))

    assert certain
    assert {name: found[name] for name in expected} == expected


def test_a_kind_that_names_all_its_widgets_needs_no_table() -> None:
    listed = (
        slot("caption", "STRING", widget=True),
        slot("seed", "INT", widget=True),
        slot("size", "COMBO", widget=True),
    )

    found = widgets.named(node(1, "OfNextYear", ["a paper boat", 7, "fixed", "large"], listed))

    assert found == ({"caption": "a paper boat", "seed": 7, "size": "large"}, True)


def test_an_unknown_kind_offers_its_texts_and_is_not_certain() -> None:
    nodes = [node(1, "OfNextYear", ["model.safetensors", "a paper boat", 3, "on a pond"], outputs=("CONDITIONING",))]

    graph, certain = to_graph({"nodes": nodes, "links": []})

    assert not certain
    assert graph["1"]["inputs"] == {
        "widget_1": "model.safetensors",
        "text": "a paper boat",
        "widget_3": 3,
        "text_2": "on a pond",
    }
    assert graph["1"]["_meta"] == {"guessed": True}


def test_texts_of_an_unknown_kind_without_an_output_for_words_make_nothing_uncertain() -> None:
    assert widgets.named(node(1, "Mixer", ["of the old kind", 3], outputs=("MODEL",)))[1]


@pytest.mark.parametrize(
    "label", ["[IMAGE DATA]", "Select the LoRA to add to the text", "data:image/png;base64,iVBORw 0"]
)
def test_what_a_widget_shows_beside_the_values_is_no_text(label: str) -> None:
    assert widgets.named(node(1, "OfNextYear", [label], outputs=("CONDITIONING",))) == ({"widget_1": label}, True)


def test_a_text_that_became_an_input_is_not_offered() -> None:
    entry = slot("caption", "STRING", 5, widget=True)

    assert widgets.named(node(1, "OfNextYear", ["what it held before", 3], (entry,)))[0] == {"widget_2": 3}


def test_values_that_do_not_fit_a_layout_are_guessed() -> None:
    found, certain = widgets.named(node(1, "CLIPTextEncodeSDXL", ["a paper boat", 3], outputs=("CONDITIONING",)))

    assert (found, certain) == ({"text": "a paper boat", "widget_2": 3}, False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a boat /* not now */ on a pond", "a boat  on a pond"),
        ("a boat // a remark\non a pond", "a boat \non a pond"),
        ("a boat // a remark", "a boat "),
        ("a boat /* open", "a boat /* open"),
        ("a /* b /* c // d", "a /* b /* c "),
        ("and/or", "and/or"),
    ],
)
def test_comments_do_not_reach_an_encoder(text: str, expected: str) -> None:
    assert widgets.named(encoder(1, text)) == ({"text": expected}, True)


def test_a_random_choice_that_was_not_replaced_is_uncertain() -> None:
    assert not widgets.named(encoder(1, "a {paper|tin} boat"))[1]


@pytest.mark.parametrize(
    ("between", "expected"),
    [
        (node(5, "Reroute", None, (slot("", "*", 1),), ("*",)), ["1", 0]),
        (
            node(
                5,
                "ConditioningSetMask",
                [1.0, "default"],
                (slot("mask", "MASK"), slot("conditioning", "CONDITIONING", 1)),
                mode=4,
            ),
            ["1", 0],
        ),
        (node(5, "ConditioningZeroOut", None, (slot("conditioning", "CONDITIONING", 1),), mode=2), None),
        (node(5, "ImageOnly", None, (slot("image", "IMAGE", 1),), mode=4), None),
    ],
    ids=["reroute", "bypassed", "muted", "bypassed without a fitting input"],
)
def test_what_stands_between_two_nodes(between: Json, expected: list[Any] | None) -> None:
    links = [[1, 1, 0, 5, 0, "CONDITIONING"], [2, 5, 0, 9, 0, "CONDITIONING"]]

    assert inputs_of([encoder(1, "a boat"), between, sampler(9, 2)], links, "9").get("positive") == expected


def test_a_bypassed_node_passes_the_input_beside_its_output_first() -> None:
    both = (slot("positive", "CONDITIONING", 1), slot("negative", "CONDITIONING", 2))
    nodes = [
        encoder(1, "a boat"),
        encoder(2, "fog"),
        node(3, "ControlNetApplyAdvanced", [1.0, 0, 1], both, ("CONDITIONING", "CONDITIONING"), mode=4),
        sampler(4, 3, slot("negative", "CONDITIONING", 4)),
    ]
    links = [[1, 1, 0, 3, 0, "C"], [2, 2, 0, 3, 1, "C"], [3, 3, 0, 4, 0, "C"], [4, 3, 1, 4, 1, "C"]]

    found = inputs_of(nodes, links, "4")

    assert (found["positive"], found["negative"]) == (["1", 0], ["2", 0])


def test_a_circle_of_bypassed_nodes_ends_where_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflow, "STEP_LIMIT", 100)
    around = [node(number, "Pass", None, (slot("c", "CONDITIONING", number),), mode=4) for number in (1, 2)]
    links = [[1, 2, 0, 1, 0, "C"], [2, 1, 0, 2, 0, "C"], [3, 1, 0, 4, 0, "C"]]

    graph, certain = to_graph({"nodes": [*around, sampler(4, 3)], "links": links})

    assert "positive" not in graph["4"]["inputs"]
    assert certain  # or all steps would have been spent


def test_links_may_be_objects() -> None:
    link = {"id": 3, "origin_id": 1, "origin_slot": 0, "target_id": 9, "target_slot": 0, "type": "CONDITIONING"}

    assert inputs_of([encoder(1, "a boat"), sampler(9, 3)], [link], "9")["positive"] == ["1", 0]


def test_a_primitive_gives_its_value_also_through_a_reroute() -> None:
    nodes = [
        node(1, "PrimitiveNode", ["a paper boat"], outputs=("STRING",)),
        node(2, "Reroute", None, (slot("", "*", 1),), ("STRING",)),
        encoder(3, "an old text", slot("text", "STRING", 2, widget=True)),
    ]
    links = [[1, 1, 0, 2, 0, "STRING"], [2, 2, 0, 3, 1, "STRING"]]

    graph, _ = to_graph({"nodes": nodes, "links": links})

    assert list(graph) == ["3"]
    assert graph["3"]["inputs"] == {"text": "a paper boat"}


def test_a_value_is_found_by_the_name_under_which_it_was_set() -> None:
    nodes = [
        encoder(1, "a boat"),
        node(2, "SetNode", ["words"], (slot("CONDITIONING", "CONDITIONING", 1),), ("*",)),
        node(3, "GetNode", ["words"], outputs=("CONDITIONING",)),
        sampler(4, 2),
    ]

    graph, _ = to_graph({"nodes": nodes, "links": [[1, 1, 0, 2, 0, "C"], [2, 3, 0, 4, 0, "C"]]})

    assert graph["4"]["inputs"]["positive"] == ["1", 0]
    assert list(graph) == ["1", "4"]


def test_anything_everywhere_reaches_open_inputs_of_its_type() -> None:
    prompts = (slot("CONDITIONING", "*", 1), slot("CONDITIONING", "*", 2))
    nodes = [
        encoder(1, "a boat"),
        encoder(2, "fog"),
        node(3, "Prompts Everywhere", None, prompts),
        node(5, "CheckpointLoaderSimple", ["m.safetensors"], outputs=("MODEL",)),
        node(6, "Anything Everywhere", None, (slot("anything", "MODEL", 3),)),
        sampler(4, None, slot("negative", "CONDITIONING"), slot("model", "MODEL"), slot("vae", "VAE")),
    ]
    links = [[1, 1, 0, 3, 0, "C"], [2, 2, 0, 3, 1, "C"], [3, 5, 0, 6, 0, "MODEL"]]

    found = inputs_of(nodes, links, "4")

    assert {name: found.get(name) for name in ("positive", "negative", "model", "vae")} == {
        "positive": ["1", 0],
        "negative": ["2", 0],
        "model": ["5", 0],
        "vae": None,
    }


def test_a_link_that_is_only_listed_counts() -> None:
    unseen = {"downstream": 4, "downstream_slot": 0, "upstream": "1", "upstream_slot": 0, "controller": 3, "type": "C"}

    found = inputs_of([encoder(1, "a boat"), sampler(4, None)], [], "4", extra={"ue_links": [unseen]})

    assert found["positive"] == ["1", 0]


GROUP = {
    "nodes": [
        {
            "type": "CheckpointLoaderSimple",
            "mode": 0,
            "outputs": [{"name": "MODEL"}, {"name": "CLIP"}, {"name": "VAE"}],
            "widgets_values": ["old.safetensors"],
        },
        {"type": "Reroute", "mode": 0, "inputs": [{"name": "", "type": "*", "link": None}], "outputs": [{"name": ""}]},
        {
            "type": "CLIPTextEncode",
            "mode": 0,
            "inputs": [slot("clip", "CLIP")],
            "outputs": [{"name": "CONDITIONING"}],
            "widgets_values": ["an old text"],
        },
        {
            "type": "KSampler",
            "mode": 0,
            "inputs": [
                slot("positive", "CONDITIONING"),
                slot("negative", "CONDITIONING"),
                slot("seed", "INT", widget=True),
            ],
            "outputs": [{"name": "LATENT"}],
            "widgets_values": [1, "fixed", 9, 9, "euler", "normal", 1],
        },
    ],
    "links": [
        [0, 1, 2, 0, 4, "CLIP"],
        [2, 0, 3, 0, 6, "CONDITIONING"],
        [None, 0, 1, 0, 8, "CONDITIONING"],
        [1, 0, 3, 1, 8, "CONDITIONING"],
    ],
    "external": [],
}


@pytest.mark.parametrize("mark", ["/", ">"])
def test_a_group_node_becomes_its_inner_nodes(mark: str) -> None:
    held = ["new.safetensors", "a paper boat", 20, 6.5, "euler", "karras", 1]  # the seed became an input
    inputs = (slot("CONDITIONING", "CONDITIONING", 1), slot("seed", "INT", 2))
    nodes = [
        encoder(1, "fog"),
        node(2, "PrimitiveNode", [77, "fixed"], outputs=("INT",)),
        node(3, f"workflow{mark}Both", held, inputs, ("MODEL", "VAE", "LATENT")),
        node(4, "VAEDecode", None, (slot("samples", "LATENT", 3), slot("vae", "VAE", 4))),
    ]
    links = [[1, 1, 0, 3, 0, "C"], [2, 2, 0, 3, 1, "INT"], [3, 3, 2, 4, 0, "LATENT"], [4, 3, 1, 4, 1, "VAE"]]

    graph, certain = to_graph({"nodes": nodes, "links": links, "extra": {"groupNodes": {"Both": GROUP}}})

    assert certain
    assert list(graph) == ["1", "4", "3:0", "3:2", "3:3"]
    assert graph["4"]["inputs"] == {"samples": ["3:3", 0], "vae": ["3:0", 2]}
    assert graph["3:0"]["inputs"] == {"ckpt_name": "new.safetensors"}
    assert graph["3:2"]["inputs"] == {"text": "a paper boat", "clip": ["3:0", 1]}
    assert graph["3:3"]["inputs"] == {
        "seed": 77,
        "steps": 20,
        "cfg": 6.5,
        "sampler_name": "euler",
        "scheduler": "karras",
        "denoise": 1,
        "positive": ["3:2", 0],
        "negative": ["1", 0],
    }


def test_a_group_node_whose_values_do_not_add_up_keeps_those_of_its_definition() -> None:
    nodes = [node(3, "workflow/Both", ["new.safetensors"], (), ("MODEL",))]

    graph, certain = to_graph({"nodes": nodes, "links": [], "extra": {"groupNodes": {"Both": GROUP}}})

    assert not certain
    assert graph["3:2"]["inputs"]["text"] == "an old text"


def subgraph(
    name: str, nodes: list[Json], links: list[Json], inputs: tuple[str, ...], outputs: tuple[str, ...] = ("out",)
) -> Json:
    return {
        "id": name,
        "name": name,
        "nodes": nodes,
        "links": links,
        "inputs": [{"id": f"{name}-{entry}", "name": entry} for entry in inputs],
        "outputs": [{"name": entry} for entry in outputs],
        "inputNode": {"id": -10},
        "outputNode": {"id": -20},
    }


def link(number: int, origin: Any, origin_slot: int, target: Any, target_slot: int) -> Json:
    return {
        "id": number,
        "origin_id": origin,
        "origin_slot": origin_slot,
        "target_id": target,
        "target_slot": target_slot,
    }


WORDS = subgraph(
    "words",
    [encoder(5, "an old text", slot("text", "STRING", 2, widget=True))],
    [link(1, -10, 0, 5, 0), link(2, -10, 1, 5, 1), link(3, 5, 0, -20, 0)],
    ("clip", "text"),
)
OUTER = subgraph(
    "outer",
    [
        node(7, "words", ["within"], (slot("clip", "CLIP"), slot("text", "STRING", 1, widget=True)), ("CONDITIONING",)),
        sampler(8, 2),
    ],
    [link(1, -10, 0, 7, 1), link(2, 7, 0, 8, 0), link(3, 8, 0, -20, 0)],
    ("words",),
)


@pytest.mark.parametrize("outside", [None, 1], ids=["promoted", "linked"])
def test_subgraphs_within_subgraphs_become_their_inner_nodes(outside: int | None) -> None:
    text = () if outside is None else (slot("words", "STRING", outside),)  # unlinked widgets are not saved
    nodes = [
        node(1, "PrimitiveStringMultiline", ["a paper boat"], outputs=("STRING",)),
        node(57, "outer", ["a paper boat"] if outside is None else [], text, ("LATENT",)),
        node(9, "VAEDecode", None, (slot("samples", "LATENT", 2),)),
    ]
    workflow = {
        "nodes": nodes,
        "links": [[1, 1, 0, 57, 0, "STRING"], [2, 57, 0, 9, 0, "LATENT"]],
        "definitions": {"subgraphs": [WORDS, OUTER]},
    }

    graph, certain = to_graph(workflow)

    assert certain
    assert list(graph) == ["1", "9", "57:8", "57:7:5"]
    assert graph["9"]["inputs"]["samples"] == ["57:8", 0]
    assert graph["57:8"]["inputs"]["positive"] == ["57:7:5", 0]
    assert graph["57:7:5"]["inputs"]["text"] == ("a paper boat" if outside is None else ["1", 0])


def test_a_promoted_widget_of_an_inner_node_has_the_outer_value() -> None:
    inner = subgraph("inner", [encoder(5, "an old text")], [link(3, 5, 0, -20, 0)], ())
    holder = node(57, "inner", ["a paper boat"], (), ("C",), properties={"proxyWidgets": [["5", "text"]]})

    graph, _ = to_graph({"nodes": [holder], "links": [], "definitions": {"subgraphs": [inner]}})

    assert graph["57:5"]["inputs"] == {"text": "a paper boat"}


@pytest.mark.parametrize(("mode", "expected"), [(2, None), (4, ["1", 0])])
def test_a_subgraph_that_is_muted_or_bypassed_is_not_executed(mode: int, expected: list[Any] | None) -> None:
    inner = subgraph("inner", [encoder(5, "x")], [link(3, 5, 0, -20, 0)], ("c",))
    nodes = [
        encoder(1, "a boat"),
        node(57, "inner", None, (slot("c", "CONDITIONING", 1),), ("CONDITIONING",), mode=mode),
        sampler(9, 2),
    ]
    links = [[1, 1, 0, 57, 0, "C"], [2, 57, 0, 9, 0, "C"]]

    graph, _ = to_graph({"nodes": nodes, "links": links, "definitions": {"subgraphs": [inner]}})

    assert list(graph) == ["1", "9"]
    assert graph["9"]["inputs"].get("positive") == expected


def test_a_subgraph_that_holds_itself_ends() -> None:
    itself = subgraph("itself", [encoder(5, "a boat"), node(6, "itself")], [], ())

    graph, certain = to_graph({"nodes": [node(1, "itself")], "links": [], "definitions": {"subgraphs": [itself]}})

    assert list(graph) == ["1:5"]
    assert not certain


def test_subgraphs_that_double_stop_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflow, "NODE_LIMIT", 200)
    doubling = [
        subgraph(f"s{depth}", [node(1, f"s{depth + 1}"), node(2, f"s{depth + 1}"), encoder(3, "x")], [], ())
        for depth in range(10)
    ]

    graph, certain = to_graph({"nodes": [node(1, "s0")], "links": [], "definitions": {"subgraphs": doubling}})

    assert len(graph) <= 200
    assert not certain


def test_nesting_stops_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflow, "NESTING_LIMIT", 3)
    nested = [subgraph(f"s{depth}", [node(1, f"s{depth + 1}"), encoder(3, "x")], [], ()) for depth in range(6)]

    graph, certain = to_graph({"nodes": [node(1, "s0")], "links": [], "definitions": {"subgraphs": nested}})

    assert list(graph) == ["1:3", "1:1:3", "1:1:1:3"]
    assert not certain


def test_following_links_stops_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflow, "STEP_LIMIT", 50)
    nodes = [node(number, "Reroute", None, (slot("", "*", number),), ("*",)) for number in range(1, 100)]
    links = [[number, number + 1 if number < 99 else 1, 0, number, 0, "*"] for number in range(1, 100)]  # a circle

    graph, certain = to_graph({"nodes": [*nodes, sampler(500, 1)], "links": links})

    assert "positive" not in graph["500"]["inputs"]
    assert not certain


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"nodes": 3, "links": "x"},
        {
            "nodes": [
                None,
                7,
                {"id": None},
                {"id": [1]},
                {"id": 1, "type": 5},
                {"id": 2, "type": "KSampler", "inputs": 3},
            ]
        },
        {
            "nodes": [
                {"id": 1, "type": "KSampler", "inputs": [{"name": 5, "link": 1}, {"link": {}}], "widgets_values": 9}
            ]
        },
        {"nodes": [sampler(1, 5)], "links": [[5], [5, 9, 0, 1, 0], [5, 1, "x", 1, 0], None, {"id": 5}]},
        {"nodes": [sampler(1, 5)], "links": [[5, 1, -3, 1, 0, "x"]]},
        {
            "nodes": [node(1, "workflow/x", [1])],
            "links": [],
            "extra": {"groupNodes": {"x": {"nodes": [3], "links": [[1]], "external": [[]]}}},
        },
        {
            "nodes": [node(1, "s", [1])],
            "links": [],
            "definitions": {"subgraphs": [{"id": "s", "inputs": 4, "outputs": [4], "nodes": {"a": 1}}]},
        },
        {
            "nodes": [node(1, "s", [1], properties={"proxyWidgets": [[[], {}]]})],
            "definitions": {"subgraphs": [{"id": "s"}]},
        },
        {
            "nodes": [],
            "links": [],
            "extra": {"ue_links": [{"downstream": {}, "downstream_slot": 0, "upstream_slot": 0}]},
        },
    ],
)
def test_broken_workflows_raise_nothing(broken: Json) -> None:
    graph, _ = to_graph(broken)

    assert all(isinstance(entry["class_type"], str) and isinstance(entry["inputs"], dict) for entry in graph.values())


def test_layouts_are_names() -> None:
    for layout in LAYOUTS.values():
        for names in layout.split("|"):
            assert names.split()
            assert len({*names.split()} - {"-"}) == len([name for name in names.split() if name != "-"])


def test_groups_of_all_kinds_are_read_by_the_type_of_the_nodes_that_use_them() -> None:
    found = groups.definitions({"definitions": {"subgraphs": [WORDS]}, "extra": {"groupNodes": {"Both": GROUP}}})

    assert sorted(found) == ["words", "workflow/Both", "workflow>Both"]
    assert found["words"].inputs == ["clip", "text"]
    assert found["workflow/Both"].inputs == ["", "seed"]
