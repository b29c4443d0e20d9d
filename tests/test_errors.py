"""Errors: an import that fails for want of an extra."""

from __future__ import annotations

import importlib

import pytest

from unprompt.errors import MissingExtraError, needing


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
