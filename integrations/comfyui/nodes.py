"""Nodes that turn a picture back into its prompt, and score a prompt for a picture.

Both answer in ComfyUI's own process, by the installed package, or ask a server (`unprompt serve`) if its address is
given. A batch of pictures gives a list of answers. Source of the contract: ComfyUI's documentation of custom nodes.
"""

from __future__ import annotations

import base64
import functools
import io
import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

TIMEOUT_S = 300
CATEGORY = "unprompt"


def pictures_of(image: Any) -> list[np.ndarray]:
    """The pictures (height, width, 3) uint8 of ComfyUI's tensor (batch, height, width, 3), float from 0 to 1."""
    array = np.asarray(image.detach().cpu().numpy() if hasattr(image, "detach") else image)
    if array.ndim != 4 or array.shape[3] not in (3, 4):
        raise ValueError(f"expected an IMAGE (batch, height, width, 3), found {array.shape}; connect an image")
    if array.shape[3] == 4:  # on white, as everywhere in unprompt
        array = array[..., :3] * array[..., 3:] + (1 - array[..., 3:])
    return list(np.round(np.clip(array, 0, 1) * 255).astype(np.uint8))


class Here:
    """Answers in this process."""

    def __init__(self, preset: str) -> None:
        import unprompt

        self._unprompter = unprompt.load(preset)

    def predict(self, pictures: Sequence[np.ndarray]) -> list[Mapping[str, Any]]:
        """The records of some pictures."""
        from unprompt.output.records import to_record

        return [to_record(answer) for answer in self._unprompter.predict(list(pictures))]

    def score(self, picture: np.ndarray, prompt: str) -> float:
        """The cosine of a prompt with a picture."""
        return self._unprompter.score(picture, [prompt])[0].similarity


class There:
    """Asks a server."""

    def __init__(self, server: str, key: str) -> None:
        self._server, self._key = server.rstrip("/"), key

    def predict(self, pictures: Sequence[np.ndarray]) -> list[Mapping[str, Any]]:
        """The records of some pictures."""
        found = self._ask("/v1/predict", {"images": [_encoded(picture) for picture in pictures]})
        records: list[Mapping[str, Any]] = found.get("results", [found])
        return records

    def score(self, picture: np.ndarray, prompt: str) -> float:
        """The cosine of a prompt with a picture."""
        found = self._ask("/v1/score", {"image": _encoded(picture), "prompts": [prompt]})
        return float(found["scores"][0]["similarity"])

    def _ask(self, path: str, value: Mapping[str, Any]) -> Mapping[str, Any]:
        if not self._server.startswith(("http://", "https://")):
            raise ValueError(f"expected a server such as http://127.0.0.1:7799, found {self._server!r}; leave it empty")
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self._key}"} if self._key else {})
        asked = urllib.request.Request(self._server + path, json.dumps(value).encode(), headers)
        try:
            with urllib.request.urlopen(asked, timeout=TIMEOUT_S) as response:
                found: Mapping[str, Any] = json.load(response)
                return found
        except urllib.error.HTTPError as error:
            with error:
                raise RuntimeError(f"unprompt's server answered {error.code}: {_message(error.read())}") from error
        except urllib.error.URLError as error:
            raise RuntimeError(f"expected unprompt's server at {self._server}, found: {error.reason}") from error


@functools.lru_cache(maxsize=2)
def answering(preset: str, server: str, key: str) -> Here | There:
    """What answers; models stay loaded between runs of a workflow."""
    return There(server, key) if server.strip() else Here(preset)


def _encoded(picture: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", compress_level=1)
    return base64.b64encode(file.getvalue()).decode("ascii")


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return "no message"


def _confidence(record: Mapping[str, Any]) -> float:
    if record["origin"] == "metadata":
        return 1.0
    return float(record.get("confidence", {}).get("estimate", 0.0))


_WAY = {
    "preset": ("STRING", {"default": "embedded", "tooltip": "The preset that answers in this process."}),
    "server": ("STRING", {"default": "", "tooltip": "http://127.0.0.1:7799 asks a server; empty: this process."}),
    "key": ("STRING", {"default": "", "tooltip": "The server's key, if it has any."}),
}


class UnpromptPicture:
    """A picture's prompt, negative prompt, how near the prompt comes to the vector, and how right that should be."""

    CATEGORY = CATEGORY
    FUNCTION = "predict"
    RETURN_TYPES = ("STRING", "STRING", "FLOAT", "FLOAT")
    RETURN_NAMES = ("prompt", "negative", "score", "confidence")
    OUTPUT_IS_LIST = (True, True, True, True)
    DESCRIPTION = (
        "Turns pictures back into prompts. The negative prompt is empty where none is known; the confidence is 1 for "
        "a prompt that is written in the file, and 0 where the preset has none."
    )

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        """What the node takes."""
        return {"required": {"image": ("IMAGE",)}, "optional": _WAY}

    def predict(
        self, image: Any, preset: str = "embedded", server: str = "", key: str = ""
    ) -> tuple[list[str], list[str], list[float], list[float]]:
        """An answer for each picture of the batch."""
        records = answering(preset, server, key).predict(pictures_of(image))
        for record in records:
            if "error" in record:
                raise RuntimeError(record["error"]["message"])
        return (
            [record["prompt"] for record in records],
            [record.get("negative_prompt", "") for record in records],
            [float(record.get("self_similarity", record.get("similarity")) or 0.0) for record in records],
            [_confidence(record) for record in records],
        )


class UnpromptScore:
    """How near a prompt comes to a picture."""

    CATEGORY = CATEGORY
    FUNCTION = "score"
    RETURN_TYPES = ("FLOAT",)
    RETURN_NAMES = ("score",)
    OUTPUT_IS_LIST = (True,)
    DESCRIPTION = "The cosine of a prompt with each picture."

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        """What the node takes."""
        prompt = ("STRING", {"multiline": True, "default": ""})
        return {"required": {"image": ("IMAGE",), "prompt": prompt}, "optional": _WAY}

    def score(
        self, image: Any, prompt: str, preset: str = "embedded", server: str = "", key: str = ""
    ) -> tuple[list[float]]:
        """A score for each picture of the batch."""
        way = answering(preset, server, key)
        return ([way.score(picture, prompt) for picture in pictures_of(image)],)


NODE_CLASS_MAPPINGS = {"UnpromptPicture": UnpromptPicture, "UnpromptScore": UnpromptScore}
NODE_DISPLAY_NAME_MAPPINGS = {"UnpromptPicture": "Unprompt", "UnpromptScore": "Unprompt score"}
