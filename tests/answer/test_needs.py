"""What a preset needs: its members, its codebook, its words."""

from __future__ import annotations

from pathlib import Path

import tiny_models

from unprompt.answer.needs import codebook_needs, preset_needs
from unprompt.models.store.folder import write_config
from unprompt.models.store.registry import SENTENCE_ENCODER
from unprompt.presets import load_preset

PLAIN = """description = "A test."
[[members]]
kind = "regressor"
model = "r.tiny"
[[members]]
kind = "neighbours"
model = "embedded"
bank = "b"
[wording]
decoder = "d.tiny"
"""


def test_a_model_that_is_no_codebook_does_not_do_for_one(tmp_path: Path) -> None:
    book = tiny_models.codebook(tmp_path / "book.tiny")
    plain = tmp_path / "plain.toml"
    plain.write_text(PLAIN)
    preset = load_preset(tiny_models.with_codebook(plain, tmp_path / "drawing.toml", book))
    assert [need.is_here for need in codebook_needs(preset)] == [True]
    write_config(book.path, {**book.config, "architecture": "linear"}, book.config["files"])
    (need,) = codebook_needs(preset)
    assert [file.name for file in need.missing] == ["config.json"]
    assert "book.tiny: expected the architecture 'codebook', found 'linear'; " in str(need.absence())


def test_all_that_a_preset_needs_and_which_of_it_are_model_folders(tmp_path: Path) -> None:
    book = tiny_models.codebook(tmp_path / "book.tiny")
    plain = tmp_path / "plain.toml"
    plain.write_text(PLAIN)
    needs = preset_needs(load_preset(tiny_models.with_codebook(plain, tmp_path / "drawing.toml", book)))
    pair = ["vit_tiny_patch16_224.unprompt", SENTENCE_ENCODER]
    assert [need.name for need in needs] == [
        "r.tiny",
        *pair,
        "bank b",
        f"local:{book.path}",
        SENTENCE_ENCODER,
        "d.tiny",
    ]
    assert [need.name for need in needs if not need.is_folder] == ["bank b"]
