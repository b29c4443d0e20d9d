"""Midjourney and its model Niji: a description with the words, switches such as `--ar 16:9`, and `Job ID: ...`.

PNG text `Description`; XMP `description`, the IPTC caption and EXIF `ImageDescription` in copies of it. Addresses in
front are image prompts, `::` parts the words and may weigh them, `--no` begins the negative prompt.
Source: downloads of the site, as described by Peter Kaminski ("How to use exiftool to retrieve the image prompt");
its documentation of parameters and of multi-prompts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from unprompt.images.metadata.composing import LONGEST_PROMPT, compose, number
from unprompt.images.metadata.fields import Fields
from unprompt.prediction import WrittenPrompt, WrittenText

_SWITCHES = frozenset(
    {
        "ar", "aspect", "bs", "c", "chaos", "creative", "cref", "cw", "draft", "end", "exp", "fast", "hd", "iw", "loop",
        "motion", "niji", "no", "oref", "ow", "p", "personalize", "profile", "q", "quality", "r", "raw", "relax",
        "repeat", "s", "sameseed", "seed", "sref", "stealth", "stop", "style", "stylize", "sv", "sw", "test", "testp",
        "tile", "turbo", "upbeta", "uplight", "v", "version", "video", "w", "weird",
    }
)  # fmt: skip
_SWITCH = re.compile(r"(?:^|(?<=\s))(?:--|\u2014|\u2013)([a-z]{1,20})(?=\s|$)")
_JOB = re.compile(r"\bJob ID:\s*([0-9a-fA-F-]{8,40})")
_ADDRESS = re.compile(r"\s*<?(https?://[^\s<>]{1,2000})>?(?=\s|$)")
_PART = re.compile(r"::(-?(?:\d{1,4}(?:\.\d{0,4})?|\.\d{1,4}))?")
_MARKS = frozenset({"v", "version", "niji", "ar", "aspect", "stylize", "s", "sref", "cref", "profile", "p"})
"""Switches by which a description is Midjourney's; some programs' options look like the others."""


def read(fields: Fields) -> WrittenPrompt | None:
    """Read the description, if a switch or a job's number shows whose it is."""
    answers = (_answer(text, fields) for text in _texts(fields) if _may_be(text))
    return next(filter(None, answers), None)


def _may_be(text: str) -> bool:
    has_mark = "Job ID:" in text or "--" in text or "\u2014" in text or "\u2013" in text
    return has_mark and len(text) <= LONGEST_PROMPT and not text.startswith("{")


def _texts(fields: Fields) -> Iterator[str]:
    yield from (fields.text[name] for name in ("Description", "Comment") if name in fields.text)
    yield from (fields.xmp[name] for name in ("description", "title") if name in fields.xmp)
    yield from fields.iptc.values()
    yield from (fields.exif[name] for name in ("ImageDescription", "UserComment", "XPComment") if name in fields.exif)


def _answer(text: str, fields: Fields) -> WrittenPrompt | None:
    job = _JOB.search(text)
    words, switches = _parted(text[: job.start()] if job else text)
    if not (job or _MARKS & switches.keys()):
        return None
    negative = switches.pop("no", None)
    words, addresses = _without_addresses(words)
    settings = switches | ({"Image prompts": " ".join(addresses)} if addresses else {})
    settings |= ({"Job ID": job[1]} if job else {}) | {
        key: fields.text[key] for key in ("Author",) if key in fields.text
    }
    parts = list(_weighed(words))
    texts = [WrittenText(part, "positive" if weight > 0 else "negative", "", abs(weight)) for part, weight in parts]
    prompt = ", ".join(part.strip(" ,") for part, weight in parts if weight > 0 and part.strip(" ,"))
    if len(texts) > 1:
        texts = [WrittenText(prompt, "positive"), WrittenText(str(negative or ""), "negative"), *texts]
    return compose("Midjourney", prompt, negative, settings, raw=text.strip(), texts=texts if len(texts) > 1 else ())


def _parted(text: str) -> tuple[str, dict[str, Any]]:
    """Part the words from the switches: each lasts until the next; one without a value is True."""
    marks = [mark for mark in _SWITCH.finditer(text) if mark[1] in _SWITCHES]
    switches: dict[str, Any] = {}
    for mark, end in zip(marks, [*(mark.start() for mark in marks[1:]), len(text)], strict=False):
        value = text[mark.end() : end].strip(" \n,") if mark[1] == "no" else text[mark.end() : end].strip()
        switches.setdefault(mark[1], number(value) if value else mark[1] != "no" or None)
    return text[: marks[0].start() if marks else len(text)].strip(), switches


def _without_addresses(words: str) -> tuple[str, list[str]]:
    """Take the addresses of image prompts off the front."""
    found, position = [], 0
    while address := _ADDRESS.match(words, position):
        found.append(address[1])
        position = address.end()
    return words[position:].strip(), found


def _weighed(words: str) -> Iterator[tuple[str, float]]:
    """Yield the parts of a multi-prompt `hot:: dog::2` with their weights."""
    position = 0
    for mark in _PART.finditer(words):
        yield words[position : mark.start()].strip(), float(mark[1] or 1)
        position = mark.end()
    yield words[position:].strip(), 1.0
