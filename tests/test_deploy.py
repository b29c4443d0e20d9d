"""The files of deploy/ for many machines, run by what stands in for Slurm, ssh and Kubernetes."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import yaml

COMMAND = "import sys; from unprompt.cli.main import main; sys.exit(main())"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="scripts for a POSIX shell")


@pytest.fixture(scope="module")
def job(root: Path) -> Any:
    return yaml.safe_load((root / "deploy" / "kubernetes-job.yaml").read_text())


@pytest.fixture
def command(tmp_path: Path) -> dict[str, str]:
    """An environment with `unprompt` on its path, and what runs a command on a host of any name: here."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, line in (("unprompt", f"exec {sys.executable} -c '{COMMAND}' \"$@\""), ("onhost", 'exec sh -c "$2"')):
        (programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (programs / name).chmod(0o755)
    return {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "SSH": "onhost"}


def run(*arguments: object, environment: Mapping[str, str]) -> tuple[int, str]:
    done = subprocess.run(list(map(str, arguments)), env=dict(environment), capture_output=True, text=True)
    return done.returncode, done.stderr


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("preset")
    return tiny_models.preset(folder / "tiny.toml", tiny_models.regressor(folder / "linear.tiny"))


@pytest.mark.slow
def test_tasks_of_an_array(root: Path, tmp_path: Path, command: dict[str, str], preset: Path) -> None:
    tiny_models.pictures(tmp_path / "my pictures", 5)
    script, out = root / "deploy" / "slurm-array.sh", tmp_path / "out"
    for task in range(2):
        environment = {**command, "SHARDS": "2", "SLURM_ARRAY_TASK_ID": str(task), "SLURM_CPUS_PER_TASK": "1"}
        more = ("--preset", preset, "--no-text")
        assert run(script, tmp_path / "my pictures", out, *more, environment=environment)[0] == 0
    assert run("unprompt", "merge", out, "-o", tmp_path / "all.jsonl", environment=command)[0] == 0
    assert len((tmp_path / "all.jsonl").read_text().splitlines()) == 5


def test_the_array_has_as_many_tasks_as_shards(root: Path) -> None:
    text = (root / "deploy" / "slurm-array.sh").read_text()
    (tasks,), (shards,) = (
        re.findall(r"^#SBATCH --array=0-(\d+)", text, re.MULTILINE),
        re.findall(r"SHARDS:-(\d+)", text),
    )
    assert int(tasks) + 1 == int(shards)


@pytest.mark.slow
def test_workers_on_hosts(root: Path, tmp_path: Path, command: dict[str, str], preset: Path) -> None:
    tiny_models.pictures(tmp_path / "my pictures", 5)
    (tmp_path / "my pictures" / "bad.png").write_text("none")
    line = (root / "deploy" / "ssh-workers.sh", tmp_path / "my pictures", tmp_path / "out", 3, "first", "second")
    environment = {**command, "OPTIONS": f"--preset {preset} --no-text"}
    code, said = run(*line, environment=environment)
    assert code == 3, said
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 6


@pytest.mark.slow
def test_the_job_is_what_its_command_takes(root: Path, job: Any, tmp_path: Path, preset: Path) -> None:
    spec = job["spec"]
    (worker,) = spec["template"]["spec"]["containers"]
    arguments = worker["args"]
    assert f"--shards={spec['completions']}" in arguments
    known = (root / "docs" / "cli.md").read_text().partition("## `unprompt predict`")[2].partition("\n## ")[0]
    for argument in arguments[1:]:
        assert re.search(rf"`(-\w, )?{argument.partition('=')[0]}[ `]", known), argument
    assert spec["template"]["spec"]["restartPolicy"] == "Never"  # else there is no policy for failures
    assert {rule["onExitCodes"]["containerName"] for rule in spec["podFailurePolicy"]["rules"][:2]} == {worker["name"]}
    mounted = {mount["name"] for mount in worker["volumeMounts"]}
    assert mounted == {volume["name"] for volume in spec["template"]["spec"]["volumes"]}

    values = {"/data": str(tmp_path), "$(SHARD)": "1", "=32": "=2"}
    tiny_models.pictures(tmp_path / "pictures", 3)
    line = "\0".join(arguments)
    for name, value in values.items():
        line = line.replace(name, value)
    assert "$" not in line
    done = subprocess.run([sys.executable, "-c", COMMAND, *line.split("\0"), "--preset", str(preset), "--no-text"])
    assert done.returncode == 0
    assert (tmp_path / "answers" / "parts" / "shard-00001.jsonl").exists()
