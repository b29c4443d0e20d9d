import json

import pytest
from graphs import node, painting
from layouts import DESCRIPTION, MAKE, MODEL, jpeg_exif, pillow_exif, png, text, user_comment, webp_exif

from unprompt.images.metadata import read
from unprompt.images.metadata.comfyui import reading
from unprompt.images.metadata.fields import Fields

GRAPH = json.dumps(painting())
BOTH = {"prompt": painting(), "workflow": {"nodes": []}}
WORKFLOW = {
    "nodes": [
        {"id": 1, "type": "CheckpointLoaderSimple", "widgets_values": ["m.safetensors"], "outputs": []},
        {
            "id": 2,
            "type": "CLIPTextEncode",
            "widgets_values": ["a fox"],
            "inputs": [{"name": "clip", "type": "CLIP", "link": None}],
            "outputs": [{"name": "CONDITIONING", "type": "CONDITIONING", "links": [5]}],
        },
        {
            "id": 3,
            "type": "KSampler",
            "widgets_values": [7, "fixed", 20, 8.0, "euler", "normal", 1.0],
            "inputs": [{"name": "positive", "type": "CONDITIONING", "link": 5}],
            "outputs": [{"name": "LATENT", "type": "LATENT", "links": [6]}],
        },
        {
            "id": 4,
            "type": "SaveImage",
            "widgets_values": ["x"],
            "inputs": [{"name": "images", "type": "IMAGE", "link": 6}],
        },
    ],
    "links": [[5, 2, 0, 3, 0, "CONDITIONING"], [6, 3, 0, 4, 0, "IMAGE"]],
}


@pytest.mark.parametrize(
    "fields",
    [
        Fields(text={"prompt": GRAPH}),
        Fields(text={"prompt": json.dumps({"prompt": painting()})}),
        Fields(exif={"Model": "prompt:" + GRAPH, "Make": 'workflow:{"nodes": []}'}),
        Fields(exif={"ImageDescription": "Prompt:" + GRAPH}),
        Fields(exif={"UserComment": json.dumps(BOTH)}),
        Fields(exif={"UserComment": json.dumps({"prompt": GRAPH, "workflow": "{}"})}),
        Fields(exif={"UserComment": GRAPH}),
        Fields(exif={"ImageDescription": GRAPH}),
        Fields(exif={"XPComment": GRAPH}),
        Fields(exif={"Software": "prompt: " + GRAPH}),
        Fields(exif={"UserComment": f"Prompt: {GRAPH}\nWorkflow: {{}}"}),
        Fields(exif={"UserComment": json.dumps({"Prompt": painting()})}),
        Fields(text={"Comment": "Prompt:" + GRAPH}),
        Fields(text={"parameters": json.dumps(BOTH)}),
        Fields(xmp={"UserComment": json.dumps(BOTH)}),
        Fields(text={"comment": json.dumps(BOTH)}),
        Fields(text={"Comment": json.dumps({"prompt": GRAPH})}),
        Fields(text={"prompt": GRAPH, "workflow": "broken"}),
        Fields(text={"workflow": json.dumps(WORKFLOW)}),
        Fields(exif={"Make": "workflow:" + json.dumps(WORKFLOW)}),
        Fields(exif={"UserComment": json.dumps({"workflow": WORKFLOW})}),
        Fields(text={"comment": json.dumps({"workflow": json.dumps(WORKFLOW)})}),
    ],
)
def test_where_a_graph_stands(fields):
    assert reading.read(fields).prompt == "a fox"


@pytest.mark.parametrize(
    "fields",
    [
        Fields(text={"prompt": "a fox"}),
        Fields(text={"prompt": '{"class_type"'}),
        Fields(text={"workflow": '{"nodes": 3}'}),
        Fields(text={"Comment": '{"workflow": 3, "prompt": "class_type"}'}),
        Fields(exif={"Model": "prompt: a camera"}),
        Fields(exif={"UserComment": '{"workflow": {"nodes": [{}]}}'}),
    ],
)
def test_what_is_no_graph(fields):
    assert reading.read(fields) is None


@pytest.mark.parametrize("tag", [MODEL, MAKE, DESCRIPTION])
def test_a_webp(tag):
    assert read(webp_exif(pillow_exif({tag: "prompt:" + GRAPH}))).prompt == "a fox"


@pytest.mark.parametrize("comment", [json.dumps(BOTH), json.dumps({"prompt": GRAPH, "workflow": "{}"})])
def test_a_jpeg(comment):
    found = read(jpeg_exif(user_comment(comment)))
    assert (found.tool, found.prompt) == ("ComfyUI", "a fox")


def test_an_infotext_without_words_gives_way_to_the_graph():
    for words in ("unknown", "", "None"):
        infotext = f"{words}\nNegative prompt: unknown\nSteps: 20, Sampler: euler, Seed: 1"
        assert read(png(text("prompt", GRAPH), text("parameters", infotext))).prompt == "a fox"


def test_a_workflow_whose_words_stand_under_guessed_names_is_ambiguous():
    unknown = {"id": 2, "type": "Someone's Painter", "widgets_values": ["a fox in snow", "mud and fog", 7]}
    unknown["outputs"] = [{"name": "IMAGE", "type": "IMAGE", "links": [6]}]
    nodes = [unknown, WORKFLOW["nodes"][3]]
    found = reading.read(Fields(text={"workflow": json.dumps({"nodes": nodes, "links": [[6, 2, 0, 4, 0, "IMAGE"]]})}))
    assert (found.prompt, found.certainty) == ("a fox in snow", "ambiguous")
    assert found.candidates == ("a fox in snow", "mud and fog")


def test_the_graph_counts_not_the_workflow_beside_it():
    changed = painting(n20=node("PrimitiveString", value="a hare"))
    assert (
        reading.read(Fields(text={"prompt": json.dumps(changed), "workflow": json.dumps(WORKFLOW)})).prompt == "a hare"
    )
