"""A chat server as a member: its votes, its order, how many questions are asked at once, and what a preset may say."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from chat_servers import Question, Reply, pictures, pixels, refused, said, talking, write_preset
from PIL import Image

from unprompt.errors import ChatError, DataError, ModelError, UnknownNameError
from unprompt.members.kinds import needs_of, open_member
from unprompt.members.server import ServerMember
from unprompt.output.records import to_record
from unprompt.prediction import Prediction
from unprompt.presets import load_preset
from unprompt.progress import SILENT
from unprompt.unprompter import Unprompter

BY_NAME = 'Say "{name}".'


@pytest.fixture
def by_name(tmp_path: Path) -> str:
    path = tmp_path / "own.txt"
    path.write_text(BY_NAME)
    return str(path)


def echo(question: Question) -> Reply:
    """The answer to BY_NAME."""
    return said(question.text.partition('"')[2].partition('"')[0])


def member(preset: Path) -> ServerMember:
    (spec,) = load_preset(preset).members
    opened = open_member(spec)
    assert isinstance(opened, ServerMember)
    opened.server._pause_s = 0.0
    return opened


def test_it_votes_with_its_text(tmp_path: Path, by_name: str) -> None:
    with talking(echo) as talk:
        votes = member(write_preset(tmp_path / "own.toml", talk.url, instruction=by_name)).vote(pictures("a", "b", "c"))
    assert [(vote.member, vote.weight, vote.texts, vote.note) for vote in votes] == [
        ("server", 1.0, (name,), "") for name in "abc"
    ]
    assert [question.is_probe for question in talk.questions] == [True, False, False, False]


def moods(question: Question) -> Reply | None:
    """Misbehaves as the picture's name says; the order of the answers is not that of the questions."""
    name = echo(question).body
    with lock:
        seen[name] = seen.get(name, 0) + 1
        times = seen[name]
    for mood, reply in MOODS.items():
        if mood.encode() in name:
            return reply if times < 3 or b"always" in name else echo(question)
    return echo(question)


lock, seen = threading.Lock(), dict[bytes, int]()
MOODS: dict[str, Reply | None] = {
    "busy": refused(429),
    "loading": refused(503),
    "broken": refused(500),
    "truncated": Reply(b'{"choices": [{"mess', claims=500),
    "page": Reply(b"<html>"),
    "wrong": Reply(b'{"choices": "none"}'),
    "closes": None,
}


def test_nothing_is_lost_and_the_order_is_kept(tmp_path: Path, by_name: str) -> None:
    names = [f"{mood}-{at}" for at in range(4) for mood in ("fine", *MOODS)]
    names += [f"always-{mood}" for mood in MOODS]
    with talking(moods) as talk:
        preset = write_preset(tmp_path / "own.toml", talk.url, instruction=by_name, concurrency=8)
        votes = member(preset).vote(pictures(*names))
    assert len(votes) == len(names)
    for name, vote in zip(names, votes, strict=True):
        if name.startswith("always"):
            assert vote.texts == ()
            assert vote.note.startswith("expected an answer of the ")
        else:
            assert (vote.texts, vote.note) == ((name,), "")


