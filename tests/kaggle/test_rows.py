"""Rows of submission files, sound and hostile: what is found, and that the fast and the careful way find the same."""

import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unprompt.errors import DataError
from unprompt.kaggle.rows import HEADER, IMAGES_LIMIT, KINDS, LINE_LIMIT, Rows, read_rows

Edit = Callable[[list[str]], object]


def lines(*images: str, seed: int = 0) -> list[str]:
    """A sound submission's lines."""
    values = np.random.default_rng(seed).standard_normal((len(images), 384)).astype(np.float32)
    rows = [f"{image}_{place},{values[number, place]}" for number, image in enumerate(images) for place in range(384)]
    return [HEADER, *rows]


@pytest.fixture
def found(tmp_path: Path) -> Callable[..., dict[str, tuple[int, tuple[str, ...]]]]:
    """What is found in text or bytes."""

    def find(content: str | bytes, *wanted: str) -> dict[str, tuple[int, tuple[str, ...]]]:
        path = tmp_path / "s.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return {each.kind: (each.count, each.examples) for each in read_rows(path, wanted or None).findings}

    return find


Found = Callable[..., dict[str, tuple[int, tuple[str, ...]]]]


def replaced(old: str, new: str) -> Edit:
    def edit(rows: list[str]) -> None:
        rows[[row.partition(",")[0] for row in rows].index(old)] = new

    return edit


def test_sound_files_of_every_dialect(found: Found) -> None:
    rows = lines("a", "b_c", "ü")
    texts = {
        "plain": "\n".join(rows) + "\n",
        "without a last line end": "\n".join(rows),
        "Windows": "\r\n".join(rows) + "\r\n",
        "with a byte order mark": "\ufeff" + "\n".join(rows),
        "quoted": "\n".join('"' + row.replace(",", '","') + '"' for row in rows),
        "keys quoted": "\n".join('"' + row.replace(",", '",') for row in rows),
        "blank lines and blanks": "\n\n".join(rows[1:]).replace(",", ", ").join([HEADER + "\n", "\n\n"]),
        "shuffled": "\n".join([rows[0], *random.Random(0).sample(rows[1:], len(rows) - 1)]),
    }
    assert {name: kinds for name, text in texts.items() if (kinds := found(text))} == {}
    assert {name: kinds for name, text in texts.items() if (kinds := found(text, "b_c", "a", "ü"))} == {}


