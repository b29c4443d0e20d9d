"""What XMP says of a generated picture."""

from __future__ import annotations

import pytest

from unprompt.images.metadata import iptc_source
from unprompt.images.metadata.fields import Fields

GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


@pytest.mark.parametrize(
    ("fields", "tool"),
    [
        (Fields(xmp={"DigitalSourceType": GENERATED, "Credit": "Made with Google AI"}), "Google AI"),
        (Fields(xmp={"DigitalSourceType": GENERATED}, iptc={"Credit": "Made with Google AI"}), "Google AI"),
        (Fields(xmp={"DigitalSourceType": "trainedAlgorithmicMedia"}), "IPTC"),
        (Fields(xmp={"DigitalSourceType": GENERATED, "CreatorTool": "Adobe Firefly 3"}), "Adobe Firefly"),
    ],
)
def test_the_maker_is_named_where_no_prompt_is(fields: Fields, tool: str) -> None:
    found = iptc_source.read(fields)
    assert found is not None
    assert (found.tool, found.prompt) == (tool, "")
    assert found.settings["DigitalSourceType"] == "trainedAlgorithmicMedia"
    assert found.note.startswith("no prompt is written; ")


def test_the_prompt_of_its_own_property() -> None:
    xmp = {"AIPromptInformation": "a fuzzy bunny", "AISystemUsed": "Gemini", "AISystemVersionUsed": "2.5"}
    found = iptc_source.read(Fields(xmp=xmp))
    assert found is not None
    assert (found.tool, found.prompt) == ("Gemini", "a fuzzy bunny")
    assert found.settings == {"AISystemUsed": "Gemini", "AISystemVersionUsed": "2.5"}


@pytest.mark.parametrize("source", ["", "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture", "x"])
def test_a_photograph_is_nobody_s(source: str) -> None:
    assert iptc_source.read(Fields(xmp={"DigitalSourceType": source, "CreatorTool": "Adobe Firefly"})) is None
