import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from deadly_phrasing import Phrase, dying, dying_once, raising

from unprompt.errors import ClusterError, NodeError
from unprompt.images.ref import ImageRef
from unprompt.scale.ray.answerer import Asked
from unprompt.scale.ray.chunks import chunks_of
from unprompt.scale.ray.cluster import Cluster
from unprompt.scale.ray.pool import Needs, Pool

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.usefixtures("cluster")]


def answered(asked: Asked, refs: Sequence[ImageRef], *, actors: int = 2, pictures: int = 6) -> list[dict[str, Any]]:
    """The records of a pool, in the order of the pictures."""
    with Pool(asked, actors, Needs()) as pool:
        found = sorted(pool.answers(chunks_of(refs, pictures=pictures)), key=lambda each: each[0].first)
    return [row.record for _, rows in found for row in rows]


def without_text(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in record.items() if key != "text"} for record in records]


def test_actors_answer_as_one_process_does(asked: Asked, refs: list[ImageRef], records: list[dict[str, Any]]) -> None:
    assert answered(asked, refs) == records


def test_pictures_that_end_the_process_cost_themselves_alone(
    asked: Asked, refs: list[ImageRef], records: list[dict[str, Any]]
) -> None:
    found = answered(dataclasses.replace(asked, phrasing=dying("0002.", "0004.")), refs)

    assert [record["source"] for record in found] == [record["source"] for record in records]
    failed = {Path(record["source"]).stem: record["error"] for record in found if "error" in record}
    assert {name for name, error in failed.items() if error["kind"] == "deadly"} == {"0002", "0004"}
    assert "3 processes died, alone" in failed["0002"]["message"]
    left = [number for number in range(len(refs)) if number not in (2, 4)]
    assert without_text([found[number] for number in left]) == [records[number] for number in left]


def test_actors_that_are_killed_cost_no_answer(
    asked: Asked, refs: list[ImageRef], records: list[dict[str, Any]], tmp_path: Path
) -> None:
    killed = dying_once(tmp_path, "0001.", "0005.", "0012.", "0018.")

    assert without_text(answered(dataclasses.replace(asked, phrasing=killed), refs)) == records
    assert len(list(tmp_path.iterdir())) == 4


def test_a_fault_of_ours_costs_its_picture_alone(asked: Asked, refs: list[ImageRef]) -> None:
    found = answered(dataclasses.replace(asked, phrasing=raising("0002.")), refs, actors=1)

    (message,) = (record["error"]["message"] for record in found if record.get("error", {}).get("kind") == "deadly")
    assert "AssertionError: a fault at 0002" in message


def test_what_no_picture_causes_ends_the_run(asked: Asked, refs: list[ImageRef]) -> None:
    without_model = asked.preset_text.replace("linear.tiny", "no-such-model")

    with pytest.raises(NodeError, match="no-such-model"):
        answered(dataclasses.replace(asked, preset_text=without_model), refs, actors=1)


def test_a_cluster_without_room_says_so(asked: Asked, refs: list[ImageRef], cluster: Cluster) -> None:
    with pytest.raises(ClusterError, match="room for an actor of 1 CPU and 8 GPU"):
        cluster.room(Needs(1, 8))
    with Pool(asked, 1, Needs(1, 8), start_limit_s=0.1) as pool, pytest.raises(ClusterError, match="1 CPU and 8 GPU"):
        list(pool.answers(chunks_of(refs)))


def test_no_pictures_need_no_actor(asked: Asked) -> None:
    assert answered(asked, [], actors=1) == []


def test_phrasings_reach_the_actors(asked: Asked, refs: list[ImageRef]) -> None:
    found = answered(dataclasses.replace(asked, phrasing=Phrase((), print)), refs[:2], actors=1)

    assert [record["text"] for record in found] == ["", ""]
