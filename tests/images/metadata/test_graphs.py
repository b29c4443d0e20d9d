"""The graph of ComfyUI as its file holds it."""

import io
import json
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from unprompt.images.metadata.graphs import workflow_of

PROMPT = '{"6": {"class_type": "CLIPTextEncode",   "inputs": {"text": "a blue heron"}}}'
WORKFLOW = '{"nodes": [{"id": 6, "type": "CLIPTextEncode"}], "links": [], "extra": {"scale": NaN}}'


def png(**texts: str) -> bytes:
    info, buffer = PngInfo(), io.BytesIO()
    for name, text in texts.items():
        info.add_text(name, text)
    Image.new("RGB", (4, 4)).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def with_exif(format: str, tags: dict[int, str]) -> bytes:
    exif, buffer = Image.Exif(), io.BytesIO()
    exif.update(tags)
    Image.new("RGB", (4, 4)).save(buffer, format, exif=exif)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (png(prompt=PROMPT, workflow=WORKFLOW), WORKFLOW),
        (png(prompt=PROMPT), PROMPT),
        (png(prompt=PROMPT, workflow="{}"), PROMPT),
        (png(prompt=PROMPT, workflow='{"nodes": [{]}'), PROMPT),
        (png(prompt="a blue heron"), None),
        (png(prompt='{"scene": "a lake"}', workflow="null"), None),
        (png(parameters="a blue heron\nSteps: 20"), None),
        (png(Comment=json.dumps({"prompt": PROMPT, "workflow": WORKFLOW})), WORKFLOW),
        (with_exif("WEBP", {0x010F: f"workflow:{WORKFLOW}", 0x0110: f"prompt:{PROMPT}"}), WORKFLOW),
        (with_exif("JPEG", {0x010E: f"Workflow: {WORKFLOW}"}), WORKFLOW),
        (b"no picture", None),
    ],
)
def test_the_editors_graph_comes_first(data: bytes, expected: str | None) -> None:
    assert workflow_of(data) == expected


def test_a_graph_inside_an_object_of_a_comment() -> None:
    data = png(Comment=json.dumps({"workflow": {"nodes": []}}))
    assert json.loads(str(workflow_of(data))) == {"nodes": []}


def test_deep_and_endless_texts_are_no_graphs(examples: Path) -> None:
    assert workflow_of(png(workflow='{"nodes":' + "[" * 5000 + "]" * 5000 + "}")) is None
    assert workflow_of((examples / "written.png").read_bytes()) is None
