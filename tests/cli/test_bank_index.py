"""`unprompt bank index` and `unprompt similar --approximate`, with the embedded pair."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from indexed import bank_of
from kills import COMMAND
from vector_clusters import clustered

from unprompt.bank.index import LEAST

pytest.importorskip("faiss", reason="indexes are made by faiss, of the extra [index]")

Unprompt = Callable[..., Any]


@pytest.fixture(scope="module")
def vectors() -> Any:
    return clustered(LEAST, spread=0.3).astype(np.float32)


@pytest.fixture
def bank(tmp_path: Path, vectors: Any) -> Path:
    """The smallest bank that an index is made of."""
    return bank_of(vectors, tmp_path / "bank").folder


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    return tiny_models.pictures(tmp_path / "pictures", 3)


def test_a_bank_with_an_index_is_searched_by_it(unprompt: Unprompt, bank: Path, pictures: list[Path]) -> None:
    run = unprompt("bank", "index", bank)
    assert (run.code, run.out) == (0, "")
    assert f"{bank} has an index of 50,000 prompts in 512 lists" in run.err
    exact = unprompt("similar", *pictures, "--bank", bank)
    found = unprompt("similar", *pictures, "--bank", bank, "--approximate")
    assert (exact.code, found.code, found.err) == (0, 0, "")
    assert len(found.out.splitlines()) == 30
    # Random vectors are near no picture, so the index misses some; by chance it would have none of 50,000.
    assert len(set(found.out.splitlines()) & set(exact.out.splitlines())) > 10
    run = unprompt("bank", "verify", bank)
    assert f"{bank} is whole: 50,000 prompts, compared by embedded, with an index" in run.err


def test_without_an_index(unprompt: Unprompt, bank: Path, pictures: list[Path]) -> None:
    run = unprompt("similar", pictures[0], "--bank", bank, "--approximate")
    assert (run.code, run.out) == (2, "")
    assert f"the bank {bank} has no index; make one with 'unprompt bank index {bank}'" in run.err


def test_a_preset_that_lacks_an_index_alone(unprompt: Unprompt, bank: Path, tmp_path: Path) -> None:
    preset = tmp_path / "own.toml"
    member = f'kind = "neighbours"\nmodel = "embedded"\nbank = "{bank.as_posix()}"\napproximate = true\nweight = 1'
    preset.write_text(f'description = "A test."\n[[members]]\n{member}\n')
    run = unprompt("presets", "show", preset)
    lines = [line.split() for line in run.out.splitlines()]
    assert [next(word for word in line if word in ("here", "missing")) for line in lines if "bank" in line] == ["here"]
    assert [line for line in lines if "index/config.json" in line and "missing" in line]
    assert f"the bank {bank} has no index; make one with 'unprompt bank index {bank}'" in run.err
    assert unprompt("bank", "index", bank, "-q").code == 0
    assert "index/config.json" not in unprompt("presets", "show", preset).out


def test_a_bank_for_which_exact_search_is_quicker(
    unprompt: Unprompt, tmp_path: Path, vectors: Any, pictures: list[Path]
) -> None:
    bank_of(vectors[1:], tmp_path / "small")
    run = unprompt("bank", "index", tmp_path / "small")
    assert (run.code, run.out) == (2, "")
    assert "has 49,999 prompts, and an index pays from 50,000 on: of fewer the exact search takes some" in run.err
    asked = unprompt("similar", pictures[0], "--bank", tmp_path / "small", "--approximate")
    assert (asked.code, asked.out, asked.err) == (2, "", run.err)
    assert "; search it without --approximate, or in a preset without 'approximate'" in asked.err
    assert not (tmp_path / "small" / "index").exists()


def test_an_index_of_which_a_byte_is_another(unprompt: Unprompt, bank: Path) -> None:
    assert unprompt("bank", "index", bank, "-q").code == 0
    data = bytearray((bank / "index" / "codes.u8").read_bytes())
    data[1000] ^= 1
    (bank / "index" / "codes.u8").write_bytes(data)
    run = unprompt("bank", "verify", bank)
    assert run.code == 2
    assert "codes.u8 has another sha256 than its config.json says; make it again with 'unprompt bank index" in run.err
    assert unprompt("bank", "index", bank, "-q").code == 0
    assert unprompt("bank", "verify", bank, "-q").code == 0


def test_without_faiss(unprompt: Unprompt, bank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    run = unprompt("bank", "index", bank)
    assert run.code == 2
    assert "needs the extra [index]" in run.err
    assert not [path for path in bank.iterdir() if path.name.startswith("index")]


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
def test_a_kill_leaves_no_half_index(unprompt: Unprompt, bank: Path, pictures: list[Path]) -> None:
    command = [*COMMAND, "bank", "index", str(bank), "--threads", "1", "-q"]
    with subprocess.Popen(command) as run:
        while run.poll() is None and not (bank / ".index.new").exists():
            time.sleep(0.01)
        run.send_signal(signal.SIGKILL)
    assert run.returncode == -signal.SIGKILL
    assert "has no index" in unprompt("similar", pictures[0], "--bank", bank, "--approximate").err
    subprocess.run(command, check=True)
    assert unprompt("similar", pictures[0], "--bank", bank, "--approximate").code == 0
    assert not (bank / ".index.new").exists()
