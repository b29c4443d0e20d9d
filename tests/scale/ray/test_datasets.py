import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from deadly_phrasing import dying

from unprompt import scale
from unprompt.errors import DataError, UnknownNameError
from unprompt.images.ref import ImageRef
from unprompt.scale.ray.answerer import Asked
from unprompt.scale.ray.datasets import COLUMNS, Witness, answered
from unprompt.scale.ray.pool import Needs

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.usefixtures("cluster"),
    pytest.mark.filterwarnings("ignore"),  # Ray Data warns of its own settings, and so does what it imports
]


@pytest.fixture
def dataset(ray: Any, refs: Sequence[ImageRef]) -> Any:
    """The pictures with their names and a number, in two blocks; one has no bytes."""
    pytest.importorskip("ray.data", reason="needs the extra [ray]")
    rows = [{"number": number, "path": ref.source, "bytes": _bytes(ref)} for number, ref in enumerate(refs)]
    return ray.data.from_items(
        [*rows, {"number": len(rows), "path": "nothing.png", "bytes": None}], override_num_blocks=2
    )


def _bytes(ref: ImageRef) -> bytes:
    assert ref.file is not None
    return Path(ref.file).read_bytes()


def rows_of(dataset: Any) -> list[dict[str, Any]]:
    return sorted(dataset.take_all(), key=lambda row: row["number"])


def test_rows_get_the_answers_of_one_process(dataset: Any, preset: Path, records: list[dict[str, Any]]) -> None:
    found = rows_of(scale.predict(dataset, preset=preset, actors=1, text=False, embedding=True, batch_rows=8))

    assert [json.loads(row["record"]) for row in found[:-1]] == records
    assert found[0].keys() == {"number", "path", "embedding", *COLUMNS}
    assert len(found[0]["embedding"]) == 384
    assert found[-1]["error_kind"] == "unreadable"
    assert found[-1]["embedding"] is None


@pytest.mark.parametrize("kept", [True, False])
def test_pictures_are_kept_on_request(dataset: Any, preset: Path, kept: bool) -> None:
    (row,) = scale.predict(dataset.limit(1), preset=preset, actors=1, text=False, keep_pictures=kept).take_all()

    assert ("bytes" in row) == kept


def test_pictures_as_hugging_face_stores_them(ray: Any, preset: Path, pictures: Path) -> None:
    image = {"bytes": (pictures / "part0" / "0000.png").read_bytes(), "path": "a.png"}

    (row,) = scale.predict(
        ray.data.from_items([{"image": image}]), preset=preset, column="image", actors=1, text=False
    ).take_all()

    assert json.loads(row["record"])["source"] == "a.png"
    assert row["error_kind"] is None


def test_a_picture_that_ends_the_process_costs_itself_alone(
    dataset: Any, asked: Asked, records: list[dict[str, Any]]
) -> None:
    phrasing = dying("0004.")

    found = rows_of(
        answered(
            dataset,
            dataclasses.replace(asked, phrasing=phrasing),
            column="bytes",
            name_column="path",
            keep_pictures=False,
            actors=1,
            needs=Needs(),
            batch_rows=8,
        )
    )

    assert [row["number"] for row in found] == list(range(len(records) + 1))
    assert [row["number"] for row in found if row["error_kind"] == "deadly"] == [4]


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"preset": "embeded"}, UnknownNameError, "did you mean 'embedded'"),
        ({"column": "picture"}, DataError, "expected a column 'picture' of pictures, found number, path, bytes"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(
    dataset: Any, options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        scale.predict(dataset, **options)


def test_a_witness_counts_what_an_actor_began_and_never_ended() -> None:
    witness = Witness()

    assert [witness.begin("a", "x"), witness.begin("b", "x"), witness.begin("a", "x")] == [0, 0, 1]
    witness.end("a", "x")
    assert [witness.begin("a", "x"), witness.begin("b", "x")] == [0, 1]
