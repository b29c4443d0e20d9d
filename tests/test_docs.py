"""The reference of the command line says what the code does."""

import ast
import importlib.util
import re
import subprocess
import sys
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Annotated
from xml.etree import ElementTree

import pytest
import typer


@pytest.fixture(scope="module")
def generator(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_cli", root / "docs" / "generate_cli.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer(help="Says things.", add_completion=False)
    colours = typer.Typer(help="Colours.")
    app.add_typer(colours, name="colours")

    @app.command()
    def greet(
        names: Annotated[list[str], typer.Argument(help="Whom to greet.")],
        size: Annotated[Size, typer.Option(metavar="small|large")],
        how: Annotated[str, typer.Option("--how", "-w", help="hello|goodbye.")] = "hello",
        loud: Annotated[bool, typer.Option(help="Shout.")] = False,
        secret: Annotated[bool, typer.Option(hidden=True)] = False,
    ) -> None:
        """Greet people.

        In the order given.
        """

    @colours.command("list")
    def list_colours() -> None:
        """List the colours."""

    @app.command(hidden=True)
    def debug() -> None:
        """Not for readers."""

    return app


def test_every_command_has_a_section(generator: ModuleType, app: typer.Typer) -> None:
    page = generator.render(app, "say")
    sections = [line for line in page.splitlines() if line.startswith("## ")]
    assert sections == ["## `say`", "## `say greet`", "## `say colours`", "## `say colours list`"]
    assert "Greet people.\n\nIn the order given.\n" in page


def test_parameters_are_listed(generator: ModuleType, app: typer.Typer) -> None:
    page = generator.render(app, "say")
    assert "say greet [OPTIONS] NAMES...\n" in page
    assert "| `NAMES...` | Whom to greet. |\n" in page
    assert "| `-w, --how HOW` | hello\\|goodbye. Default: hello. |\n" in page
    assert "| `--loud / --no-loud` | Shout. |\n" in page
    assert "| `--size small\\|large` | Required. |\n" in page
    assert "secret" not in page


def test_page_is_up_to_date(root: Path) -> None:
    command = [sys.executable, root / "docs" / "generate_cli.py", "--check"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_the_map_names_files_that_exist(root: Path) -> None:
    source = root / "src" / "unprompt"
    named = re.findall(r"`([\w/*]+(?:\.py|\.toml|/))`", (root / "docs" / "architecture.md").read_text(encoding="utf-8"))
    assert len(named) > 50
    assert [name for name in named if not any(source.glob(name.rstrip("/"))) and not (root / name).exists()] == []


def test_every_folder_says_what_is_in_it_and_what_to_open_first(root: Path) -> None:
    for path in sorted((root / "src" / "unprompt").rglob("*/__init__.py")):
        said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        named = re.findall(r"`([\w/*]+\.py)`", said)
        assert 4 <= len(said.splitlines()) <= 12, path
        assert "Open it first" in said or "first." in said, path
        assert [name for name in named if not any(path.parent.glob(name))] == [], path


def test_the_reliability_figure_is_drawn_from_reports(root: Path) -> None:
    spec = importlib.util.spec_from_file_location("generate_reliability", root / "docs" / "generate_reliability.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    bins = [{"n": 5, "estimate": 0.4, "true": 0.5, "low": 0.3, "high": 0.6}]
    found = {"n": 5, "error": 0.1, "coverage": 0.8, "correlation": 0.5, "bins": bins}
    drawn = ElementTree.fromstring(module.figure({"a & b": found, "c": found}))
    assert len(list(drawn.iter("{http://www.w3.org/2000/svg}circle"))) == 2
    assert ElementTree.parse(module.FIGURE).getroot().tag == drawn.tag
