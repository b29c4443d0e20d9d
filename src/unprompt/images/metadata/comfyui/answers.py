"""Builds the answer for a graph: the words of the picture that was saved, and all that the graph says beside them.

A graph's answer is `computed`, a literal text as well, since the graph decides which text was used. It is `ambiguous`
if the file does not tell which of several texts it was, or does not hold all of it: a random choice, a text in another
file, the answer of a language model. `written` is only what a node that saves states as the prompt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from unprompt.images.metadata.comfyui import details, hosted
from unprompt.images.metadata.comfyui.conditioning import Conditionings, Passage, Words
from unprompt.images.metadata.comfyui.evaluating import Evaluation, unrepeated
from unprompt.images.metadata.comfyui.graph import Graph, Node
from unprompt.images.metadata.comfyui.passes import Passes
from unprompt.images.metadata.comfyui.values import Text, text_of
from unprompt.images.metadata.composing import compose
from unprompt.prediction import Certainty, Role, WrittenPrompt, WrittenText

TOOL = "ComfyUI"

_PICTURE_LIMIT = 20
_SAVED_LIMIT = 100
_PASS_LIMIT = 40
_SEPARATOR = ", "
_STATED = ("positive_prompt", "positive", "prompt", "positive_text")
_STATED_NEGATIVE = ("negative_prompt", "negative", "negative_text")
_REWRITTEN = "These words were given to a language model, whose answer is not in the file."
_DRAWN = "A part was chosen at random when the picture was made."
_PARTIAL = "Words from outside the file are missing."
_STYLED = "A style preset added words that are not in the file."


@dataclass(frozen=True, slots=True)
class _Picture:
    """What one saved picture was drawn from: the pass that has its words, and the other passes."""

    saved: Node
    drawn_by: Node
    words: Words
    negative: Words
    others: tuple[Passage, ...] = ()
    texts: tuple[Text, ...] = field(init=False)

    def __post_init__(self) -> None:
        texts = [item.text for item in self.words.passages if item.role in ("positive", "region")]
        object.__setattr__(self, "texts", tuple(unrepeated([text for text in texts if text.plain.strip()])))

    @property
    def prompt(self) -> str:
        return _joined(self.texts)


def answer(graph: Graph, shown: Mapping[str, str] | None = None) -> WrittenPrompt | None:
    """Answer for a graph, or None if no words reach a picture. `shown` are texts that nodes showed when it ran."""
    return _Reading(graph, shown).answer()


class _Reading:
    def __init__(self, graph: Graph, shown: Mapping[str, str] | None) -> None:
        self._evaluation = Evaluation(graph, shown)
        self._conditionings = Conditionings(self._evaluation)
        self._passes = Passes(self._evaluation)
        self._found: dict[tuple[str, Role], Words] = {}

    def answer(self) -> WrittenPrompt | None:
        pictures = list(self._pictures())
        answers = (self._answer([*pictures[index:], *pictures[:index]]) for index in range(len(pictures)))
        return next((found for found in answers if found is not None), None) or self._stated()

    def _answer(self, pictures: list[_Picture]) -> WrittenPrompt | None:
        """The answer for the first of these pictures; None if nothing is left of its words once they are cleaned."""
        picture = pictures[0]
        guesses = list(self._guesses(picture))
        candidates = [*(way for each in pictures for way in (each.prompt, *_ways(each))), *guesses]
        unlike = len({_cut(way) for way in candidates}) > 1
        doubtful = any(text.rewritten or text.drawn or text.partial for text in picture.texts)
        certainty: Certainty = "ambiguous" if unlike or doubtful or guesses else "computed"
        stops = self._passes.is_pass
        nodes = list(details.upstream(self._evaluation, picture.drawn_by, stops))
        is_hosted = not stops(picture.drawn_by)
        around = list(details.upstream(self._evaluation, picture.saved, stops)) if is_hosted else []
        found = compose(
            TOOL,
            _SEPARATOR.join(_cut(text.plain) for text in picture.texts),
            _negative(picture),
            details.settings(self._evaluation, [*nodes, *around], hosted=is_hosted),
            certainty=certainty,
            texts=self._texts(pictures),
            resources=details.resources([*nodes, *around]),
            candidates=[_cut(way) for way in candidates[1:]],
            note=_note(picture, nodes),
        )
        return found if found is None or not _frames(picture) else replace(found, raw=picture.prompt)

    def _pictures(self) -> Iterator[_Picture]:
        """The pictures that were saved and have words, each combination of words once."""
        for ends in (self._passes.saved, self._passes.last):
            found: dict[str, _Picture] = {}
            for node in ends()[:_SAVED_LIMIT]:
                if (picture := self._picture(node, self._passes.levels(node))) is not None:
                    found.setdefault(picture.prompt, picture)
            if found:
                yield from islice(found.values(), _PICTURE_LIMIT)
                return

    def _picture(self, saved: Node, levels: list[list[Node]]) -> _Picture | None:
        """The words of the pass that drew a picture first: the nearest that composes, else the farthest with words."""
        passes = [(depth, node) for depth, level in enumerate(levels) for node in level][:_PASS_LIMIT]
        speaking = [(depth, node) for depth, node in passes if _speaks(self._words(node, "positive"))]
        if not speaking:
            return None
        depth, drawn_by = self._composer(speaking)
        others = tuple(
            replace(passage, role=_role_of_other(passage.role, at, depth))
            for at, node in passes
            if node.key != drawn_by.key
            for side in ("positive", "negative")
            for passage in self._words(node, side).passages
        )
        return _Picture(saved, drawn_by, self._words(drawn_by, "positive"), self._words(drawn_by, "negative"), others)

    def _composer(self, speaking: list[tuple[int, Node]]) -> tuple[int, Node]:
        """The pass whose words are the picture's.

        Where several pictures with different words are put together, the words of the whole are those of the pass that
        goes over all of them.
        """
        composing = [(depth, node) for depth, node in speaking if self._passes.composes(node)]
        if not composing:
            return max(speaking, key=lambda entry: entry[0])
        depth, drawn_by = composing[0]
        said = {self._words(node, "positive") for at, node in composing if at == depth}
        over = [(at, node) for at, node in speaking if at < depth and not self._passes.refines(node)]
        return max(over, key=lambda entry: entry[0]) if len(said) > 1 and over else (depth, drawn_by)

    def _words(self, node: Node, side: Role) -> Words:
        place = (node.key, side)
        if place not in self._found:
            self._found[place] = self._words_of(node, side)
        return self._found[place]

    def _words_of(self, node: Node, side: Role) -> Words:
        if self._passes.is_pass(node):
            return self._conditionings.of_sampler(node, side)
        passages = hosted.words(self._evaluation, node)
        return Words(tuple(item for item in passages if (item.role == "negative") == (side == "negative")))

    def _texts(self, pictures: list[_Picture]) -> Iterator[WrittenText]:
        """All texts of the graph that reach a picture, the answer's first."""
        said: set[str] = set()
        for picture in pictures:
            for passage in (*picture.words.passages, *picture.negative.passages, *picture.others):
                words, frame = _framed(passage.text.plain)
                if frame.strip() and passage.role != "negative":
                    yield WrittenText(frame, "instruction", passage.node)
                if passage.role in ("refiner", "region") and words in said:
                    continue
                said.add(words)
                yield WrittenText(words, passage.role, passage.node, passage.weight)
        for piece in self._evaluation.instructions:
            yield WrittenText(piece.text, "instruction", piece.node)

    def _guesses(self, picture: _Picture) -> Iterator[str]:
        """All texts of the nodes that gave the words, where the names of their inputs are guessed."""
        labels = {piece.node for text in picture.texts for piece in text.pieces}
        labels |= {passage.node for passage in picture.words.passages}
        for node in self._evaluation.graph.nodes.values():
            if node.guessed and node.label in labels:
                yield from (value for value in node.inputs.values() if isinstance(value, str) and " " in value)

    def _stated(self) -> WrittenPrompt | None:
        """What a node that saves states as the prompt."""
        for node in self._passes.saved():
            texts = {name: self._evaluation.text(node, name).plain for name in (*_STATED, *_STATED_NEGATIVE)}
            prompt = next((texts[name] for name in _STATED if texts[name].strip()), "")
            negative = next((texts[name] for name in _STATED_NEGATIVE if texts[name].strip()), "")
            if (found := compose(TOOL, prompt, negative)) is not None:
                return found
        return None


