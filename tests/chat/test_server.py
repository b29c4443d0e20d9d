"""A chat server and its moods: real servers on loopback that are slow, busy, broken, or no chat servers at all."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from chat_servers import ASK, HANGS_UP, Question, Reply, client, pixels, refused, said, talking
from web_servers import PRIVATE, keeps_silent, never_accepting, serving, trickles

from unprompt.chat import server as chat_server
from unprompt.chat.address import read_address
from unprompt.chat.exchange import CONNECT_S, check_connection
from unprompt.chat.server import GIVE_UP, TRIES, read_key
from unprompt.errors import ChatError, DataError, ModelError

FOX = said("a red fox")
SECRET = "sk-very-secret-0123456789"


class Then:
    """Answers one after the other; the last one again and again."""

    def __init__(self, *replies: Reply | None) -> None:
        self.replies = list(replies)

    def __call__(self, _question: Question) -> Reply | None:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


def test_what_is_asked_and_said() -> None:
    with talking(Then(said("Prompt: a red fox"))) as talk:
        found = client(talk.url, max_tokens=50, seed=3, side=64, extra={"top_k": 1}, without=("temperature",)).say(
            pixels(height=200, width=100), "Describe it."
        )
    assert (found.text, found.note) == ("a red fox", "")
    (question,) = talk.questions
    assert question.path == "/v1/chat/completions"
    assert question.text == "Describe it."
    fields = {name: value for name, value in question.body.items() if name != "messages"}
    assert fields == {"model": "tiny-vlm", "stream": False, "max_tokens": 50, "seed": 3, "top_k": 1}
    assert (question.image.size, question.image.format) == ((32, 64), "JPEG")
    assert "Authorization" not in question.headers


def test_a_small_picture_is_not_enlarged_and_a_strip_is_cut() -> None:
    with talking(Then(FOX)) as talk:
        asking = client(talk.url, side=640)
        asking.say(pixels(height=3, width=5), "?")
        asking.say(pixels(height=1, width=1000), "?")
    assert [question.image.size for question in talk.questions] == [(5, 3), (64, 1)]


@pytest.mark.parametrize(
    "bad",
    [
        refused(429),
        refused(429, Retry_After="0"),
        refused(503, "Loading model", Retry_After="0.0"),
        refused(500),
        refused(502),
        refused(408),
        HANGS_UP,
        Reply(b"{}", claims=500),
        Reply(b'{"choices": [{"message"'),
        Reply(b"null"),
        Reply(b"[]"),
        Reply(b""),
        Reply(b"<html>Gateway</html>", headers={"Content-Type": "text/html"}),
        Reply(b'{"choices": []}'),
        Reply(b'{"choices": [null]}'),
        Reply(b'{"choices": [{"message": null}]}'),
        Reply(b'{"error": {"message": "overloaded"}}'),
        Reply(b'{"detail": "busy"}'),
        Reply(b"[" * 5000),
    ],
)
def test_after_a_passing_fault_it_is_asked_again(bad: Reply | None) -> None:
    with talking(Then(bad, bad, FOX)) as talk:
        assert client(talk.url).say(pixels(), "?").text == "a red fox"
    assert len(talk.questions) == 3
    assert len({json.dumps(question.body) for question in talk.questions}) == 1


@pytest.mark.parametrize(
    ("bad", "tries", "message"),
    [
        (refused(500, "out of memory"), TRIES, r"found status 500 \(out of memory\); look into its log"),
        (HANGS_UP, TRIES, "hangs up"),
        (Reply(b"<html>"), TRIES, "a web page; base_url usually ends in /v1"),
        (Reply(b'{"error": "busy"}'), TRIES, r"without choices \(busy\)"),
        (refused(400, "bad picture"), 1, r"status 400 \(bad picture\)"),
        (refused(501), 1, "status 501"),
        (Reply(b'{"detail": "Unexpected fields: seed"}', 422), 1, r"422 \(Unexpected fields: seed\).* without = "),
        (Reply(b"Internal\x1b[0m error", 500, {"Content-Type": "text/plain"}), TRIES, r"500 \(Internal"),
    ],
)
def test_a_fault_that_stays_costs_a_picture_its_vote(bad: Reply | None, tries: int, message: str) -> None:
    with talking(Then(*[bad] * tries, FOX)) as talk:
        asking = client(talk.url)
        lost, found = asking.say(pixels(), "?"), asking.say(pixels(), "?")
    assert (lost.text, found.text) == ("", "a red fox")
    assert re.search(message, lost.note)
    assert lost.note.startswith("expected an answer of the ")
    assert talk.url in lost.note
    assert lost.note.isprintable()


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (refused(401, "no key"), r"status 401 \(no key\); set api_key_env"),
        (refused(403), "set api_key_env"),
        (refused(404, "model not found"), r"\(model not found\); check base_url, .* and model"),
        (refused(405), "check base_url"),
        (refused(307, Location="http://127.0.0.1:1/v1"), "found a redirect; give the address"),
    ],
)
def test_what_every_picture_would_get_is_an_error(reply: Reply, message: str) -> None:
    with talking(Then(reply)) as talk, pytest.raises(ChatError, match=message):
        client(talk.url).say(pixels(), "?")
    assert len(talk.questions) == 1


def test_a_redirect_is_not_followed_with_the_key() -> None:
    with (
        talking(Then(FOX)) as other,
        talking(Then(refused(307, Location=f"{other.url}/chat/completions"))) as talk,
        pytest.raises(ChatError),
    ):
        client(talk.url, key=SECRET).say(pixels(), "?")
    assert [question.headers["Authorization"] for question in talk.questions] == [f"Bearer {SECRET}"]
    assert other.questions == []


def test_the_key_is_in_no_text(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with talking(
        Then(refused(401, f"wrong key {SECRET}"), refused(400, SECRET * 20), said(f"a fox, {SECRET}"))
    ) as talk:
        asking = client(talk.url, key=SECRET)
        with pytest.raises(ChatError) as told:
            asking.say(pixels(), "?")
        lost, found = asking.say(pixels(), "?"), asking.say(pixels(), "?")
    assert "wrong key (key)" in str(told.value)
    assert found.text == "a fox, (key)"
    shown = [str(told.value), lost.note, found.text, repr(asking.asking), asking.asking.digest(), caplog.text]
    assert not any(SECRET in text or SECRET[:12] in text for text in shown)


@pytest.mark.parametrize(
    ("answer", "note"),
    [
        (said("I'm sorry, but I can't help with that."), "refused"),
        (said("", refusal="No."), "refused"),
        (said("a fo", "content_filter"), "refused"),
        (said("I don't see any image."), "says that it sees no picture"),
        (said(""), "said nothing"),
        (said(None), "said nothing"),
        (said("<think>hm"), "said nothing"),
        (said([]), "said nothing"),
    ],
)
def test_a_refusal_is_asked_once_more_in_other_words(answer: Reply, note: str) -> None:
    with talking(Then(answer, FOX)) as talk:
        assert client(talk.url, seed=7).say(pixels(), "Describe it.").text == "a red fox"
    first, second = talk.questions
    assert second.text.startswith("Describe it.\n")
    assert (first.body["seed"], second.body["seed"]) == (7, 8)
    with talking(Then(answer)) as talk:
        lost = client(talk.url).say(pixels(), "Describe it.")
    assert (lost.text, lost.note) == ("", f"tiny-vlm: {note}, in both tries")
    assert len(talk.questions) == 2


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (said([{"type": "text", "text": "a red "}, {"type": "text", "text": "fox"}]), "a red fox"),
        (said("a red fox, oil", "length"), "a red fox"),
        (said("user\nDescribe it.\nassistant\na red fox"), "a red fox"),
        (said("a red fox", reasoning_content="hm"), "a red fox"),
        (said("x" * 100_000), "x" * 4_000),
    ],
)
def test_odd_answers(answer: Reply, text: str) -> None:
    with talking(Then(answer)) as talk:
        assert client(talk.url).say(pixels(), "Describe it.").text == text


def test_nobody_there_is_an_error_that_names_the_address() -> None:
    with talking(Then(FOX)) as talk:
        pass
    for ask in (lambda: client(talk.url).check(), lambda: check_connection(read_address(talk.url))):
        with pytest.raises(ModelError, match=r"found no connection \(Connection refused\); start it or check") as told:
            ask()
        assert talk.url in str(told.value)


def test_an_address_that_swallows_everything_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    assert CONNECT_S == 5
    monkeypatch.setattr("unprompt.chat.exchange.CONNECT_S", 0.2)
    with (
        never_accepting(PRIVATE) as port,
        pytest.raises(ChatError, match=rf"{port}/v1, found no connection within 0.2 s"),
    ):
        client(f"http://{PRIVATE}:{port}/v1").check()


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b"])
def test_a_name_that_nobody_knows(host: str) -> None:
    with pytest.raises((ModelError, DataError), match="found"):
        client(f"http://{host}/v1").check()


def test_silence_and_drops_end_with_the_time() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
    for answer in (keeps_silent, trickles(head, b" "), trickles(b"HTTP/1.1 200 OK\r\nX: ", b"x")):
        with serving(answer) as server:
            lost = client(f"http://{server.at}/v1", timeout_s=0.3).say(pixels(), "?")
        assert lost.text == ""
        assert "found one that is slower; raise timeout_s" in lost.note


def test_more_than_an_answer_can_be_is_not_read() -> None:
    with talking(Then(Reply(b" " * 5_000_000))) as talk:
        assert "found more than 4 MB" in client(talk.url).say(pixels(), "?").note


def test_it_pauses_as_it_is_told_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    soon = format_datetime(datetime.now(timezone.utc) + timedelta(hours=9), usegmt=True)
    past = "Wed, 21 Oct 2015 07:28:00 GMT"
    told = [refused(429, Retry_After=value) for value in ("2", "100000", soon, past)]
    with talking(Then(*told, FOX)) as talk:
        assert client(talk.url, timeout_s=1000.0).say(pixels(), "?").text == "a red fox"
    assert pauses == [2.0, 30.0, 30.0, 0.0]
    pauses.clear()
    silent = [refused(503, Retry_After=value) for value in ("", "-1", "nan", "1e9")]
    with talking(Then(*silent, FOX)) as talk:
        asking = chat_server.ChatServer(client(talk.url, timeout_s=1000.0).asking)
        assert asking.say(pixels(), "?").text == "a red fox"
    assert pauses == [1.0, 2.0, 4.0, 8.0]


def test_no_pause_goes_beyond_the_time() -> None:
    with talking(Then(refused(429, Retry_After="20"), FOX)) as talk:
        assert "status 429" in client(talk.url, timeout_s=10.0).say(pixels(), "?").note
    assert len(talk.questions) == 1


def test_a_server_that_is_loading_is_waited_for() -> None:
    with talking(Then(*[refused(503, "Loading model")] * (TRIES + 3), FOX), probed=ASK) as talk:
        client(talk.url).check()
    assert len(talk.questions) == TRIES + 4


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (refused(500, "image input is not supported - you may need the mmproj"), "takes no pictures, take a model"),
        (refused(400, "tiny-vlm is not a multimodal model"), "takes no pictures, take a model"),
        (said("I'm sorry, but I cannot see images."), "sees no picture; if it takes no pictures, take a model"),
        (Reply(b"<!doctype html>"), "found a web page; base_url usually ends in /v1"),
        (refused(500), "look into its log"),
    ],
)
def test_what_is_wrong_for_all_shows_with_the_first_question(reply: Reply, message: str) -> None:
    with talking(Then(reply), probed=ASK) as talk, pytest.raises(ChatError, match=message):
        client(talk.url).check()


def test_the_first_question_is_asked_once() -> None:
    with talking(Then(FOX)) as talk:
        asking = client(talk.url)
        threads = [threading.Thread(target=asking.check) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(talk.questions) == 1
    assert talk.questions[0].image.size == (224, 224)


def test_a_server_that_answers_nobody_is_given_up() -> None:
    with talking(Then(refused(400))) as talk:
        asking = client(talk.url)
        notes = [asking.say(pixels(), "?").note for _ in range(GIVE_UP - 1)]
        assert all("status 400" in note for note in notes)
        with pytest.raises(ChatError, match=f"it is the {GIVE_UP}th picture in a row"):
            asking.say(pixels(), "?")


def test_offline_only_local_addresses_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with talking(Then(FOX)) as talk:
        assert client(talk.url).say(pixels(), "?").text == "a red fox"
        assert client(talk.url.replace("127.0.0.1", "localhost")).say(pixels(), "?").text == "a red fox"
    for url in ("https://api.example.com/v1", "http://8.8.8.8/v1", "http://box/v1"):
        with pytest.raises(ModelError, match="the network is off"):
            check_connection(read_address(url))
        with pytest.raises(ChatError, match="the network is off"):
            client(url).check()


def test_a_key_is_not_sent_in_the_clear_to_the_public_internet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unprompt.chat.exchange.is_offline", lambda: False)
    with pytest.raises(ChatError, match=r"8\.8\.8\.8 is on the public internet, where a key needs https"):
        client("http://8.8.8.8/v1", key=SECRET).check()


@pytest.mark.parametrize("value", ["", " ", "two words", "line\nbreak", "clé-secrète"])
def test_a_bad_key_is_not_repeated(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THE_TESTS", value)
    with pytest.raises(DataError, match="in the environment variable OF_THE_TESTS, found") as told:
        read_key("OF_THE_TESTS")
    assert not value.strip() or value.strip() not in str(told.value)


def test_a_key_is_read_without_its_line_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THE_TESTS", f"{SECRET}\n")
    assert read_key("OF_THE_TESTS").value == SECRET
    assert read_key(None).value == ""
