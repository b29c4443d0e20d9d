import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from unprompt.scale.claims import Claim, Claims

TAKE = """
import sys
from pathlib import Path
from unprompt.scale.claims import Claims
assert Claims(Path(sys.argv[1])).take("work") is not None
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "claims"


def claimed_elsewhere(folder: Path, **changes: object) -> Path:
    """A claim as a process that has ended here would have left it, with some changes."""
    subprocess.run([sys.executable, "-c", TAKE, folder], check=True)
    path = folder / "work.0"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return path


def grow_old(path: Path, age_s: float = 1000.0) -> None:
    os.utime(path, (time.time() - age_s,) * 2)


def test_one_has_it_until_it_is_given_up(folder: Path) -> None:
    mine, yours = Claims(folder), Claims(folder)
    claim = mine.take("work")
    assert claim is not None
    with claim:
        assert yours.take("work") is None
        assert (other := yours.take("other")) is not None
        assert not claim.is_lost()
        assert str(yours.owner("work")).startswith(f"process {os.getpid()} on ")
    assert yours.owner("work") is None
    assert yours.take("work") is not None
    assert not other.is_lost()


def test_a_dead_process_of_this_machine_is_overtaken_at_once(folder: Path) -> None:
    left = claimed_elsewhere(folder)
    claim = Claims(folder).take("work")
    assert claim is not None
    assert not left.exists()
    assert os.listdir(folder) == ["work.1"]
    Claims(folder).forget("work")
    assert os.listdir(folder) == []
    assert claim.is_lost()


@pytest.mark.parametrize("machine", ["another", "the same name in another container"])
def test_what_cannot_be_known_to_be_dead_is_overtaken_when_it_is_old(folder: Path, machine: str) -> None:
    left = claimed_elsewhere(folder, machine=machine)
    assert Claims(folder).take("work") is None
    grow_old(left)
    assert Claims(folder).take("work") is not None
    assert Claims(folder).take("work") is None


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"host": "a", "machine": "b", "process": "c"}', b"\xff" * 9000]
)
def test_a_claim_that_says_nothing(folder: Path, content: bytes) -> None:
    left = claimed_elsewhere(folder)
    left.write_bytes(content)
    assert Claims(folder).owner("work") is None
    assert Claims(folder).take("work") is None
    grow_old(left)
    assert Claims(folder).take("work") is not None


def test_a_living_owner_stays_the_owner(folder: Path) -> None:
    claim = Claims(folder, heartbeat_s=0.01).take("work")
    assert claim is not None
    grow_old(folder / "work.0")
    before = os.stat(folder / "work.0").st_mtime
    with claim:
        while os.stat(folder / "work.0").st_mtime == before:
            time.sleep(0.01)
        assert Claims(folder).take("work") is None


def test_who_slept_sees_that_it_lost(folder: Path) -> None:
    sleeper = Claims(folder).take("work")
    assert sleeper is not None
    grow_old(folder / "work.0")
    second = Claims(folder).take("work")
    assert second is not None
    grow_old(folder / "work.1")
    third = Claims(folder).take("work")
    assert third is not None
    with second:
        pass  # gives up, and lays no gap that the sleeper could take for its own
    assert sleeper.is_lost()
    assert second.is_lost()
    assert not third.is_lost()


def test_one_that_found_a_dead_claim_long_ago_does_not_come_before_later_owners(folder: Path) -> None:
    grow_old(claimed_elsewhere(folder, machine="another"))
    late = Claims(folder)
    late._is_dead = lambda _file: overtake(folder) is not None  # type: ignore[method-assign]
    assert late.take("work") is None
    assert os.listdir(folder) == ["work.2"]


def overtake(folder: Path) -> Claim | None:
    """Two others take over, one after the other, while somebody still looks at the first claim."""
    assert Claims(folder).take("work") is not None
    grow_old(folder / "work.1")
    return Claims(folder).take("work")


def test_of_many_that_overtake_one_does(folder: Path) -> None:
    grow_old(claimed_elsewhere(folder, machine="another"))
    claims = [Claims(folder) for _ in range(24)]
    with ThreadPoolExecutor(len(claims)) as pool:
        taken = list(pool.map(lambda each: each.take("work"), claims))
    assert sum(claim is not None for claim in taken) == 1


def test_a_folder_that_vanishes_loses_the_claims(folder: Path) -> None:
    claim = Claims(folder).take("work")
    assert claim is not None
    (folder / "work.0").unlink()
    folder.rmdir()
    assert claim.is_lost()
    assert Claims(folder).owner("work") is None
