"""What workers agree on."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from unprompt.errors import DataError
from unprompt.scale.runs import RUN_FILE, Run, join_run, read_run

RUN = Run(
    4,
    120.0,
    10,
    "abc",
    {"unprompt": "1", "preset": "embedded", "models": {"a": "1", "b": "2"}},
    {"text": True, "top": 5},
    ["unprompt", "\udcff", "--shards", "4"],
    {"python": "3.11.1", "numpy": "2.0"},
)


def test_the_first_begins_it_and_the_others_join(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "out"
    assert join_run(folder, RUN) == []
    assert read_run(folder) == RUN
    assert join_run(folder, replace(RUN, command=["other"], versions={"python": "3.11.1", "numpy": "2.1"})) == [
        "numpy 2.0 there, 2.1 here"
    ]
    assert read_run(folder) == RUN


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"shards": 5}, "shards 4 there, 5 here"),
        ({"shards": None, "lease_s": 1.0}, "one in 4 shards there, one of a cluster here"),
        ({"listing": "abd", "pictures": 11}, r"its input is another, or in another order \(10 there, 11 here\)"),
        ({"model": {**RUN.model, "unprompt": "2"}}, "model.unprompt 1 there, 2 here"),
        ({"model": {**RUN.model, "models": {"a": "1", "b": "3"}}}, "model.models.b 2 there, 3 here"),
        ({"model": {**RUN.model, "missing": {"x": "why"}}}, "model.missing.x None there, why here"),
        ({"options": {"text": False, "top": 5}}, "options.text True there, False here"),
        ({"options": {"text": True}}, "options.top 5 there, None here"),
    ],
)
def test_another_run_is_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    join_run(tmp_path, RUN)
    with pytest.raises(DataError, match=f"holds another run: {said}; give the same"):
        join_run(tmp_path, replace(RUN, **changes))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "expected JSON"),
        (b"[" * 100_000, "expected JSON"),
        (b"[]", "found something else"),
        (b'{"kind": "another"}', "found something else"),
        (b'{"kind": "unprompt run", "format": 7}', "of format 1 in .*, found 7"),
        (b'{"kind": "unprompt run", "format": 1}', "is damaged"),
        (json.dumps({**json.loads(RUN.to_json()), "shards": 0}).encode(), "is damaged"),
        (json.dumps({**json.loads(RUN.to_json()), "shards": "4"}).encode(), "is damaged"),
        (json.dumps({**json.loads(RUN.to_json()), "pictures": True}).encode(), "is damaged"),
        (json.dumps({**json.loads(RUN.to_json()), "command": [3]}).encode(), "is damaged"),
    ],
)
def test_a_file_that_is_none_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / RUN_FILE).write_bytes(content)
    with pytest.raises(DataError, match=said) as error:
        read_run(tmp_path)
    assert RUN_FILE in str(error.value)
    with pytest.raises(DataError):
        join_run(tmp_path, RUN)
    assert (tmp_path / RUN_FILE).read_bytes() == content
