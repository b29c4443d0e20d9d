"""Names of services that write who made a picture, but seldom the prompt."""

from __future__ import annotations

import re
from collections.abc import Iterable

_MAKERS = (
    ("chatgpt", "ChatGPT"), ("gpt 4o", "ChatGPT"), ("gpt image", "ChatGPT"), ("dall", "DALL-E"), ("sora", "Sora"),
    ("openai", "OpenAI"), ("firefly", "Adobe Firefly"), ("gemini", "Gemini"), ("imagen", "Imagen"),
    ("nano banana", "Gemini"), ("veo", "Veo"), ("google", "Google AI"), ("bing", "Bing Image Creator"),
    ("designer", "Microsoft Designer"), ("copilot", "Microsoft Copilot"), ("microsoft", "Microsoft"),
    ("titan", "Amazon Titan"), ("nova", "Amazon Nova"), ("amazon", "Amazon"), ("aws", "Amazon"),
    ("midjourney", "Midjourney"), ("stability", "Stability AI"), ("flux", "FLUX"),
    ("black forest labs", "FLUX"), ("ideogram", "Ideogram"), ("leonardo", "Leonardo.Ai"), ("recraft", "Recraft"),
    ("grok", "Grok"), ("meta ai", "Meta AI"), ("runway", "Runway"), ("canva", "Canva"),
    ("photoshop", "Adobe Photoshop"), ("lightroom", "Adobe Lightroom"),
)  # fmt: skip
"""Words in the name of a generator, an agent or a credit, in lower case, and the maker; in this order."""

_GENERATED = frozenset(
    {"trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "compositeSynthetic", "algorithmicMedia"}
)

NAMES = frozenset(name for _, name in _MAKERS)

_NAME_LIMIT_CHARS = 300
_NO_WORD = re.compile("[^a-z0-9]+")


def name_of(texts: Iterable[str]) -> str | None:
    """The maker that the first of these texts names, if any; of one text, the most particular."""
    for text in texts:
        words = f" {_NO_WORD.sub(' ', text[:_NAME_LIMIT_CHARS].lower())} "
        for mark, name in _MAKERS:
            if f" {mark} " in words:
                return name
    return None


def last_word(source: str) -> str:
    """A term of a vocabulary without its address: .../digitalsourcetype/trainedAlgorithmicMedia."""
    return source.rstrip("/").rpartition("/")[2].rpartition(":")[2]


def is_generated(source: object) -> bool:
    """Whether a digital source type of IPTC says that a model made the picture, or a part of it."""
    return isinstance(source, str) and last_word(source) in _GENERATED
