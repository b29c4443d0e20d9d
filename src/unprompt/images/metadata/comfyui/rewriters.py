"""Language models in a graph: what they were told, what the user said, and where a graph keeps what they answered.

An answer is made at run time. A graph has it only if a node keeps the text that it showed; otherwise the user's own
words are the nearest that the file has. What tells the model how to write is an instruction, never the prompt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from unprompt.images.metadata.comfyui.graph import Node, containing, link
from unprompt.images.metadata.comfyui.values import Piece, Text

_REWRITER = containing(
    r"llm|ollama|chatgpt|openaichat|chatnode|gptnode|gpt4|claude|anthropic|gemini(?!.*image)|florence|caption|blip"
    r"|interrogat|tagger|qwen(?!.*(?:encode|image))|qwen.*vl|textgenerat|generatetext|prompt(?:enhanc|expan|rewrit|upsampl"
    r"|magic|gen(?!erator$)|optimi|refin|improv|engineer)|(?:enhanc|expan|rewrit|improv|upsampl)\w*prompt|superprompt"
    r"|llava|deepseek|mistral|groq|llama(?!index)|moondream|minicpm|internvl|smolvlm|joycaption|describeimage"
    r"|imagetotext|imagetoprompt|img2txt|image2prompt|translat|languagemodel|vlm|grokchat|perplexity|togetherai"
)
_NOT_A_REWRITER = containing(r"encode|loader|conditioning|embeds|wildcard|sampler|saveimage")
_SHOWS = containing(
    r"show|display|preview(?:any|text|as)|textpreview|viewtext|textview|debugprint|previewtext|stringpreview"
)
_SHOWN_INPUTS = re.compile(
    r"(?:text|string|value|output|result|preview(?:_?text|_?markdown)?|shown|displayed|anything|show_?text"
    r"|response|generated(?:_text)?|enhanced(?:_prompt)?|cached?(?:_text)?|last_(?:output|response|result))_?\d{0,3}"
)
_KEPT_INPUTS = re.compile(
    r"(?:response|generated(?:_text|_prompt)?|enhanced(?:_text|_prompt)?|llm_output|cached?_(?:text|output|response)"
    r"|last_(?:output|response|result)|result(?:_text)?|output_text|previous_output)"
)
_INSTRUCTION_INPUTS = re.compile(
    r"(?:.*_)?(?:system|instruct|instruction|role|persona|template|rules?|assistant|context)(?:_.*)?|system.*|instruct.*",
    re.IGNORECASE,
)
_USER_INPUTS = re.compile(
    r"(?:user_?)?(?:prompt|text|message|query|question|input|string|words|idea|description|subject|content)s?"
    r"(?:_?(?:text|prompt|input|string|user|message|a|b|c|\d))*|text_?input|input_?(?:text|prompt)|user|any|source|value",
    re.IGNORECASE,
)
_INSTRUCTS = re.compile(
    r"\W*(?:you are|you're|you will|you must|act as|as an? (?:expert|professional|ai|assistant)"
    r"|your (?:task|job|role|goal)"
    r"|system\s*:|instructions?\s*:|role\s*:|task\s*:|rewrite|rephrase|expand|enhance|improve|translate|convert|analy[sz]e"
    r"|summari[sz]e|describe (?:this|the|what|in detail)|(?:write|generate|create|give me|provide|produce) "
    r"(?:an? |the |one )?(?:\w+ ){0,3}?(?:prompt|description|caption|paragraph)"
    r"|given (?:the|a|an|this)|based on (?:the|this)"
    r"|please (?:write|rewrite|describe|expand|generate|create)|respond |answer |return only|output only|do not |don't "
    r"|follow these|use the following|i want you to|can you|take the following)",
    re.IGNORECASE,
)
_USER_MARK = re.compile(
    r"(?:user(?:'s|s)?|raw|original|my|the|input|initial|base|short)?[ _]{0,3}(?:raw )?"
    r"(?:input|prompt|words|request|text|idea|description|query)(?: prompt)?(?: is)?\s{0,3}[:\uff1a]",
    re.IGNORECASE,
)
_ROLE_MARKS = re.compile(
    r"<\|im_start\|>user\s*|<start_of_turn>user\s*|<\|start_header_id\|>user<\|end_header_id\|>\s*|<\|user\|>\s*|\[INST\]\s*"
)
_TURN_ENDS = re.compile(r"<\|im_end\|>|<end_of_turn>|<\|eot_id\|>|<\|end\|>|\[/INST\]|<\|assistant\|>")
_MEDIA_MARKS = re.compile(
    r"<\|vision_start\|>|<\|vision_end\|>|<\|(?:image|video)_pad\|>|<image_soft_token>|Picture \d+: (?=<\|vision)"
)
_PROMPT_START = re.compile(r"<Prompt Start>\s*", re.IGNORECASE)
_MARK_LIMIT_CHARS = 20_000


def rewrites(node: Node) -> bool:
    """Whether a node that makes a text is a language model, a captioner or a translator."""
    return _REWRITER(node.name) and not _NOT_A_REWRITER(node.name)


def shows(node: Node) -> bool:
    """Whether a node shows a text, and may keep it."""
    return _SHOWS(node.name)


def kept(node: Node) -> str:
    """The text that the node keeps from a run, or an empty string."""
    names = _SHOWN_INPUTS if shows(node) else _KEPT_INPUTS
    texts = (value for name, value in node.inputs.items() if isinstance(value, str) and names.fullmatch(name))
    return next((text for text in texts if text.strip()), "")


def inputs_of(node: Node) -> tuple[list[str], list[str]]:
    """The names of the inputs that hold the user's words, and of those that instruct the model."""
    texts = [name for name, value in node.inputs.items() if isinstance(value, str) or link(value) is not None]
    instructions = [name for name in texts if _INSTRUCTION_INPUTS.fullmatch(name)]
    return [name for name in texts if name not in instructions and _USER_INPUTS.fullmatch(name)], instructions


