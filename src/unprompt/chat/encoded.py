"""A picture as a chat server takes it: a JPEG in a data URI."""

from __future__ import annotations

import base64
import io

from PIL import Image

from unprompt.images.preprocess import within_aspect
from unprompt.images.ref import Pixels

_QUALITY = 95


def data_uri(pixels: Pixels, side: int) -> str:
    """Encode (height, width, 3) uint8 RGB, reduced to `side` pixels at its longer side; it is never enlarged.

    Of a picture more than 64 times as long as wide only the middle is sent: servers refuse such shapes.
    """
    image = within_aspect(Image.fromarray(pixels))
    longer = max(image.size)
    if longer > side:
        size = (max(1, round(image.width * side / longer)), max(1, round(image.height * side / longer)))
        image = image.resize(size, Image.Resampling.BICUBIC)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_QUALITY, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")
