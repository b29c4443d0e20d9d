"""What other packages add: found by their entry points, and blamed for their own faults."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from foreign_packages import install

from unprompt.errors import DataError, PluginError
from unprompt.plugins import find_plugins

GROUP = "unprompt.tests"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that packages can be installed into."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    find_plugins.cache_clear()
    yield folder
    find_plugins.cache_clear()


def test_an_object_is_found_by_its_name_and_imported_when_it_is_asked_for(site: Path) -> None:
    install(site, "foreign-one", {"foreign_one.py": "THING = 1\n"}, {GROUP: {"thing": "foreign_one:THING"}})
    install(site, "foreign-two", {}, {GROUP: {"gone": "foreign_gone:THING"}, "other.group": {"it": "foreign_one:IT"}})
    plugins = find_plugins(GROUP)
    assert {name: plugin.package for name, plugin in plugins.items()} == {
        "thing": "foreign-one 1.0",
        "gone": "foreign-two 1.0",
    }
    assert plugins["thing"].load() == 1
    assert find_plugins("unprompt.nobody") == {}


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import module_that_nobody_has\n", "found ModuleNotFoundError: No module named 'module_that_nobody_has'"),
        ("1 / 0\n", "found ZeroDivisionError: division by zero"),
        ("OTHER = 1\n", "found AttributeError: module 'foreign_{number}' has no attribute 'THING'"),
        ("THING = 'a text'\n", "found TypeError: it is a str, not a int"),
        ("def broken(:\n", "found SyntaxError: "),
    ],
)
def test_what_cannot_be_loaded_names_its_package(
    site: Path, code: str, said: str, request: pytest.FixtureRequest
) -> None:
    number = abs(hash(request.node.name))
    module = f"foreign_{number}"
    install(site, "foreign-one", {f"{module}.py": code}, {GROUP: {"thing": f"{module}:THING"}}, "2.3")
    with pytest.raises(PluginError) as told:
        find_plugins(GROUP)["thing"].load(int)
    start = f"expected {module}:THING of the package foreign-one 2.3 to work as unprompt.tests 'thing', "
    assert str(told.value).startswith(start + said.format(number=number))
    assert str(told.value).endswith("; update the package or uninstall it")


def test_errors_of_ours_stay_what_they_are(site: Path) -> None:
    install(site, "foreign-one", {}, {GROUP: {"thing": "foreign_one:THING"}})
    plugin = find_plugins(GROUP)["thing"]
    with pytest.raises(DataError, match=r"^expected a bank$"), plugin.blamed():
        raise DataError("expected a bank")
    with pytest.raises(PluginError, match="found KeyError: 'x'"), plugin.blamed():
        {}["x"]


def test_a_list_that_cannot_be_read_costs_no_other_package(site: Path, caplog: pytest.LogCaptureFixture) -> None:
    install(site, "foreign-one", {}, {GROUP: {"thing": "foreign_one:THING"}})
    for name, written in (("broken", f"[{GROUP}]\nno value\n".encode()), ("odd", b"\xff\xfe")):
        install(site, name, {}, {})
        (site / f"{name}-1.0.dist-info" / "entry_points.txt").write_bytes(written)
    with caplog.at_level(logging.WARNING):
        assert list(find_plugins(GROUP)) == ["thing"]
    assert all(f"{name}-1.0.dist-info" in caplog.text for name in ("broken", "odd"))


def test_of_two_packages_that_use_one_name_the_first_is_taken(site: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("foreign-one", "foreign-two"):
        install(site, name, {}, {GROUP: {"thing": "foreign_one:THING"}})
    with caplog.at_level(logging.WARNING):
        (plugin,) = find_plugins(GROUP).values()
    assert f"'thing' of {plugin.package} hides that of foreign-" in caplog.text
