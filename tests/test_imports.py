"""Imports run one way, and the light paths stay light."""

import ast
import graphlib
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# A part imports parts of its own level and of those above it in this list, never of those below.
LEVELS = (
    {"prediction", "errors", "answers"},
    {"images", "text", "models", "vocabulary"},
    {"interrogation", "bank"},
    {"members", "presets", "codebook", "clip_interrogator"},
    {"ensemble", "wording"},
    {"unprompter"},
    {"output", "evaluation", "training", "datasets", "kaggle", "scale"},
    {"cli", "serve", "__main__"},
)
LEVEL_OF = {part: level for level, parts in enumerate(LEVELS) for part in parts}


def imports_of(path: Path, package: Path) -> Iterator[tuple[str, int]]:
    """The parts of `package` that a module imports, with the line, those inside functions included.

    The package's own `__init__` counts as the part "unprompter": its names are the public ones.
    """
    here = [package.name, *path.relative_to(package).with_suffix("").parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = here[: -node.level] if node.level else []
            base = base + (node.module.split(".") if node.module else [])
            modules = [base if len(base) > 1 else [*base, alias.name] for alias in node.names]
        else:
            continue
        for name, *parts in modules:
            if name == package.name:
                yield parts[0] if parts and parts[0] in LEVEL_OF else "unprompter", node.lineno


def violations(package: Path) -> list[str]:
    """Every import against the direction, and one cycle within a level if there is any."""
    found = []
    graph: dict[str, set[str]] = {}
    for path in sorted(package.rglob("*.py")):
        part = path.relative_to(package).with_suffix("").parts[0]
        if part == "__init__":
            continue  # it imports lazily from everywhere; the tests of sys.modules below hold it
        if part not in LEVEL_OF:
            found.append(f"{path.name}: give the part {part!r} its level in LEVELS")
            continue
        for imported, line in imports_of(path, package):
            if LEVEL_OF.get(imported, -1) > LEVEL_OF[part]:
                found.append(f"{path.relative_to(package)}:{line}: {part} imports {imported}")
            elif imported != part:
                graph.setdefault(part, set()).add(imported)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        found.append(f"cycle: {' -> '.join(reversed(error.args[1]))}")
    return found


def test_imports_run_one_way(root: Path) -> None:
    assert violations(root / "src" / "unprompt") == []


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("images/decode.py", "from unprompt.errors import PictureError\nimport numpy", []),
        ("images/decode.py", "from unprompt.members.member import Member", ["images imports members"]),
        ("images/metadata/a1111.py", "from ...members import member", ["images imports members"]),
        ("images/metadata/a1111.py", "from . import comfyui\nfrom ..decode import decode", []),
        ("models/store/folder.py", "def read():\n    import unprompt.cli.main", ["models imports cli"]),
        ("text/sentence.py", "from unprompt import wording", ["text imports wording"]),
        ("text/sentence.py", "from unprompt import load", ["text imports unprompter"]),
        ("cli/main.py", "from unprompt import load\nimport unprompt.serve.app", []),
        ("helpers.py", "", ["give the part 'helpers' its level"]),
        ("text/sentence.py", "from unprompt.models import onnx", ["cycle: "]),
    ],
)
def test_violations_are_found(tmp_path: Path, path: str, source: str, expected: list[str]) -> None:
    package = tmp_path / "unprompt"
    for module, text in [("models/regressors/onnx.py", "from unprompt.text import sentence"), (path, source)]:
        (package / module).parent.mkdir(parents=True, exist_ok=True)
        (package / module).write_text(text)

    found = violations(package)

    assert len(found) == len(expected)
    assert all(part in line for part, line in zip(expected, found, strict=True))


def modules_after(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter holds after running `code`."""
    report = "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    run = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, check=True)
    return set(run.stderr.splitlines()[-1].split())


def command_line(*arguments: str) -> str:
    """Code that runs the command line in its own interpreter."""
    return f"""
import sys
from unprompt.cli.main import main
sys.argv = ["unprompt", *{arguments!r}]
try:
    code = main()
except SystemExit as exit:
    code = exit.code
assert not code, code
"""


def test_import_is_light() -> None:
    assert modules_after("import unprompt").isdisjoint({"torch", "transformers", "onnxruntime", "PIL", "tokenizers"})


def test_help_is_light() -> None:
    heavy = {"torch", "transformers", "onnxruntime", "tokenizers", "numpy", "PIL", "rich", "httpx", "safetensors"}
    assert modules_after(command_line("--help")).isdisjoint(heavy)


def test_predicting_needs_no_torch(examples: Path) -> None:
    if importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed: tests/wheel/check_wheel.sh is the check for that")
    picture = str(examples / "astronaut.jpg")
    assert modules_after(command_line(picture)).isdisjoint({"torch", "transformers", "timm", "open_clip"})
