"""Which addresses a server may have."""

import pytest

from unprompt.chat.address import read_address
from unprompt.errors import DataError


@pytest.mark.parametrize(
    ("text", "host", "port", "is_local"),
    [
        ("http://127.0.0.1:8080/v1", "127.0.0.1", 8080, True),
        ("http://127.0.0.1:8080/v1/", "127.0.0.1", 8080, True),
        ("http://127.0.0.1:8080/v1/chat/completions", "127.0.0.1", 8080, True),
        ("http://localhost:11434/v1", "localhost", 11434, True),
        ("http://[::1]:1234/v1", "::1", 1234, True),
        ("http://192.168.1.7/v1", "192.168.1.7", 80, True),
        ("https://10.0.0.1/v1", "10.0.0.1", 443, True),
        ("https://api.example.com/v1", "api.example.com", 443, False),
        ("http://box.lan:8000", "box.lan", 8000, False),
        ("http://8.8.8.8/v1", "8.8.8.8", 80, False),
        ("http://localhost.example.com/v1", "localhost.example.com", 80, False),
    ],
)
def test_addresses(text: str, host: str, port: int, is_local: bool) -> None:
    address = read_address(text)
    assert (address.host, address.port, address.is_local) == (host, port, is_local)
    assert str(address.url) == f"{text.rstrip('/').removesuffix('/chat/completions')}/chat/completions"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1:8080",
        "ftp://127.0.0.1/v1",
        "file:///etc/passwd",
        "http:///v1",
        "http://host:0/v1",
        "http://host:99999/v1",
        "http://user:sk-secret@host/v1",
        "http://host/v1?key=sk-secret",
        "http://host/v1#sk-secret",
        "http://host/v1 sk-secret",
        f"http://{'a' * 70}.example/v1",
        f"http://host/{'sk-secret' * 200}",
    ],
)
def test_what_is_none_is_not_repeated(text: str) -> None:
    with pytest.raises(DataError, match="expected base_url to be like") as told:
        read_address(text)
    assert "secret" not in str(told.value)
