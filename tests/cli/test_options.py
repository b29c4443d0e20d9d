"""Options in groups: a command takes a dataclass, and the command line its fields."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from unprompt.cli.options import option_groups


@dataclass(frozen=True, kw_only=True)
class Size:
    width: Annotated[int, typer.Option("--width", help="In pixels.")] = 3
    depth: int = 8


@dataclass(frozen=True, kw_only=True)
class Frame:
    size: Size
    name: Annotated[str, typer.Argument()]


@pytest.fixture
def run() -> Callable[..., Any]:
    """Runs a command that prints what it is given."""
    app = typer.Typer(rich_markup_mode=None)

    @app.command()
    @option_groups
    def draw(*, loud: Annotated[bool, typer.Option("--loud")] = False, frame: Frame) -> None:
        """Draw a frame."""
        print(loud, frame)

    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def test_a_group_is_made_of_its_options_and_groups(run: Callable[..., Any]) -> None:
    assert run("a", "--width", "5").output == f"False {Frame(size=Size(width=5), name='a')}\n"


def test_what_is_omitted_keeps_its_default(run: Callable[..., Any]) -> None:
    assert run("a", "--loud").output == f"True {Frame(size=Size(width=3, depth=8), name='a')}\n"


def test_help_is_that_of_the_command_and_its_options(run: Callable[..., Any]) -> None:
    shown = run("--help").output
    assert all(text in shown for text in ("Draw a frame.", "name", "--loud", "--width", "In pixels."))
    assert "depth" not in shown


def test_a_group_may_have_the_name_of_one_of_its_options() -> None:
    @option_groups
    def draw(*, width: Size) -> None:
        assert width == Size(width=4)

    assert list(inspect.signature(draw).parameters) == ["width"]
    draw(width=4)


def test_an_option_is_declared_once() -> None:
    def draw(*, width: Annotated[int, typer.Option("--width")], size: Size) -> None:
        """Two widths."""

    with pytest.raises(ValueError, match="duplicate parameter name"):
        option_groups(draw)
