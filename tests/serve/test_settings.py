"""The settings, as a worker's environment holds them."""

import pytest

from unprompt.errors import DataError
from unprompt.serve.settings import Settings


def test_settings_come_back_from_a_text() -> None:
    settings = Settings(host="::1", bank="a/b", allow_hosts=("a", "b"), queue=7, held_mb=1.5, public=True)
    assert Settings.from_json(settings.to_json()) == settings


@pytest.mark.parametrize("text", ["{", '{"queues": 1}', '{"queue": "many"}'])
def test_others_are_refused(text: str) -> None:
    with pytest.raises(Exception, match=r"expected|unknown") as refused:
        Settings.from_json(text)
    assert isinstance(refused.value, DataError) or "did you mean" in str(refused.value)


def test_a_request_never_has_more_pictures_than_the_queue() -> None:
    assert Settings(queue=5, pictures=100).most_pictures == 5
