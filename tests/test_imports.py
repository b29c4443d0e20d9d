"""Imports run one way, and the light paths stay light."""

import ast
import graphlib
import importlib.util
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

# A part imports parts of its own level and of those above it in this list, never of those below.
LEVELS = (
    {"errors", "prediction", "display", "progress", "durable", "locations", "threads", "checked", "version", "plugins"},
    {"images", "text", "models"},
    {"towers", "vocabulary", "captioners", "chat", "taggers"},
    {"interrogation", "bank"},
    {"members", "clip_interrogator"},
    {"presets"},
    {"answer"},
    {"unprompter"},
    {"output", "evaluation", "training", "datasets", "kaggle", "scale", "diagnosis"},
    {"cli", "serve", "__main__"},
)
LEVEL_OF = {part: level for level, parts in enumerate(LEVELS) for part in parts}


def modules_of(package: Path) -> dict[str, Path]:
    """Every module of a package by its dotted name."""
    modules = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return modules


def imports_of(module: str, path: Path, modules: Mapping[str, Path]) -> Iterator[tuple[str, int]]:
    """The modules of the package that one imports, with the line, those inside functions included."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.rsplit(".", node.level - 1)[0] if node.level else ""
            base = ".".join(filter(None, [above, node.module]))
            names = [f"{base}.{alias.name}" if f"{base}.{alias.name}" in modules else base for alias in node.names]
        else:
            continue
        for name in names:
            if name.partition(".")[0] == module.partition(".")[0] and name != module:
                yield name, node.lineno


def part_of(module: str) -> str:
    """The part that a module belongs to. The package's own names are public, and belong to the unprompter."""
    part = module.split(".")[1] if "." in module else ""
    return part if part in LEVEL_OF else "unprompter"


def violations(package: Path) -> list[str]:
    """Every import against the direction, and one circle, between modules of whatever part, if there is any."""
    found = []
    graph: dict[str, set[str]] = {}
    modules = modules_of(package)
    for module, path in modules.items():
        if module == package.name:
            continue  # it imports lazily from everywhere; the tests of sys.modules below hold it
        part = module.split(".")[1]
        if part not in LEVEL_OF:
            found.append(f"{path.name}: give the part {part!r} its level in LEVELS")
            continue
        for imported, line in imports_of(module, path, modules):
            other = part_of(imported)
            if LEVEL_OF[other] > LEVEL_OF[part]:
                found.append(f"{path.relative_to(package)}:{line}: {part} imports {other}")
            elif imported != package.name:
                graph.setdefault(module, set()).add(imported)
                if other != part:
                    graph.setdefault(part, set()).add(other)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        found.append(f"circle: {' -> '.join(reversed(error.args[1]))}")
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
        ("text/sentence.py", "from unprompt.answer import wording", ["text imports answer"]),
        ("text/sentence.py", "from unprompt import load", ["text imports unprompter"]),
        ("cli/main.py", "from unprompt import load\nimport unprompt.serve.app", []),
        ("helpers.py", "", ["give the part 'helpers' its level"]),
        ("text/sentence.py", "from unprompt.models.regressors import onnx", ["circle: "]),
        ("text/words.py", "def f():\n    from unprompt.text.words import a", []),
        ("text/words.py", "from unprompt.text.tokens import a", ["circle: unprompt.text."]),
    ],
)
def test_violations_are_found(tmp_path: Path, path: str, source: str, expected: list[str]) -> None:
    package = tmp_path / "unprompt"
    around = {
        "models/regressors/onnx.py": "from unprompt.text import sentence",
        "text/tokens.py": "from unprompt.text import words",
        "text/words.py": "",
    }
    for module, text in {**around, path: source}.items():
        (package / module).parent.mkdir(parents=True, exist_ok=True)
        (package / module).write_text(text)

    found = violations(package)

    assert len(found) == len(expected)
    assert all(part in line for part, line in zip(expected, found, strict=True))


def modules_after(code: str) -> set[str]:
    """The modules that a fresh interpreter holds after running `code`, and the packages that they are in."""
    report = "\nimport sys; print(*sys.modules, file=sys.stderr)"
    run = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, check=True)
    return {name for module in run.stderr.splitlines()[-1].split() for name in _packages(module)}


def _packages(module: str) -> Iterator[str]:
    """ "a.b.c" -> "a", "a.b", "a.b.c"."""
    parts = module.split(".")
    yield from (".".join(parts[: length + 1]) for length in range(len(parts)))


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
    assert modules_after("import unprompt").isdisjoint({"numpy", "torch", "onnxruntime", "PIL", "tokenizers"})


def test_help_is_light() -> None:
    heavy = {"torch", "transformers", "onnxruntime", "tokenizers", "numpy", "PIL", "rich", "httpx", "safetensors"}
    assert modules_after(command_line("--help")).isdisjoint(heavy)


def test_texts_and_flags_are_taken_without_pydantic(examples: Path) -> None:
    modules = modules_after(command_line("metadata", str(examples / "written.png"), "--format", "json"))
    assert modules.isdisjoint({"pydantic", "torch", "onnxruntime"})


@pytest.mark.parametrize("shown", [(), ("--template", "{prompt}, {seed}")])
def test_a_written_prompt_as_text_needs_no_model(examples: Path, shown: tuple[str, ...]) -> None:
    modules = modules_after(command_line(str(examples / "written.png"), *shown))
    assert modules.isdisjoint({"onnxruntime", "tokenizers", "torch"})


def test_predicting_needs_no_torch(examples: Path) -> None:
    if importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed: tests/wheel/check_wheel.sh is the check for that")
    picture = str(examples / "astronaut.jpg")
    modules = modules_after(command_line(picture, "--threads", "2"))
    assert modules.isdisjoint({"torch", "transformers", "timm", "open_clip", "pydantic", "importlib.metadata", "rich"})


# What a picture without a prompt in its file needs nothing of. The preset "embedded" has a regressor alone.
NOT_TO_PREDICT = {
    *("bank", "captioners", "chat", "clip_interrogator", "datasets", "evaluation", "interrogation", "kaggle"),
    *("taggers", "towers", "training", "vocabulary", "cli.metadata", "cli.models"),
    *("images.archives", "images.folders", "images.lists"),
    *("images.metadata.comfyui", "images.web.download", "output.files", "output.journal", "output.parquet"),
    *("output.tables", "output.vectors"),
}
NOT_TO_READ_METADATA = {
    *NOT_TO_PREDICT - {"cli.metadata"},
    *("answer", "cli.predict", "members", "models", "presets", "text", "unprompter"),
}


@pytest.mark.parametrize(
    ("command", "unneeded"), [([], NOT_TO_PREDICT), (["metadata"], NOT_TO_READ_METADATA)], ids=["predict", "metadata"]
)
def test_a_command_imports_what_it_needs(command: list[str], unneeded: set[str], examples: Path, root: Path) -> None:
    modules = {f"unprompt.{name}" for name in unneeded}
    assert modules <= modules_of(root / "src" / "unprompt").keys()  # none that was renamed
    assert modules_after(command_line(*command, str(examples / "astronaut.jpg"))) & modules == set()