def separate(text: Text) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """The user's own words, and what instructs the model, of a text that it got."""
    users: list[Piece] = []
    instructions: list[Piece] = []
    for piece in text.pieces:
        for words, instructing in _parts(piece.text, piece.title):
            (instructions if instructing else users).append(Piece(words, piece.node))
    return tuple(users), tuple(instructions)


def _parts(text: str, title: str) -> Iterator[tuple[str, bool]]:
    """The parts of one piece, and whether each instructs."""
    if not (_INSTRUCTS.match(text) or re.search(r"system|instruct", title, re.IGNORECASE)):
        yield text, False
        return
    marks = list(_USER_MARK.finditer(text[-_MARK_LIMIT_CHARS:]))
    end = max(0, len(text) - _MARK_LIMIT_CHARS) + marks[-1].end() if marks else len(text)
    yield text[:end], True
    if text[end:].strip():
        yield text[end:], False


def without_template(text: str) -> tuple[str, str]:
    """A prompt without the frame that its model family wants, and that frame: chat turns, Lumina's assistant line."""
    words = text
    if (turn := _last(_ROLE_MARKS, words)) is not None:
        words = _TURN_ENDS.split(words[turn:], maxsplit=1)[0]
    words = _MEDIA_MARKS.sub("", words)
    if (start := _last(_PROMPT_START, words)) is not None:
        words = words[start:]
    frame = text[: text.find(words)] if words and words in text and words != text else ""
    return words, frame


def _last(mark: re.Pattern[str], text: str) -> int | None:
    end = None
    for found in mark.finditer(text):
        end = found.end()
    return end


def shown_in(workflow: Mapping[str, object]) -> Mapping[str, str]:
    """The texts that nodes of a workflow show, by the node's id: a node that shows writes them there when it runs."""
    nodes = workflow.get("nodes")
    found: dict[str, str] = {}
    for entry in nodes if isinstance(nodes, list) else ():
        if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
            continue
        node = Node(str(entry.get("id")), entry["type"], {})
        if shows(node) and (text := _first_text(entry.get("widgets_values"))):
            found[node.key] = text
    return found


def _first_text(value: object, depth: int = 0) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and depth < 3:
        return next((text for item in value[:20] if (text := _first_text(item, depth + 1)).strip()), "")
    return ""
