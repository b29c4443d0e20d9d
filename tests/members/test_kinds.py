"""The kinds of members: ours, and those of other packages."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from foreign_packages import install

from unprompt.errors import PluginError, UnknownNameError
from unprompt.members.kinds import GROUP, KINDS, find_kind, needs_of, open_member
from unprompt.members.member import MemberKind
from unprompt.plugins import find_plugins
from unprompt.presets import read_preset

KIND = """
from unprompt.members.member import MemberKind
from unprompt.prediction import Vote

class Echo:
    shorter_side = 32

    def __init__(self, spec, threads):
        self.name, self.weight, self.text = spec.name, spec.weight, spec.model

    def identities(self):
        return {"echo": self.text}

    def prepare(self, step):
        pass

    def vote(self, pictures):
        return [Vote(self.name, self.weight, texts=(self.text,)) for picture in pictures]
"""
ECHO = '[[members]]\nkind = "echo"\nmodel = "a fox"\n'


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    find_plugins.cache_clear()
    yield folder
    find_plugins.cache_clear()


def foreign(site: Path, module: str, last: str) -> None:
    """The package `echoes`, whose module ends with that line."""
    install(site, "echoes", {f"{module}.py": f"{KIND}\n{last}\n"}, {GROUP: {"echo": f"{module}:KIND"}})


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_is_all_in_its_own_module(name: str) -> None:
    kind = find_kind(name)
    assert isinstance(kind, MemberKind)
    assert dataclasses.is_dataclass(kind.options)
    assert KINDS[name] == f"unprompt.members.{name}:KIND"


def test_the_kind_of_another_package_votes(site: Path) -> None:
    foreign(site, "echoes_sound", "KIND = MemberKind(Echo, offers_texts=True)")
    (spec,) = read_preset(ECHO, "own.toml").members
    assert list(needs_of(spec)) == []
    member = open_member(spec)
    assert (member.name, member.shorter_side, member.identities()) == ("echo", 32, {"echo": "a fox"})
    assert [vote.texts for vote in member.vote([None, None])] == [("a fox",)] * 2  # type: ignore[list-item]
    with pytest.raises(UnknownNameError, match=r"unknown key in .* 'loud'"):
        read_preset(f"{ECHO}loud = true\n", "own.toml")
    with pytest.raises(UnknownNameError, match=r"unknown kind in .* 'ecko'; did you mean 'echo'"):
        read_preset(ECHO.replace("echo", "ecko"), "own.toml")


def test_none_takes_the_place_of_ours(site: Path) -> None:
    install(site, "echoes", {}, {GROUP: {"regressor": "echoes:KIND"}})
    assert find_kind("regressor").options.__module__ == "unprompt.members.regressor"


@pytest.mark.parametrize(
    ("module", "last", "said"),
    [
        ("echoes_alone", "KIND = Echo", "it is a type, not a MemberKind"),
        (
            "echoes_odd",
            "KIND = MemberKind(Echo, options=dict)",
            "expected options to be a dataclass, found <class 'dict'>",
        ),
        ("echoes_torn", "import nothing_of_the_kind", "No module named 'nothing_of_the_kind'"),
    ],
)
def test_a_broken_package_is_named_as_the_preset_is_read(site: Path, module: str, last: str, said: str) -> None:
    foreign(site, module, last)
    with pytest.raises(PluginError, match=rf"of the package echoes 1\.0 .* unprompt\.members 'echo', .*{said}"):
        read_preset(ECHO, "own.toml")


def test_a_fault_of_its_members_is_the_packages(site: Path) -> None:
    foreign(site, "echoes_raising", "KIND = MemberKind(Echo, needs=lambda spec: 1 / 0, offers_texts=True)")
    (spec,) = read_preset(ECHO, "own.toml").members
    with pytest.raises(PluginError, match=r"of the package echoes 1\.0 .* found ZeroDivisionError"):
        needs_of(spec)
    member = open_member(spec)
    with pytest.raises(PluginError, match=r"found AttributeError: 'Echo' object has no attribute 'unload'"):
        member.unload()
    with pytest.raises(PluginError, match=r"found TypeError: 'NoneType' object is not iterable"):
        member.vote(None)  # type: ignore[arg-type]


def test_the_command_says_a_fault_of_another_package_in_a_line(site: Path, examples: Path) -> None:
    foreign(site, "echoes_at_once", "KIND = MemberKind(lambda spec, threads: {}['x'], offers_texts=True)")
    (site / "own.toml").write_text(ECHO)
    command = [sys.executable, "-m", "unprompt", str(examples / "coffee.jpg"), "--preset", "own.toml"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=site)  # where modules are looked for first
    assert run.returncode == 2
    (line,) = run.stderr.splitlines()
    assert line.startswith("unprompt: expected echoes_at_once:KIND of the package echoes 1.0 to work as")


def test_what_one_kind_needs_another_does_not_import() -> None:
    code = "from unprompt.presets import load_preset; load_preset('embedded'); import sys; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    parts = {module.split(".")[1] for module in modules if module.startswith("unprompt.")}
    assert parts.isdisjoint({"bank", "interrogation", "towers", "captioners", "vocabulary"})
