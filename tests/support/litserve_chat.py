"""LitServe with OpenAI's dialect, which reads each question by its own schema: python litserve_chat.py PORT."""

import base64
import io
import sys
from collections.abc import Iterator
from typing import Any

import litserve
from PIL import Image


class Sizes(litserve.LitAPI):
    """Says how large the picture of a question is, and what was asked."""

    def setup(self, device: str) -> None:
        """Nothing to set up."""

    def predict(self, request: Any) -> Iterator[str]:
        """The answer, in two pieces."""
        picture, asked = request.messages[-1].content
        encoded = picture.image_url.url.partition(";base64,")[2]
        with Image.open(io.BytesIO(base64.b64decode(encoded))) as image:
            yield f"a picture of {image.width} by {image.height} pixels"
        yield f", asked in {len(asked.text)} letters"


if __name__ == "__main__":
    api = Sizes(spec=litserve.OpenAISpec())
    litserve.LitServer(api, accelerator="cpu").run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False)
