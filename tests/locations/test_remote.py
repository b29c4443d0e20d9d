"""What goes wrong in a store, and what is said of it."""

import dataclasses
from pathlib import Path

import pytest
from object_stores import BAD_KEY, DENIED, EXPIRED, SLOW_DOWN, Answer, ObjectStore

from unprompt.errors import LocationError
from unprompt.locations import remote
from unprompt.locations.folder import Folder
from unprompt.locations.location import folder_at
from unprompt.locations.patience import Patience


@pytest.fixture
def folder(store: ObjectStore) -> Folder:
    store.put({"a/1.png": b"one", "a/2.png": b"two"})
    return folder_at("s3://pictures/a")


def hasty(address: str) -> Folder:
    """A folder that soon gives up."""
    folder = remote.RemoteFolder.at(address)
    store = dataclasses.replace(folder.store, patience=Patience(attempts=3, first_wait_s=0.01))
    return dataclasses.replace(folder, store=store)


def trouble(folder: Folder, name: str = "1.png") -> tuple[str, str]:
    with pytest.raises(LocationError) as caught:
        folder.read(name, 99)
    assert "testing-secret-word" not in str(caught.value)
    return caught.value.kind, str(caught.value)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (DENIED, "unreadable"),
        (EXPIRED, "no-credentials"),
        (BAD_KEY, "no-credentials"),
        (("404 Not Found", b""), "not-found"),
        (("418 Teapot", b"<no xml"), "unreadable"),
    ],
)
def test_each_trouble_has_its_kind_after_one_request(
    store: ObjectStore, folder: Folder, answer: Answer, kind: str
) -> None:
    store.refused["/pictures/a/1.png"] = answer
    assert trouble(folder)[0] == kind
    assert store.asked_for("/pictures/a/1.png") == 1
    assert folder.read("2.png", 99) == b"two"


def test_a_store_that_is_busy_is_asked_again(store: ObjectStore, folder: Folder) -> None:
    store.busy["/pictures/a/1.png"] = 2
    assert folder.read("1.png", 99) == b"one"
    assert store.asked_for("/pictures/a/1.png") == 3


def test_a_list_that_is_busy_is_asked_again_and_is_whole(
    store: ObjectStore, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unprompt.locations.stores.PAGE", 10)
    store.put({f"a/{number:04}": b"" for number in range(11)})
    pages = folder.pages()
    assert len(next(pages)) == 10
    store.busy["/pictures"] = 1
    assert sum(map(len, pages)) == 3


def test_patience_ends(store: ObjectStore, folder: Folder) -> None:
    store.refused["/pictures/a/1.png"] = SLOW_DOWN
    assert trouble(hasty("s3://pictures/a"))[0] == "unreachable"
    assert store.asked_for("/pictures/a/1.png") == 3


def test_a_bucket_that_is_gone_is_said_once_listed(store: ObjectStore) -> None:
    with pytest.raises(LocationError, match="s3://gone/a to be listed, found none") as caught:
        list(folder_at("s3://gone/a").pages())
    assert caught.value.kind == "not-found"


@pytest.mark.usefixtures("fresh_clients")
@pytest.mark.parametrize("path", ["/pictures", "/pictures/a/1.png"])
def test_missing_credentials_are_said_with_what_to_set(
    store: ObjectStore, folder: Folder, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(LocationError, match="set AWS_PROFILE") as caught:
        list(folder.pages()) if path == "/pictures" else folder.read("1.png", 9)
    assert caught.value.kind == "no-credentials"
    assert store.asked_for(path) == 0


def test_a_store_that_ignores_conditions_is_found_out(store: ObjectStore, folder: Folder) -> None:
    store.ignores_conditions = True
    with pytest.raises(LocationError, match="give each worker its own number"):
        folder.check_creates()
    assert store.names() == ["a/1.png", "a/2.png"]


def test_a_creation_whose_answer_was_lost_counts_as_ours(store: ObjectStore, folder: Folder) -> None:
    assert folder.create("claim", b"worker 1")
    assert folder.create("claim", b"worker 1")  # what a repeated request sees
    assert not folder.create("claim", b"worker 2")


@pytest.mark.parametrize("name", ["UNPROMPT_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_leads_to_this_machine_alone(
    store: ObjectStore, folder: Folder, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv(name, "1")
    assert folder.read("1.png", 9) == b"one"
    assert list(folder_at("memory://nothing").pages()) == []
    for address in ("s3://pictures/a", "hf://datasets/a/b"):
        monkeypatch.setenv("AWS_ENDPOINT_URL", "https://s3.example.org")
        with pytest.raises(LocationError, match="found the network forbidden") as caught:
            list(folder_at(address).pages())
        assert caught.value.kind == "offline"


@pytest.mark.usefixtures("fresh_clients")
def test_no_server_is_said_after_the_patience(monkeypatch: pytest.MonkeyPatch, store: ObjectStore) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert trouble(hasty("s3://pictures/a"))[0] == "unreachable"


def test_odd_names_are_names(store: ObjectStore) -> None:
    odd = ["a b#?%20.png", "é*[1].png", "x//y.png", "ends.with.dots..."]
    folder = folder_at("s3://pictures/odd")
    for name in odd:
        folder.write(name, name.encode())
    assert sorted(entry.name for page in folder.pages() for entry in page) == sorted(odd)
    assert [folder.read(name, 99).decode() for name in odd] == odd


def test_a_name_that_the_client_would_cut_is_refused(folder: Folder) -> None:
    assert trouble(folder, "1.png?versionId=7")[0] == "bad-url"


def test_a_large_file_is_read_in_pieces(store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "BLOCK", 1000)
    path = tmp_path / "large"
    path.write_bytes(bytes(range(256)) * 10)
    folder = folder_at("s3://pictures")
    folder.upload("large", str(path))
    with folder.open("large") as file:
        assert b"".join(iter(lambda: file.read(700), b"")) == path.read_bytes()
    assert store.asked["GET /pictures/large"] == 3
