"""The lines of the guide, run as they stand."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import services
from services import Running

from unprompt.serve.settings import Settings

GUIDE = Path("docs") / "guides" / "serving.md"


@pytest.fixture(scope="module")
def text(root: Path) -> str:
    return (root / GUIDE).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def guided(bank: Path) -> Iterator[Running]:
    with services.running(Settings(bank=str(bank))) as running:
        yield running


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on this machine")
def test_every_line_of_curl_gets_its_answer(text: str, guided: Running, root: Path) -> None:
    lines = re.findall(r"^curl .+$", text, re.MULTILINE)
    assert len(lines) >= 9
    for line in lines:
        command = line.replace("http://127.0.0.1:7799", guided.url).replace(
            "curl ", "curl --silent --fail-with-body ", 1
        )
        run = subprocess.run(["bash", "-c", command], cwd=root, capture_output=True, text=True)
        assert run.returncode == 0, (line, run.stdout)
        assert run.stdout.startswith("{"), (line, run.stdout)
        assert '"error"' not in run.stdout, (line, run.stdout)


@pytest.mark.slow
def test_the_lines_of_python_run(
    text: str, guided: Running, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("openai")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(root)
    names: dict[str, object] = {}
    exec(code.replace("http://127.0.0.1:7799", guided.url), names)
    names["client"].close()  # type: ignore[attr-defined]
    assert capsys.readouterr().out.strip()


def test_defaults_in_the_guide_are_those_of_the_settings(text: str) -> None:
    settings = Settings()
    for option, value in re.findall(r"`--([\w-]+)`,? \((\d+)", text):
        assert float(value) == float(getattr(settings, option.replace("-", "_"))), option
    assert len(re.findall(r"`--([\w-]+)`,? \((\d+)", text)) >= 6


def test_what_is_deployed_names_options_that_exist(root: Path) -> None:
    from unprompt.cli.serve import ServiceOptions

    known = {f"UNPROMPT_{name.upper()}" for name in vars(ServiceOptions())}
    known |= {"UNPROMPT_ALLOW_HOST", "UNPROMPT_ALLOW_ORIGIN"}
    files = sorted((root / "deploy").iterdir())
    assert len(files) >= 4
    for file in files:
        named = set(re.findall(r"UNPROMPT_\w+", file.read_text(encoding="utf-8")))
        assert named <= known, file
