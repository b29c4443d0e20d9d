import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from unprompt.datasets.generation.settings import RUN_FILE, Settings, check_folder, join_folder
from unprompt.errors import DataError

SETTINGS = Settings(
    model="tiny",
    precision="fp32",
    steps=2,
    guidance=7.5,
    size=32,
    save_size=32,
    format="png",
    prompts="1f",
    seeds=1,
    shard_size=4,
    weights="2e",
)


def test_the_same_settings_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "pairs"
    check_folder(folder, SETTINGS)
    assert join_folder(folder, SETTINGS) == []
    check_folder(folder, replace(SETTINGS, weights=None))
    assert join_folder(folder, SETTINGS) == []
    assert [path.name for path in folder.iterdir()] == [RUN_FILE]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"steps": 3, "guidance": 1.0}, "steps 2 there, 3 here; guidance 7.5 there, 1.0 here; give"),
        ({"prompts": "30"}, "prompts 1f there, 30 here"),
        ({"weights": "40"}, "weights 2e there, 40 here"),
    ],
)
def test_other_settings_are_refused(tmp_path: Path, change: dict[str, object], said: str) -> None:
    join_folder(tmp_path, SETTINGS)
    other = replace(SETTINGS, **change)
    for refuse in (check_folder, join_folder):
        with pytest.raises(DataError) as caught:
            refuse(tmp_path, other)
        assert said in str(caught.value)


def test_other_versions_are_told(tmp_path: Path) -> None:
    join_folder(tmp_path, SETTINGS)
    run = json.loads((tmp_path / RUN_FILE).read_text())
    assert "torch" not in run["settings"]
    run["versions"]["unprompt"] = "0.0.1"
    (tmp_path / RUN_FILE).write_text(json.dumps(run))
    (difference,) = join_folder(tmp_path, SETTINGS)
    assert difference.startswith("unprompt 0.0.1 there, ")


def test_somebody_elses_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".hidden").touch()
    check_folder(tmp_path, SETTINGS)
    (tmp_path / "metadata.jsonl").touch()
    with pytest.raises(DataError, match=r"expected a new or empty folder.*metadata\.jsonl"):
        check_folder(tmp_path, SETTINGS)
    with pytest.raises(DataError, match="expected a folder to write to"):
        check_folder(tmp_path / "metadata.jsonl", SETTINGS)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"settings": 3}', "[" * 100_000])
def test_a_damaged_run_file(tmp_path: Path, content: str) -> None:
    (tmp_path / RUN_FILE).write_text(content)
    with pytest.raises(DataError, match=RUN_FILE):
        join_folder(tmp_path, SETTINGS)


def test_of_several_at_once_one_decides(tmp_path: Path) -> None:
    def join(steps: int) -> int:
        try:
            join_folder(tmp_path / "pairs", replace(SETTINGS, steps=steps % 4 + 1))
        except DataError:
            return 0
        return steps % 4 + 1

    with ThreadPoolExecutor(16) as pool:
        joined = set(pool.map(join, range(32))) - {0}
    assert len(joined) == 1
    assert [path.name for path in (tmp_path / "pairs").iterdir()] == [RUN_FILE]
