from collections.abc import Iterator
from pathlib import Path

import pytest

from unprompt.images.files import Bytes, LocalFile
from unprompt.images.ref import ImageRef
from unprompt.scale.ray.chunks import chunks_of


def of_sizes(*megabytes: float) -> list[ImageRef]:
    return [ImageRef(f"{number}.png", Bytes(bytes(int(size * 1e6)))) for number, size in enumerate(megabytes)]


@pytest.mark.parametrize(
    ("sizes", "done", "expected"),
    [
        ([], [], []),
        ([0] * 5, [], [range(2), range(2, 4), range(4, 5)]),
        ([0.6, 0.6, 0.1], [], [range(1), range(1, 3)]),
        ([3, 0, 3], [], [range(1), range(1, 2), range(2, 3)]),
        ([0] * 6, [range(2), range(3, 4)], [range(2, 3), range(4, 6)]),
        ([0] * 6, [range(1, 2)], [range(1), range(2, 4), range(4, 6)]),
        ([0] * 4, [range(9)], []),
    ],
)
def test_chunks_are_small_and_leave_out_what_is_done(
    sizes: list[float], done: list[range], expected: list[range]
) -> None:
    chunks = list(chunks_of(of_sizes(*sizes), done, pictures=2, megabytes=1))

    assert [chunk.positions for chunk in chunks] == expected
    assert all(
        ref.source == f"{at}.png" for chunk in chunks for at, ref in zip(chunk.positions, chunk.refs, strict=True)
    )


def test_pictures_are_taken_as_they_are_needed() -> None:
    taken = []

    def refs() -> Iterator[ImageRef]:
        for ref in of_sizes(*[0] * 1000):
            taken.append(ref)
            yield ref

    next(chunks_of(refs(), pictures=10))

    assert len(taken) == 11


def test_files_are_found_from_other_working_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    (chunk,) = chunks_of([ImageRef("a/b.png", LocalFile("a/b.png"))])

    assert chunk.refs[0].source == "a/b.png"
    assert chunk.refs[0].file == str(tmp_path / "a" / "b.png")
