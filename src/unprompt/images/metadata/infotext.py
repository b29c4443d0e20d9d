"""AUTOMATIC1111's text, the infotext: prompt, `Negative prompt: ...`, and a line `Steps: 20, Sampler: Euler a, ...`.

A value with commas is a JSON string, or, from some tools, JSON without quotes around it. SD.Next writes `Template: ...`
and `Negative template: ...` before the settings, the extension Dynamic Prompts after them. Sites turn the line breaks
into spaces, dots, commas or `<br>`; AnimateDiff escapes them. People and scripts put `Prompt:` before it all.
Source: modules/infotext_utils.py of AUTOMATIC1111/stable-diffusion-webui, modules/infotext.py of vladmandic/sdnext,
src/utils/metadata/automatic.metadata.ts of civitai/civitai.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from unprompt.images.metadata.composing import LONGEST_PROMPT, number

LONGEST_INFOTEXT = 4 * LONGEST_PROMPT
"""Characters. Settings that are JSON may be longer than the prompts."""

_NEGATIVE = "Negative prompt:"
_NEGATIVE_LABELS = re.compile(r"(?:Negative prompt:\s*)+", re.IGNORECASE)  # some tools write it twice
_LABEL = re.compile(r"(?:parameters:?\s*\n\s*)?(?:(?:positive )?prompt:\s*)?", re.IGNORECASE)
_TEMPLATE = re.compile(r"(?:Negative [Tt]emplate|Template):")
_AFTER_SETTINGS = re.compile(r"\n[ \t]{0,8}(?=(?:Negative [Tt]emplate|Template):)")
_STEPS = re.compile(r"[ \t]{0,8}Steps: ?\d")
_STEPS_INSIDE = re.compile(r"(?<=[\s.,;|])Steps: ?\d")
_NEGATIVE_INSIDE = re.compile(r"(?<=[\s.,;|])Negative prompt:", re.IGNORECASE)
_BREAKS = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]|<br ?/?>\n?", re.IGNORECASE)
_JOINTS = " .,;|"
_ESCAPED = re.compile(r"\\n(?=Negative prompt:|Steps: ?\d)")
_TRIES = 5  # places inside one line where the settings may begin
_KEY = re.compile(r"\s*([A-Za-z][\w \-/.]{0,60}):\s*")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_FEWEST_SETTINGS = 3  # a last line with fewer is part of the prompt, as in the web UI itself
_KNOWN = frozenset(
    {
        "Steps", "Sampler", "Schedule type", "Scheduler", "CFG scale", "CFG Scale", "Distilled CFG Scale", "Guidance",
        "Guidance Scale", "Guidance scale", "Seed", "Size", "Model", "Model hash", "Clip skip", "Denoising strength",
        "App", "Version", "RNG", "Pipeline", "Civitai resources", "Civitai metadata",
    }
)  # fmt: skip

Settings = dict[str, "int | float | str"]


@dataclass(frozen=True, slots=True)
class Infotext:
    """The parts of an infotext. `negative` is None if it is missing; templates are among the settings."""

    prompt: str
    negative: str | None = None
    settings: Settings = field(default_factory=dict)

    @property
    def states_settings(self) -> bool:
        """Whether the settings are those of a generator, not a sentence with colons."""
        return len(_KNOWN & self.settings.keys()) >= 2

    @property
    def is_proven(self) -> bool:
        """Whether it is an infotext and no other text."""
        return self.negative is not None or self.states_settings


def may_be(text: str) -> bool:
    """Whether a text can be an infotext; cheap, for texts that are mostly something else."""
    return len(text) <= LONGEST_INFOTEXT and ("Steps:" in text or _NEGATIVE in text)


def parse(text: str) -> Infotext:
    """Split an infotext into its parts; a text that is none becomes the prompt."""
    words, line, joined = _parted(_unescaped(_BREAKS.sub("\n", text).strip()))
    line, *templates = _AFTER_SETTINGS.split(line)
    found = settings(line)
    prompt, negative, before = _sections(words, found)
    for template in (*templates, *before):
        label, _, value = template.partition(":")
        if value.strip() not in ("", prompt, negative):
            found.setdefault(label.capitalize(), value.strip())
    if joined:  # the dots are the site's line breaks
        prompt, negative = prompt.rstrip(_JOINTS), negative and negative.rstrip(_JOINTS)
    if found and (label := _LABEL.match(prompt)):
        prompt = prompt[label.end() :]
    return Infotext(prompt, negative or None, found)


def settings(text: str) -> Settings:
    """Parse settings such as `Steps: 20, Lora hashes: "a: b, c: d"`; numbers become numbers, hashes stay texts."""
    found: Settings = {}
    position = 0
    balanced = True  # so far: a bracket that nothing closes is found by scanning to the end, once
    while position < len(text):
        key = _KEY.match(text, position)
        start = key.end() if key else position
        quoted = _QUOTED.match(text, start) if key else None  # fails by scanning to the end at most once
        close = quoted.end() if quoted else start
        if key and not quoted and text[start : start + 1] in ("{", "[") and balanced:
            close = _json_end(text, start)
            balanced = close > start
        end = text.find(",", close)
        end = len(text) if end < 0 else end
        if key:
            value = _unquoted(quoted[0]) if quoted else text[start:end].strip()
            found.setdefault(key[1].strip(), value if "hash" in key[1].lower() else number(value))
        position = end + 1
    return found


def _json_end(text: str, start: int) -> int:
    """The end of the JSON that begins here, or the start itself if its brackets are not balanced."""
    depth = 0
    for token in _JSON_TOKEN.finditer(text, start):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        if depth == 0:
            return token.end()
    return start


def _unquoted(text: str) -> str:
    try:
        return str(json.loads(text))
    except ValueError:
        return text.strip('"')


def _unescaped(text: str) -> str:
    """Give a text back its line breaks that are the two characters backslash and n; settings keep theirs."""
    marks = [] if "\n" in text else [mark.start() for mark in _ESCAPED.finditer(text)]
    if not marks:
        return text
    words = text[: marks[-1]].removesuffix("\\r").replace("\\r\\n", "\n").replace("\\n", "\n")
    return f"{words}\n{text[marks[-1] + 2 :]}"


def _parted(text: str) -> tuple[str, str, bool]:
    """Part the prompts from the settings; also whether both are on one line."""
    lines = text.split("\n")
    for index in range(len(lines) - 1, -1, -1):
        if _STEPS.match(lines[index]):
            return "\n".join(lines[:index]), "\n".join(lines[index:]), False
    first, last = _KEY.match(lines[-1]), settings(lines[-1])
    if len(last) >= _FEWEST_SETTINGS and len(_KNOWN & last.keys()) >= 2 and first and first[1] in _KNOWN:
        return "\n".join(lines[:-1]), lines[-1], False
    for mark in list(_STEPS_INSIDE.finditer(text))[: -_TRIES - 1 : -1]:
        if len(_KNOWN & settings(text[mark.start() :]).keys()) >= _FEWEST_SETTINGS:
            return text[: mark.start()], text[mark.start() :], True
    return text, "", False


def _sections(words: str, found: Settings) -> tuple[str, str | None, list[str]]:
    """Split into prompt, negative prompt (None if missing) and templates, each with its label."""
    sections: list[list[str]] = [[]]
    negative: list[str] | None = None
    for line in words.split("\n"):
        plain = line.lstrip()
        if negative is None and _is_negative(plain, found):
            negative = [plain]
            sections.append(negative)
        elif found and (negative is not None or "App" in found) and _TEMPLATE.match(plain):
            sections.append([plain])
        else:
            sections[-1].append(line)
    texts = ["\n".join(section).strip() for section in sections]
    prompt, templates = texts[0], [text for text in texts[1:] if not _is_negative(text, found)]
    unwanted = next((text for text in texts if _is_negative(text, found)), None) if negative else None
    mark = None if negative else _NEGATIVE_INSIDE.search(prompt)
    if mark and _is_negative(mark[0], found):
        prompt, unwanted = prompt[: mark.start()].strip(), prompt[mark.start() :]
    return prompt, unwanted and _NEGATIVE_LABELS.sub("", unwanted, count=1), templates


def _is_negative(text: str, found: Settings) -> bool:
    """Whether the negative prompt begins here; its label in other letters is a tool's only beside settings."""
    return text.startswith(_NEGATIVE) or (bool(found) and text[: len(_NEGATIVE)].lower() == _NEGATIVE.lower())
