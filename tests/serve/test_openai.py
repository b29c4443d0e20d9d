"""OpenAI's dialect, spoken by OpenAI's own client, and by requests as other clients send them."""

import base64
from collections.abc import Iterator
from typing import Any

import numpy as np
import openai
import pytest
import services
from services import INFOTEXT, Gated, Running, png


@pytest.fixture
def client(service: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key="unused", max_retries=0) as client:
        yield client


def data_uri(data: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(data).decode()


def message(*pictures: bytes, text: str = "Describe it.") -> list[Any]:
    parts: list[Any] = [{"type": "text", "text": text}] if text else []
    return [
        {
            "role": "user",
            "content": parts + [{"type": "image_url", "image_url": {"url": data_uri(data)}} for data in pictures],
        }
    ]


def test_a_chat_answers_with_the_prompt(client: openai.OpenAI, service: Running) -> None:
    answer = client.chat.completions.create(model="tiny", messages=message(png(1)))
    assert answer.object == "chat.completion"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].message.content == service.post("/v1/predict", content=png(1)).json()["prompt"]
    assert answer.usage is not None


def test_a_chat_streams(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="tiny", messages=message(png(1)))
    stream = client.chat.completions.create(
        model="tiny", messages=message(png(1)), stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == whole.choices[0].message.content
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage is not None


def test_several_pictures_are_several_lines(client: openai.OpenAI) -> None:
    written = png(2, parameters=INFOTEXT)
    answer = client.chat.completions.create(model="tiny", messages=message(png(1), written))
    assert (answer.choices[0].message.content or "").split("\n")[1] == "a cat on the moon"


def test_the_text_is_not_obeyed_and_the_answer_says_so(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response
    answer = raw.create(model="tiny", messages=message(png(1), text="Say only: yes"))
    assert answer.headers["X-Unprompt-Note"] == "the text of the message was not obeyed"
    assert "X-Unprompt-Note" not in raw.create(model="tiny", messages=message(png(1), text="")).headers


@pytest.mark.parametrize("form", ["plain", "beside", "bare"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/chat/completions"])
def test_pictures_are_found_where_clients_put_them(service: Running, path: str, form: str) -> None:
    uri = data_uri(png(1))
    messages: list[Any] = {
        "plain": [{"role": "user", "content": [{"type": "image_url", "image_url": uri}]}],
        "beside": [{"role": "user", "content": "What?"}, {"role": "user", "content": "", "image_url": uri}],
        "bare": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": uri.partition(",")[2]}}]}],
    }[form]
    answer = service.post(path, json={"messages": messages, "temperature": 0, "top_k": 4})
    assert answer.json()["choices"][0]["message"]["content"]


def test_texts_are_embedded(client: openai.OpenAI) -> None:
    """The client asks for base64 by itself."""
    answer = client.embeddings.create(model="tiny", input=["a cat", "a dog"])
    floats = client.embeddings.create(model="tiny", input="a dog", encoding_format="float")
    assert [len(found.embedding) for found in answer.data] == [384, 384]
    assert answer.data[1].embedding == pytest.approx(floats.data[0].embedding, abs=1e-6)
    assert np.linalg.norm(answer.data[0].embedding) == pytest.approx(1, abs=1e-4)


def test_pictures_are_embedded(client: openai.OpenAI, service: Running) -> None:
    answer = client.embeddings.create(
        model="tiny", input=[data_uri(png(1))], dimensions=384, extra_body={"modality": "image"}
    )
    record = service.post("/v1/predict?embedding=true&text=false", content=png(1)).json()
    assert answer.data[0].embedding == pytest.approx(record["embedding"], abs=1e-6)


def test_models_are_listed(client: openai.OpenAI, service: Running) -> None:
    assert [model.id for model in client.models.list()] == ["tiny"]
    assert client.models.retrieve("tiny").id == "tiny"
    assert service.get("/v1/models").json()["limits"]["pictures"] == 6


@pytest.mark.parametrize(
    ("asked", "error", "param"),
    [
        ({"model": "gpt-4o", "messages": message(png(1))}, openai.NotFoundError, "model"),
        ({"model": "tiny", "messages": [{"role": "user", "content": "hello"}]}, openai.BadRequestError, "messages"),
        ({"model": "tiny", "messages": message(png(1)), "n": 2}, openai.BadRequestError, "n"),
        ({"model": "tiny", "messages": message(b"no picture")}, openai.UnprocessableEntityError, "image"),
        ({"model": "tiny", "messages": message(bytes(300_000))}, openai.APIStatusError, "messages"),
    ],
)
def test_refusals_reach_the_client(
    client: openai.OpenAI, asked: dict[str, Any], error: type[openai.APIStatusError], param: str
) -> None:
    with pytest.raises(error) as raised:
        client.chat.completions.create(**asked)
    assert raised.value.param == param
    assert "expected " in str(raised.value)


@pytest.mark.parametrize(
    "asked",
    [
        {"input": []},
        {"input": [1, 2]},
        {"input": "a", "dimensions": 10},
        {"input": "a", "encoding_format": "int8"},
        {"input": "a", "modality": "audio"},
        {},
    ],
)
def test_embeddings_that_cannot_be_had(service: Running, asked: dict[str, Any]) -> None:
    answer = service.post("/v1/embeddings", json=asked)
    assert answer.status_code == 400
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_the_client_comes_back_after_a_429(gated: tuple[Running, Gated]) -> None:
    """It waits as long as Retry-After says, and its second try is answered."""
    running, _unprompter = gated
    running.service.held._limit = 10
    with openai.OpenAI(base_url=f"{running.url}/v1", api_key="unused", max_retries=1) as client:
        seen: list[int] = []

        def make_room() -> None:
            services.wait_for(lambda: "429" in running.service.telemetry.text().decode())
            seen.append(429)
            running.service.held._limit = 10_000_000

        import threading

        thread = threading.Thread(target=make_room)
        thread.start()
        answer = client.chat.completions.create(model="tiny", messages=message(png(1)))
        thread.join()
    assert answer.choices[0].message.content
    assert seen == [429]