def _speaks(words: Words) -> bool:
    return any(item.text.plain.strip() for item in words.passages if item.role in ("positive", "region"))


def _role_of_other(role: Role, at: int, depth: int) -> Role:
    if role != "positive":
        return role
    return "refiner" if at < depth else "region" if at == depth else "positive"


def _joined(texts: Iterable[Text]) -> str:
    return _SEPARATOR.join(text.plain.strip() for text in texts)


def _framed(text: str) -> tuple[str, str]:
    """A prompt without the frame that its model family wants, and that frame."""
    if "<" not in text and "[INST]" not in text:
        return text, ""
    from unprompt.images.metadata.comfyui.templates import without_template

    return without_template(text)


def _cut(text: str) -> str:
    return _framed(text)[0]


def _frames(picture: _Picture) -> bool:
    return any(_framed(text.plain)[1].strip() for text in picture.texts)


def _ways(picture: _Picture) -> Iterator[str]:
    """The other prompts that a picture could have."""
    for way in picture.words.ways:
        yield _joined(unrepeated([item.text for item in way if item.role != "style"]))
    for index, text in enumerate(picture.texts):
        for other in text.others:
            yield _joined((*picture.texts[:index], text_of(other), *picture.texts[index + 1 :]))


def _negative(picture: _Picture) -> str:
    texts = unrepeated([item.text for item in picture.negative.passages if item.text.plain.strip()])
    return _SEPARATOR.join(_cut(text.plain).strip() for text in texts)


def _note(picture: _Picture, nodes: Iterable[Node]) -> str:
    notes = (
        (_REWRITTEN, any(text.rewritten for text in picture.texts)),
        (_DRAWN, any(text.drawn for text in picture.texts)),
        (_PARTIAL, any(text.partial for text in picture.texts)),
        (_STYLED, any(map(_adds_style, nodes))),
    )
    return " ".join(note for note, applies in notes if applies)


def _adds_style(node: Node) -> bool:
    if not node.name.startswith(("sdxlpromptstyler", "easystylesselector")):
        return False
    style = str(node.inputs.get("select_styles", node.inputs.get("style", ""))).strip().lower()
    return style not in ("", "base", "none", "no style", "sai-base")