@pytest.mark.parametrize(
    ("edit", "kind", "count", "example"),
    [
        (lambda rows: rows.clear(), "empty", 1, "no rows"),
        (lambda rows: rows.__setitem__(slice(1, None), []), "empty", 1, "no rows"),
        (lambda rows: rows.__setitem__(0, "imgId,val"), "header", 1, "imgId,val"),
        (lambda rows: rows.__setitem__(0, ""), "header", 1, "an empty line"),
        (replaced("a_7", "a_7,0.5,1"), "unparsable", 1, "line 9: a_7,0.5,1"),
        (replaced("a_7", "a_7"), "unparsable", 1, "line 9: a_7"),
        (replaced("a_7", "a_7,"), "unparsable", 1, "line 9: a_7,"),
        (replaced("a_7", "a_7,1_0"), "unparsable", 1, "line 9: a_7,1_0"),
        (replaced("a_7", "a_7,0x1"), "unparsable", 1, "line 9: a_7,0x1"),
        (replaced("a_7", "a_7,+-1"), "unparsable", 1, "line 9: a_7,+-1"),
        (replaced("a_7", "a_7,1e"), "unparsable", 1, "line 9: a_7,1e"),
        (replaced("a_7", "a_7,\u0661"), "unparsable", 1, "line 9: a_7,\u0661"),
        (replaced("a_7", "a7,0.5"), "unparsable", 1, "line 9: a7,0.5"),
        (replaced("a_7", 'a"_7,0.5'), "unparsable", 1, 'line 9: a"_7,0.5'),
        (replaced("a_7", "_7,0.5"), "unparsable", 1, "line 9: _7,0.5"),
        (replaced("a_7", '"a_7,0.5'), "unparsable", 1, 'line 9: "a_7,0.5'),
        (replaced("a_7", "a\x00_7,0.5"), "unparsable", 1, "line 9: a\\x00_7,0.5"),
        (replaced("a_7", "a\x1b[2J_7,0.5"), "unparsable", 1, "line 9: a\\x1b[2J_7,0.5"),
        (replaced("a_7", f"a_7,{'9' * LINE_LIMIT}"), "unparsable", 1, f"line 9: a_7,{'9' * 36}"),
        (replaced("a_7", "a_384,0.5"), "eId", 1, "a_384"),
        (replaced("a_7", "a_-1,0.5"), "eId", 1, "a_-1"),
        (replaced("a_7", "a_07,0.5"), "eId", 1, "a_07"),
        (replaced("a_7", "a_,0.5"), "eId", 1, "a_"),
        (replaced("a_7", "a_8,0.5"), "duplicate", 1, "a_8"),
        (lambda rows: rows.extend(rows[1:385]), "duplicate", 384, "a_0"),
        (lambda rows: rows.pop(8), "missing", 1, "a_7"),
        (lambda rows: rows.pop(), "missing", 1, "b_383"),
        (lambda rows: rows.extend(lines("c")[1:]), "extra", 384, "c_0"),
        (lambda rows: rows.__setitem__(slice(385, None), []), "missing", 384, "b_0 to b_383"),
        (replaced("a_7", "a_7,nan"), "non-finite", 1, "a_7"),
        (replaced("a_7", "a_7,-Infinity"), "non-finite", 1, "a_7"),
        (replaced("a_7", "a_7,1e39"), "non-finite", 1, "a_7"),
        (replaced("a_7", "a_7,1e999"), "non-finite", 1, "a_7"),
        (lambda rows: rows.__setitem__(slice(1, 385), [f"a_{n},-0.0" for n in range(384)]), "zero-length", 1, "a"),
    ],
)
def test_what_is_wrong(found: Found, edit: Edit, kind: str, count: int, example: str) -> None:
    rows = lines("a", "b")
    edit(rows)
    findings = found("\n".join(rows), "a", "b")
    assert (findings[kind][0], findings[kind][1][0]) == (count, example)
    # A row that is none is missing too, and nothing else follows from it.
    assert set(findings) - {kind} <= {"missing"}


def test_without_a_sample_the_images_are_those_that_are_named(found: Found) -> None:
    rows = [*lines("a", "b"), "c_5,1.0"]
    assert found("\n".join(rows)) == {"missing": (383, ("c_0", "c_1", "c_2", "c_3", "c_4"))}
    assert found("\n".join(rows[1:])) == {
        "header": (1, (rows[1],)),
        "missing": (384, ("a_0", "c_0", "c_1", "c_2", "c_3")),
    }


def test_blanks_belong_to_keys(found: Found) -> None:
    rows = lines("a")
    rows[8] = " a_7,0.5"
    assert found("\n".join(rows), "a") == {"extra": (1, (" a_7",)), "missing": (1, ("a_7",))}


def test_only_the_first_examples_are_kept(found: Found) -> None:
    assert found("\n".join([*lines("a"), *["?"] * 1000])) == {
        "unparsable": (1000, tuple(f"line {number}: ?" for number in range(386, 391)))
    }


def test_no_order_changes_what_is_read(tmp_path: Path) -> None:
    rows = lines("a", "b", "c")
    paths = [tmp_path / "ordered.csv", tmp_path / "shuffled.csv"]
    paths[0].write_text("\n".join(rows))
    paths[1].write_text("\n".join([rows[0], *random.Random(1).sample(rows[1:], len(rows) - 1)]))
    ordered, shuffled = (read_rows(path, ["c", "a", "b"]) for path in paths)
    assert ordered.images == shuffled.images == ("c", "a", "b")
    assert ordered.values.tobytes() == shuffled.values.tobytes()
    assert ordered.count == shuffled.count == 3 * 384


