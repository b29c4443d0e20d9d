"""Cleans a prompt as a tool wrote it: no control characters, weights or tags of models.

Every pass takes time linear in the length of the text, since prompts come from untrusted files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_REPLACEMENT = "\ufffd"
_SURROGATES = re.compile("[\ud800-\udfff]")
_ESCAPE_SEQUENCES = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?")
# C0 and C1 except white space, and the marks that change the direction of text: they could alter a terminal's line.
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")

_STRUCTURED = re.compile(r"""\[? ?\{ ?["'][^"']{1,100}["'] ?:|"[\w -]{1,60}" ?: ?["{[]""")
_MODEL_TAGS = re.compile(
    r"<(?:lora|lyco|locon|loha|hypernet|hypernetwork|embed|embedding|ti|wlr):[^<>]*>", re.IGNORECASE
)
_PROMPT_START = re.compile(r"<Prompt Start>\s*", re.IGNORECASE)
_EMBEDDINGS = re.compile(r"\bembedding:(?:\\[()\[\]]|[^\s,:()\[\]{}])+", re.IGNORECASE)
_WILDCARDS = re.compile(r"(?<!\w)__[\w/*.-]{1,80}?__(?!\w)")
_BREAK = re.compile(r"\bBREAK\b")
_AND = re.compile(r" AND(?:_PERP|_SALT|_TOPK)?(?= )")
_AND_WEIGHT = re.compile(r" ?: ?(-?\d{1,4}(?:\.\d{0,4})?)$")
_NOVELAI_WEIGHT = re.compile(r"(?<![\w.])-?(?:\d{1,4}(?:\.\d{0,4})?|\.\d{1,4})::")
_NOVELAI_MARK = re.compile(r"(?:(?<![\w.])(-?(?:\d{1,4}(?:\.\d{0,4})?|\.\d{1,4})))?::")
_CHOICE_COUNT = re.compile(r" ?[\d-]{0,7}\$\$(?:[^$|]{0,40}\$\$)?")
_INVOKEAI_WORD = re.compile(r"(?<=\w)(?:\+{2,}|-{2,})(?=[\s,.)\]]|$)")
_INVOKEAI_GROUP = re.compile(r"\++|-+(?=[\s,.)\]]|$)|\d{1,3}(?:\.\d{1,4})?(?![\w.])")
_WEIGHT = re.compile(r"\s*[+-]?(?:\d{1,6}(?:\.\d{0,6})?|\.\d{1,6})\s*")

_TOKENS = re.compile(r"\\[\\()\[\]{}]|[()\[\]{}:|]|[^\\()\[\]{}:|]+|\\")
_MARK = re.compile(r"[\\()\[\]{}:|]")
_CLOSERS = {")": "(", "]": "[", "}": "{"}
_NESTING_LIMIT = 64  # deeper brackets stay as they are, which keeps the joining of texts linear


def tidy(text: str) -> str:
    """Put a text on one line, without controls, terminal escapes and lone surrogates; white space becomes one space."""
    if not text.replace("\n", " ").replace("\r", " ").replace("\t", " ").isprintable():  # few are not
        text = _CONTROLS.sub("", _ESCAPE_SEQUENCES.sub("", mend(text)))
    return " ".join(text.split())


def mend(text: str) -> str:
    """Replace lone surrogates, so that the text can be written as UTF-8."""
    return text if text.isascii() else _SURROGATES.sub(_REPLACEMENT, text)


def without_opening(text: str) -> str:
    """A prompt without the line that Lumina's family wants in front: `You are an assistant ... <Prompt Start>`."""
    return _PROMPT_START.split(text)[-1] if "<" in text else text


def clean(raw: str) -> str:
    """Remove the marks from a prompt that control the sampler.

    Removed are model tags (`<lora:..>`), weights of AUTOMATIC1111 (`(word:1.2)`, `((word))`, `[word]`), of NovelAI
    (`{word}`, `1.2::word::`) and of InvokeAI (`(word)1.2`, `word++`), escapes of brackets, `BREAK`, embeddings and
    wildcards; and words whose weight is zero or less, since the picture was to lack them. `AND` becomes a comma. Prompt
    editing `[a:b:0.5]` becomes b, which applies until the end; alternation `[a|b]` and choice `{a|b}` become a. A
    prompt that is itself JSON stays as it is.
    """
    text = tidy(raw)
    if _STRUCTURED.match(text):
        return text
    # What most prompts lack is looked for first by a mark, which takes less time than an expression.
    if "<" in text:
        text = _MODEL_TAGS.sub(" ", text)
    if ":" in text:
        text = _EMBEDDINGS.sub(" ", text)
    if "__" in text:
        text = _WILDCARDS.sub(" ", text)
    if "BREAK" in text:
        text = _BREAK.sub(" ", text)
    if "AND" in text:
        text = _without_conjunctions(text)
    if "::" in text:
        text = "".join(part for part, weight in novelai_parts(text) if weight > 0)
    if _MARK.search(text):
        text = _without_brackets(text)
    if "++" in text or "--" in text:
        text = _INVOKEAI_WORD.sub("", text)
    return _close_gaps(text)


def novelai_parts(text: str) -> list[tuple[str, float]]:
    """Split at NovelAI's marks `1.5::words::` into texts and their weights: one of weight 1 if it has none."""
    if not _NOVELAI_WEIGHT.search(text):
        return [(text, 1.0)]
    parts, position, weight = [], 0, 1.0
    for mark in _NOVELAI_MARK.finditer(text):
        parts.append((text[position : mark.start()], weight))
        position, weight = mark.end(), float(mark[1] or 1)
    return [*parts, (text[position:], weight)]


def differs(raw: str, prompt: str) -> bool:
    """Whether cleaning removed more from the raw text than white space and commas."""
    return _letters(tidy(raw)) != _letters(prompt)


def _letters(text: str) -> str:
    return text.replace(" ", "").replace(",", "")


def _without_conjunctions(text: str) -> str:
    """Replace `a :1.2 AND b` by "a, b"; in "SALT AND PEPPER" it is a word."""
    parts, position = [], 0
    for mark in _AND.finditer(text):
        before, after = text[max(0, mark.start() - 40) : mark.start()], text[mark.end() : mark.end() + 40]
        if _is_shouted(before.split()[-1:]) and _is_shouted(after.split()[:1]):
            continue
        parts.append(text[position : mark.start()])
        position = mark.end()
    if not parts:
        return text
    return ",".join(_weighted(part) for part in (*parts, text[position:]))


def _is_shouted(words: list[str]) -> bool:
    return any(len(word) > 1 and word.isupper() for word in words)


def _weighted(text: str) -> str:
    """The text without the weight at its end, or nothing if that is not positive."""
    weight = _AND_WEIGHT.search(text, max(0, len(text) - 20))
    if weight is None:
        return text
    return text[: weight.start()] if float(weight[1]) > 0 else ""


def _close_gaps(text: str) -> str:
    text = " ".join(text.split())
    if ",," in text or " ," in text or ", ," in text:
        text = re.sub(r" ?,(?: ?,)*", ",", text)  # the text between commas may have been removed
    return text.strip(" ,")


@dataclass(slots=True)
class _Group:
    """An open bracket, or the whole text: its parts, and the separators `:` and `|` between them."""

    opener: str
    parts: list[list[str]] = field(default_factory=lambda: [[]])
    separators: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        self.parts[-1].append(text)

    def separate(self, separator: str) -> None:
        self.separators.append(separator)
        self.parts.append([])

    def text(self) -> str:
        """What the group contributes to the prompt without its brackets."""
        parts = ["".join(pieces) for pieces in self.parts]
        separators = self.separators
        if self.opener in ("[", "{") and "|" in separators:
            return _CHOICE_COUNT.sub("", _joined(parts, separators[: separators.index("|")]), count=1)
        if self.opener in ("(", "[") and separators[-1:] == [":"] and _WEIGHT.fullmatch(parts[-1]):
            if self.opener == "(" and float(parts[-1]) <= 0:
                return ""
            parts, separators = parts[:-1], separators[:-1]
            if self.opener == "[" and separators == [":"]:
                return parts[1] if parts[1].strip() else parts[0]
        return _joined(parts, separators)


def _joined(parts: list[str], separators: list[str]) -> str:
    """Join the first parts, one more than there are separators."""
    return parts[0] + "".join(mark + part for mark, part in zip(separators, parts[1:], strict=False))


def _without_brackets(text: str) -> str:
    stack = [_Group("")]
    opened = dict.fromkeys("([{", 0)
    position = 0
    while token := _TOKENS.match(text, position):
        mark, position = token[0], token.end()
        if mark in opened and len(stack) <= _NESTING_LIMIT:
            opened[mark] += 1
            stack.append(_Group(mark))
        elif mark in _CLOSERS and stack[-1].opener == _CLOSERS[mark]:
            opened[_CLOSERS[mark]] -= 1
            _close(stack)
            if mark == ")" and (weight := _INVOKEAI_GROUP.match(text, position)):
                position = weight.end()
        elif mark in _CLOSERS and opened[_CLOSERS[mark]]:
            continue  # closes a bracket outside one of another kind: both are marks, not words
        elif mark in ":|":
            stack[-1].separate(mark)
        else:
            stack[-1].add(mark[1:] if len(mark) == 2 and mark[0] == "\\" else mark)
    while len(stack) > 1:
        _close(stack)
    return stack[0].text()


def _close(stack: list[_Group]) -> None:
    group = stack.pop()
    stack[-1].add(group.text())
