"""Language models in a graph: what they were told, what the user said, and where a graph keeps what they answered.

An answer is made at run time. A graph has it only if a node keeps the text that it showed; otherwise the user's own
words are the nearest that the file has. What tells the model how to write is an instruction, never the prompt.
"""

from __future__ import annotations

from collections.abc import Mapping

from unprompt.images.metadata.comfyui.graph import Node, containing, link, matching

_REWRITER = containing(
    r"llm|ollama|chatgpt|openaichat|chatnode|gptnode|gpt4|claude|anthropic|gemini(?!.*image)|florence|caption|blip"
    r"|interrogat|tagger|qwen(?!.*(?:encode|image))|qwen.*vl|textgenerat|generatetext|prompt(?:enhanc|expan|rewrit|upsampl"
    r"|magic|gen(?!erator$)|optimi|refin|improv|engineer)|(?:enhanc|expan|rewrit|improv|upsampl)\w*prompt|superprompt"
    r"|llava|deepseek|mistral|groq|llama(?!index)|moondream|minicpm|internvl|smolvlm|joycaption|describeimage"
    r"|imagetotext|imagetoprompt|img2txt|image2prompt|translat|languagemodel|magicprompt|vlm|grokchat|perplexity|togetherai"
)
_NOT_A_REWRITER = containing(r"encode|loader|conditioning|embeds|wildcard|sampler|saveimage")
_SHOWS = containing(
    r"show|display|preview(?:any|text|as)|textpreview|viewtext|textview|debugprint|previewtext|stringpreview"
)
_SHOWN_INPUTS = matching(
    r"(?:text|string|value|output|result|preview(?:_?text|_?markdown)?|shown|displayed|anything|show_?text"
    r"|response|generated(?:_text)?|enhanced(?:_prompt)?|cached?(?:_text)?|last_(?:output|response|result))_?\d{0,3}"
)
_KEPT_INPUTS = matching(
    r"(?:response|generated(?:_text|_prompt)?|enhanced(?:_text|_prompt)?|llm_output|cached?_(?:text|output|response)"
    r"|last_(?:output|response|result)|result(?:_text)?|output_text|previous_output)"
)
_INSTRUCTION_INPUTS = matching(
    r"(?:.*_)?(?:system|instruct|instruction|role|persona|template|rules?|assistant|context)(?:_.*)?|system.*|instruct.*"
)
_USER_INPUTS = matching(
    r"(?:user_?)?(?:prompt|text|message|query|question|input|string|words|idea|description|subject|content)s?"
    r"(?:_?(?:text|prompt|input|string|user|message|a|b|c|\d))*|text_?input|input_?(?:text|prompt)|user|any|source|value"
)


def rewrites(node: Node) -> bool:
    """Whether a node that makes a text is a language model, a captioner or a translator."""
    return _REWRITER(node.name) and not _NOT_A_REWRITER(node.name)


def shows(node: Node) -> bool:
    """Whether a node shows a text, and may keep it."""
    return _SHOWS(node.name)


def kept(node: Node) -> str:
    """The text that the node keeps from a run, or an empty string."""
    holds = _SHOWN_INPUTS if shows(node) else _KEPT_INPUTS
    texts = (value for name, value in node.inputs.items() if isinstance(value, str) and holds(name))
    return next((text for text in texts if text.strip()), "")


def inputs_of(node: Node) -> tuple[list[str], list[str]]:
    """The names of the inputs that hold the user's words, and of those that instruct the model."""
    texts = [name for name, value in node.inputs.items() if isinstance(value, str) or link(value) is not None]
    instructions = [name for name in texts if _INSTRUCTION_INPUTS(name)]
    return [name for name in texts if name not in instructions and _USER_INPUTS(name)], instructions


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
