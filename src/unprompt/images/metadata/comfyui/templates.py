"""The frame that a model family wants around a prompt: the turns of a chat, the line in front of a Lumina's."""

from __future__ import annotations

import re

from unprompt.images.metadata.cleaning import without_opening

_ROLE_MARKS = re.compile(
    r"<\|im_start\|>user\s*|<start_of_turn>user\s*|<\|start_header_id\|>user<\|end_header_id\|>\s*|<\|user\|>\s*|\[INST\]\s*"
)
_TURN_ENDS = re.compile(r"<\|im_end\|>|<end_of_turn>|<\|eot_id\|>|<\|end\|>|\[/INST\]|<\|assistant\|>")
_MEDIA_MARKS = re.compile(
    r"<\|vision_start\|>|<\|vision_end\|>|<\|(?:image|video)_pad\|>|<image_soft_token>|Picture \d+: (?=<\|vision)"
)


def without_template(text: str) -> tuple[str, str]:
    """A prompt without the frame that its model family wants, and that frame: chat turns, Lumina's assistant line."""
    words = text
    if (turn := _last(_ROLE_MARKS, words)) is not None:
        words = _TURN_ENDS.split(words[turn:], maxsplit=1)[0]
    words = without_opening(_MEDIA_MARKS.sub("", words))
    frame = text[: text.find(words)] if words and words in text and words != text else ""
    return words, frame


def _last(mark: re.Pattern[str], text: str) -> int | None:
    end = None
    for found in mark.finditer(text):
        end = found.end()
    return end
