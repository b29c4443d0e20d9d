"""What a caption's name means."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_captioners

from unprompt.errors import DataError, ModelError, UnknownNameError
from unprompt.interrogation.captions import DecodedCaption, GivenCaption, open_captioner


def test_the_embedded_captioner_by_name() -> None:
    assert isinstance(open_captioner("embedded", 1), DecodedCaption)


@pytest.mark.parametrize("text", ["", "a cat", "cat", "a blip-large thing", "sci-fi", "1girl", "4k", "wide-angle"])
def test_any_other_text_is_the_caption(text: str) -> None:
    captioner = open_captioner(text)
    assert isinstance(captioner, GivenCaption)
    assert captioner.captions([]) == []
    assert captioner.identities() == {}


@pytest.mark.parametrize(
    ("slip", "meant"),
    [("blip-larg", "blip-large"), ("blip_large", "blip-large"), ("ofa-lage", "ofa-large"), ("blip2-27b", "blip2-2.7b")],
)
def test_a_slip_of_the_pen_is_told_with_the_nearest_name(slip: str, meant: str) -> None:
    with pytest.raises(UnknownNameError, match=f"unknown captioner '{slip}'; did you mean '{meant}'"):
        open_captioner(slip)


@pytest.mark.parametrize(
    ("repository", "told"),
    [("microsoft/Florence-2-base", "take florence2-base in its"), ("Qwen/Qwen3-VL-2B-Instruct", "write qwen3-vl-2b")],
)
def test_a_repository_is_no_text(repository: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        open_captioner(repository)


def test_a_folder_that_holds_no_captioner(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="expected a captioner's folder"):
        open_captioner(f"local:{tmp_path}")


@pytest.mark.torch
def test_captioners_by_name_and_by_folder(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from unprompt.captioners.captioner import TorchCaptioner

    assert isinstance(open_captioner("blip-large"), TorchCaptioner)
    folder = tiny_captioners.write_captioner("blip", tmp_path / "blip")
    assert isinstance(open_captioner(f"local:{folder}"), TorchCaptioner)
