"""Errors: where they are found, and an import that fails for want of an extra."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

from unprompt import errors
from unprompt.errors import MissingExtraError, UnpromptError, needing

CAUGHT_INSIDE = {"Refusal", "UnreachedError", "BrokenError", "SlowError"}
"""Those of the service and the chat server's connection: no caller of a public function meets them."""


def test_every_error_is_in_one_module_and_in_the_guide(root: Path) -> None:
    guide = (root / "docs" / "guides" / "python.md").read_text(encoding="utf-8")
    for name in errors.__all__:
        assert issubclass(getattr(errors, name), UnpromptError), name
        assert f"`{name}`" in guide, name
    homes = root / "src" / "unprompt"
    for path in sorted({*homes.rglob("*.py")} - {homes / "errors.py"}):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and {*errors.__all__} & {ast.unparse(base) for base in node.bases}:
                assert node.name in CAUGHT_INSIDE or node.name.startswith("_"), path


def test_an_import_without_its_package_names_the_extra() -> None:
    told = pytest.raises(MissingExtraError, match=r"^training needs the extra \[torch\]: pip install")
    with told, needing("torch", "training"):
        importlib.import_module("a_package_that_nobody_has.part")


def test_a_module_of_ours_that_is_not_there_is_no_missing_extra() -> None:
    with pytest.raises(ModuleNotFoundError), needing("torch", "training"):
        importlib.import_module("unprompt.modules.that.nobody.wrote")


def test_what_else_an_import_raises_is_left_as_it_is() -> None:
    with pytest.raises(ImportError, match="cannot import name"), needing("torch", "training"):
        from unprompt.errors import nothing_of_the_kind  # type: ignore[attr-defined]  # noqa: F401
