"""Answers in parts in an object store: kept after a kill, found by the next run, removed when all is done."""

import uuid

import numpy as np
import pytest

from unprompt.errors import DataError
from unprompt.locations.location import folder_at
from unprompt.output import stored_journal
from unprompt.output.packing import pack
from unprompt.output.stored_journal import StoredJournal
from unprompt.prediction import EMBEDDING_SIZE, Prediction

pytest.importorskip("fsspec")

SETTINGS = "5" * 64
A, B, C = ("a" * 64, "b" * 64, "c" * 64)


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(stored_journal, "PART_BYTES", 1)  # each answer becomes a part
    return f"memory://{uuid.uuid4().hex}/out.jsonl.journal"


def answer(name: str) -> Prediction:
    vector = np.zeros(EMBEDDING_SIZE, np.float32)
    vector[0] = 1
    return Prediction(name, f"prompt of {name}", "prediction", vector, 0.5, (), (), None, {"preset": "embedded"})


def assert_is(found: Prediction | None, name: str) -> None:
    assert found is not None
    assert pack(found) == pack(answer(name))


def parts(address: str) -> list[str]:
    return [entry.name for page in folder_at(address).pages() for entry in page]


def test_a_killed_run_leaves_its_answers_for_the_next(address: str) -> None:
    killed = StoredJournal(address, SETTINGS, resume=False)
    killed.put({A: answer("a")})
    killed.put({B: answer("b")})

    with StoredJournal(address, SETTINGS, resume=True) as journal:
        assert_is(journal.get(A), "a")
        assert_is(journal.get(B), "b")
        assert journal.get(C) is None
        assert not journal.is_empty()
    killed.close()


def test_what_waits_is_stored_when_the_run_is_interrupted(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_journal, "PART_BYTES", 10**9)
    with StoredJournal(address, SETTINGS, resume=False) as journal:
        journal.put({A: answer("a")})
    with StoredJournal(address, SETTINGS, resume=True) as journal:
        assert_is(journal.get(A), "a")


def test_an_earlier_run_is_seen_without_resume(address: str) -> None:
    with StoredJournal(address, SETTINGS, resume=False) as journal:
        assert journal.is_empty()
        journal.put({A: answer("a")})
    with StoredJournal(address, SETTINGS, resume=False) as journal:
        assert not journal.is_empty()
        assert journal.get(A) is None


def test_a_run_that_ended_before_its_first_answer_counts_for_nothing(address: str) -> None:
    StoredJournal(address, SETTINGS, resume=False).close()
    with StoredJournal(address, SETTINGS, resume=False) as journal:
        assert journal.is_empty()


def test_answers_with_other_settings_are_not_taken_and_not_removed(address: str) -> None:
    with StoredJournal(address, SETTINGS, resume=False) as journal:
        journal.put({A: answer("a")})
    with StoredJournal(address, "6" * 64, resume=True) as journal:
        assert journal.get(A) is None
        journal.put({A: answer("other")})
        journal.close_and_remove()
    with StoredJournal(address, SETTINGS, resume=True) as journal:
        assert_is(journal.get(A), "a")


def test_a_complete_run_leaves_nothing(address: str) -> None:
    journal = StoredJournal(address, SETTINGS, resume=False)
    journal.put({A: answer("a")})
    journal.close_and_remove()
    assert parts(address) == []


def test_a_part_that_ends_early_gives_what_is_whole(address: str) -> None:
    with StoredJournal(address, SETTINGS, resume=False) as journal:
        journal.put({A: answer("a"), B: answer("b")})
    folder = folder_at(address)
    [part] = [entry.name for page in folder.pages() for entry in page if entry.size > 200]
    folder.write(part, folder.read(part, 10**6)[:-7])
    with StoredJournal(address, SETTINGS, resume=True) as journal:
        assert_is(journal.get(A), "a")
        assert journal.get(B) is None


def test_other_files_are_not_taken_for_parts(address: str) -> None:
    folder_at(address).write("notes.txt", b"mine" * 100)
    with pytest.raises(DataError, match="found another file, notes"):
        StoredJournal(address, SETTINGS, resume=True)
    assert parts(address) == ["notes.txt"]
