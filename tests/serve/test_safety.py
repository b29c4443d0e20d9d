"""Who may be reached at all: loopback, a key, or --public."""

import pytest

from unprompt.errors import DataError
from unprompt.serve.safety import check_exposure
from unprompt.serve.settings import Settings


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_needs_no_key(host: str) -> None:
    check_exposure(Settings(host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "prompts.example"])
def test_other_addresses_need_a_key_or_public(host: str) -> None:
    with pytest.raises(DataError, match="--api-key-file or --public"):
        check_exposure(Settings(host=host))
    check_exposure(Settings(host=host, public=True))
    check_exposure(Settings(host=host, api_key_file="keys"))