LINE = st.one_of(
    st.sampled_from([HEADER, "a_0,1", "a_1,0", "a_0,nan", "b_383,1e39", "c_9,2", "a_384,1", "", "\r", '"a_5","1"']),
    st.text(alphabet='ab_0123456789,".e-\r\x00\x1b ü', max_size=20),
    st.integers(0, 3).map(lambda number: "\n".join(lines("abcd"[number])[1:])),
    st.tuples(st.integers(1, 384), st.sampled_from(["", "a_3,1", "a_3,1_0", "b_3,1", "a_3"])).map(
        lambda edit: "\n".join([*(rows := lines("a"))[1 : edit[0]], edit[1], *rows[edit[0] + 1 :]])
    ),
)


@given(st.lists(LINE, max_size=6), st.sampled_from([None, ["a", "b"]]), st.integers(1, 4000))
def test_careless_and_careful_reading_agree(
    tmp_path_factory: pytest.TempPathFactory, content: list[str], wanted: list[str] | None, chunk: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "agree.csv"
    path.write_bytes("\n".join(content).encode())
    data = path.read_bytes()
    fast = read_rows(path, wanted)
    slow = Rows(wanted)
    with np.errstate(over="ignore"):
        for line in data.removesuffix(b"\n").split(b"\n") if data else []:
            slow.take([line])  # an image's lines never come together
    slow.finish()
    assert (fast.findings, fast.images, fast.count) == (slow.findings, slow.images, slow.count)
    assert fast.values.tobytes() == slow.values.tobytes()
    assert all(finding.kind in KINDS for finding in fast.findings)


def test_bytes_that_are_no_text(found: Found) -> None:
    rows = "\n".join(lines("a")).encode()
    assert found(rows + b"\n\xff\xfe_0,1.0") == {"unparsable": (1, ("line 386: \ufffd\ufffd_0,1.0",))}
    image = b"\xff".join(rows.split(b"a"))
    assert found(image)["unparsable"][0] == 384
    assert found("\n".join(lines("a")).encode("utf-16"))["header"][0] == 1
    assert found(bytes(5000)) == {"header": (1, ("\\x00" * 40,)), "empty": (1, ("no rows",))}


def test_a_line_longer_than_memory_should_be(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    with path.open("wb") as file:
        file.write(f"{HEADER}\na_0,".encode())
        file.truncate(50 * 2**20)  # NULs, which cost no disk
        file.seek(0, 2)
        file.write("\n".join(["", *lines("b")[1:]]).encode())
    tracemalloc.start()
    findings = {each.kind: each.count for each in read_rows(path, ["b"]).findings}
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert findings == {"unparsable": 1}
    assert peak < 10 * 2**20


def test_a_row_takes_no_longer_than_another_to_refuse(found: Found) -> None:
    # With a pattern that can match digits in two ways each of these takes ten times as long as all do now.
    rows = [f"a_0,{'9' * 1000}x", f"{'_' * 1000},x", f"a_0,{'1.' * 500}"] * 3000
    assert found("\n".join([HEADER, *rows]), "a")["unparsable"][0] == len(rows)


def test_too_many_images(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("\n".join([HEADER, *(f"{number}_0,1" for number in range(IMAGES_LIMIT + 1))]))
    with pytest.raises(DataError, match="at most 100,000 images"):
        read_rows(path)
    (finding,) = [each for each in read_rows(path, ["0"]).findings if each.kind == "extra"]
    assert finding.count == IMAGES_LIMIT


@pytest.mark.parametrize("name", ["none.csv", "", "folder"])
def test_what_cannot_be_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match=r"expected a submission at .*check the path"):
        read_rows(f"{tmp_path}/{name}" if name else "")
