"""The page on training names every key that a recipe may have."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import get_type_hints

import pytest

from unprompt.training.recipe import Recipe

SECTIONS = {name: kind for name, kind in get_type_hints(Recipe).items() if dataclasses.is_dataclass(kind)}


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_is_on_the_page(root: Path, section: str) -> None:
    said = set(re.findall(r"`(\w+)`", (root / "docs" / "training.md").read_text(encoding="utf-8")))
    assert f"[{section}]" in (root / "docs" / "training.md").read_text(encoding="utf-8")
    assert {field.name for field in dataclasses.fields(SECTIONS[section])} <= said


def test_every_recipe_is_on_the_page(root: Path) -> None:
    page = (root / "docs" / "training.md").read_text(encoding="utf-8")
    assert all(f"`{recipe.name}`" in page for recipe in (root / "recipes").glob("*.toml"))