@pytest.mark.parametrize("concurrency", [1, 4])
def test_as_many_questions_at_once_as_it_is_told(tmp_path: Path, by_name: str, concurrency: int) -> None:
    together = threading.Barrier(concurrency)

    def answer(question: Question) -> Reply:
        together.wait(60)  # breaks unless so many are asked at the same time
        return echo(question)

    with talking(answer) as talk:
        asker = member(write_preset(tmp_path / "own.toml", talk.url, instruction=by_name, concurrency=concurrency))
        asker.prepare(SILENT)
        batches = [pictures(*(f"{batch}-{at}" for at in range(8))) for batch in range(2)]
        votes: dict[int, list[str]] = {}

        def vote(batch: int) -> None:
            votes[batch] = [vote.texts[0] for vote in asker.vote(batches[batch])]

        threads = [threading.Thread(target=vote, args=(batch,)) for batch in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert talk.most_in_flight == concurrency
    assert votes == {batch: [f"{batch}-{at}" for at in range(8)] for batch in range(2)}


def test_a_folder_keeps_the_server_busy(tmp_path: Path, by_name: str) -> None:
    together = threading.Barrier(8)

    def answer(question: Question) -> Reply:
        together.wait(60)  # breaks unless two batches of four are asked about at the same time, to the last
        return echo(question)

    paths = [tmp_path / f"picture {at}.png" for at in range(16)]
    for at, path in enumerate(paths):
        Image.fromarray(pixels(at)).save(path)
    with talking(answer) as talk:
        preset = write_preset(tmp_path / "own.toml", talk.url, instruction=by_name, concurrency=8)
        unprompter = Unprompter(load_preset(preset), threads=1)
        answers = list(unprompter.predict(map(str, paths), batch_size=4))
    assert [answer.prompt for answer in answers if isinstance(answer, Prediction)] == [path.stem for path in paths]
    assert talk.most_in_flight == 8


def test_a_preset_answers_with_what_it_says_and_says_when_it_does_not(tmp_path: Path, examples: Path) -> None:
    def answer(question: Question) -> Reply:
        return said("a cup of coffee" if question.image.width > question.image.height else "I can't help with that.")

    wide, tall = tmp_path / "wide.png", tmp_path / "tall.png"
    with Image.open(examples / "coffee.jpg") as picture:
        picture.resize((64, 32)).save(wide)
        picture.resize((32, 64)).save(tall)
    regressor = '[[members]]\nkind = "regressor"\nmodel = "vit_tiny_patch16_224.unprompt"\n\n'
    with talking(answer) as talk:
        unprompter = Unprompter(load_preset(write_preset(tmp_path / "own.toml", talk.url, regressor)), threads=1)
        found = list(unprompter.predict([str(wide), str(tall)], ignore_metadata=True))
    answered, lost = (answer for answer in found if isinstance(answer, Prediction))
    assert answered.votes[1].texts == ("a cup of coffee",)
    record = to_record(lost)
    assert record["votes"][1] == {"member": "server", "weight": 0.5, "note": "tiny-vlm: refused, in both tries"}
    assert np.allclose(lost.votes[0].vector, unprompter.fused(lost))  # type: ignore[arg-type]
    assert list(record["model"]["models"])[1] == "tiny-vlm (prompt)"


def test_what_it_is_called_changes_with_what_it_is_asked(tmp_path: Path, by_name: str) -> None:
    def identity(**options: object) -> dict[str, str]:
        preset = write_preset(tmp_path / "own.toml", "http://127.0.0.1:1/v1", **options)
        return dict(member(preset).identities())

    found = [
        identity(),
        identity(instruction="tags"),
        identity(instruction=by_name),
        identity(seed=1),
        identity(side=512),
        identity(extra={"top_k": 1}),
    ]
    assert len({next(iter(each.values())) for each in found}) == len(found)
    assert list(found[2]) == ["tiny-vlm (own)"]
    assert identity(concurrency=8, timeout_s=5) == found[0]


def test_tags_of_another_member_are_filled_in(tmp_path: Path, examples: Path) -> None:
    instruction = tmp_path / "own.txt"
    instruction.write_text("Tags: {tags}\nDescribe it.")
    # Any kind that has texts will do: the embedded interrogator stands for a tagger.
    tags = {"kind": "interrogator", "model": "embedded", "mode": "fast", "max_terms": 2}
    with talking(lambda _: said("a fox")) as talk:
        asker = member(write_preset(tmp_path / "own.toml", talk.url, instruction=str(instruction), tags=tags))
        assert len(asker.identities()) > 1
        asker.vote(pictures("a"))
    (text,) = talk.texts
    assert text.startswith("Tags: ")
    assert text.endswith("\nDescribe it.")
    assert len(text) > len("Tags: \nDescribe it.") + 3


@pytest.mark.parametrize(
    ("tags", "error", "message"),
    [
        ({"kind": "tager", "model": "x"}, UnknownNameError, "kind in tags of the member server 'tager'"),
        ({"kind": "captioner"}, DataError, "tags of the member server lacks 'model'"),
        ({"kind": "captioner", "model": "blip-base", "beam": 2}, UnknownNameError, "did you mean 'beams'"),
    ],
)
def test_bad_tags(tmp_path: Path, tags: dict[str, object], error: type[Exception], message: str) -> None:
    preset = write_preset(tmp_path / "own.toml", "http://127.0.0.1:1/v1", tags=tags)
    with pytest.raises(error, match=message):
        member(preset)


def test_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THE_TESTS", "sk-secret-secret")
    with talking(echo) as talk:
        preset = write_preset(tmp_path / "own.toml", talk.url, api_key_env="OF_THE_TESTS")
        (spec,) = load_preset(preset).members
        server, key = needs_of(spec)
        assert (server.is_here, key.is_here, server.files[0].name) == (True, True, talk.url)
        assert talk.questions == []
        monkeypatch.delenv("OF_THE_TESTS")
        assert not needs_of(spec)[1].is_here
        with pytest.raises(DataError, match="in the environment variable OF_THE_TESTS, found none; set it"):
            Unprompter(load_preset(preset))
    server, _ = needs_of(spec)
    assert not server.is_here
    with pytest.raises(ModelError, match=r"Connection refused.*OF_THE_TESTS"):
        Unprompter(load_preset(preset))


def test_without_the_server_the_others_go_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    regressor = '[[members]]\nkind = "regressor"\nmodel = "vit_tiny_patch16_224.unprompt"\n\n'
    preset = load_preset(write_preset(tmp_path / "own.toml", "http://127.0.0.1:1/v1", regressor))
    unprompter = Unprompter(preset, allow_missing=True)
    assert [each.name for each in unprompter.members] == ["regressor"]
    assert "http://127.0.0.1:1/v1, found no connection" in unprompter.missing["server"]


def test_a_server_that_goes_away_ends_the_run(tmp_path: Path, by_name: str) -> None:
    with talking(echo) as talk:
        asker = member(write_preset(tmp_path / "own.toml", talk.url, instruction=by_name))
        asker.vote(pictures("a"))
    with pytest.raises(ChatError, match="start it or check base_url"):
        asker.vote(pictures("b"))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"base_url": "http://a:b-secret@host/v1"}, DataError, "a user name or password in it"),
        ({"api_key_env": "sk-secret-0123"}, DataError, "the name of an environment variable"),
        ({"api_key": "sk-secret-0123"}, UnknownNameError, "'api_key'; did you mean 'api_key_env'"),
        ({"concurrency": 0}, DataError, "concurrency to be a whole number from 1 to 64, found 0"),
        ({"side": 63}, DataError, "side to be a whole number from 64"),
        ({"temperature": 3}, DataError, "temperature to be a number from 0 to 2"),
        ({"timeout_s": 0}, DataError, "timeout_s"),
        ({"extra": {"messages": []}}, DataError, "expected extra to hold other fields, found 'messages'"),
        ({"extra": {"seed": 1}}, DataError, "found 'seed'"),
        ({"extra": {"x": "y" * 10_000}}, DataError, "at most 10,000 characters"),
    ],
)
def test_bad_options(tmp_path: Path, options: dict[str, object], error: type[Exception], message: str) -> None:
    path = write_preset(tmp_path / "own.toml", "http://127.0.0.1:1/v1", **options)
    with pytest.raises(error, match=message) as raised:
        load_preset(path)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("instruction", "message"),
    [("sentense", "did you mean 'sentence'"), ("own.txt", "did you mean 'tags'"), ("none.txt", "check the path")],
)
def test_a_bad_instruction_shows_before_a_server_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instruction: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.txt").write_text("Describe {tag}.")
    preset = load_preset(write_preset(tmp_path / "own.toml", "http://127.0.0.1:1/v1", instruction=instruction))
    with pytest.raises((UnknownNameError, DataError), match=message):
        Unprompter(preset, allow_missing=True)


def test_an_address_is_not_optional(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text('[[members]]\nkind = "server"\nmodel = "m"\n')
    with pytest.raises(DataError, match=r"expected base_url to be like http://127\.0\.0\.1:8080/v1, found none"):
        load_preset(path)
