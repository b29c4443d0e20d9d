"""What the tests of pictures share."""

from collections.abc import Callable
from typing import Any

import pytest
from PIL import AvifImagePlugin, ImageFile, TiffImagePlugin, WebPImagePlugin

Load = Callable[[ImageFile.ImageFile], Any]


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The format of each picture whose pixels Pillow is asked for from now on; it still decodes them."""
    formats: list[str] = []

    def noted(load: Load) -> Load:
        def note(image: ImageFile.ImageFile) -> Any:
            formats.append(image.format or "")
            return load(image)

        return note

    for plugin in (
        ImageFile.ImageFile,
        AvifImagePlugin.AvifImageFile,
        TiffImagePlugin.TiffImageFile,
        WebPImagePlugin.WebPImageFile,
    ):
        monkeypatch.setattr(plugin, "load", noted(plugin.load))
    return formats
