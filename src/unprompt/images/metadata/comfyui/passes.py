"""From what was saved back to what drew it: samplers, and the nodes of hosted models, nearest first.

A picture is drawn in passes: a sampler draws, another refines. The first pass has the words of the picture, unless a
later one draws nearly all of it anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from unprompt.images.metadata.comfyui import choices, outputs
from unprompt.images.metadata.comfyui.evaluating import NOT_TEXT_INPUT, Evaluation
from unprompt.images.metadata.comfyui.graph import Node, containing, link, matching, own_name
from unprompt.images.metadata.comfyui.values import as_number

ANEW = 0.8
"""The denoising strength from which a pass draws the picture anew, so that its own words are the picture's."""

_STEP_LIMIT = 20_000
_SAVED_LIMIT = 200
_LEVEL_LIMIT = 10

_SAVES = containing(
    r"save|saver|videocombine|imageoutput|writeimage|exportimage|imageexport|sendimage|imagesend|outputimage|imagetofile|uploadimage"
    r"|imageupload|finaloutput|websocket|deploy(?:output|image)|imagewrite|^output$"
)
_NOT_SAVES = containing(
    r"savetext|textsave|savelatent|savemodel|modelsave|checkpointsave|lorasave|savelora|savestring|saveaudio"
    r"|clipsave|vaesave|saveprompt|savejson|saveglb|savesvg|savecond|saveembed|extract"
)
_PREVIEWS = containing(r"preview|imagecompar|viewimage|showimage|displayimage|imageviewer|compareimage")

_PICTURE_INPUT = matching(
    r"(?:.*_)?(?:images?|img|pixels?|latents?|samples?|video|videos|frames?|pictures?|photos?|destination|source|background"
    r"|foreground|image_pass|av_latent|video_latent)(?:_?(?:\d|[a-h]|in|opt|to|from|image|images|latent|pass|batch|list))*"
)
_NOT_PICTURE_INPUT = matching(
    r".*(?:reference|control|style|clip_vision|ip_?adapter|mask|depth|pose|canny|noise|embeds|sampler|guide|hint|conditioning"
    r"|model|(?:samples|frames|images?|video)_(?:per|count|rate|name|size|type|format|quality|length|width|height)).*"
)
_NOT_FOLLOWED = matching(
    r"(?:.*_)?(?:model|clip|vae|positive|negative|cond\w*|text|prompt|string|mask|control_?net|noise|sigmas|sampler|seed|width"
    r"|height|unet|lora\w*|bbox_detector|sam_model\w*|segm_detector\w*|upscale_model|style_model|audio|guider|steps|cfg"
    r"|text_embeds|hyvid_embeds|kolors_embeds|filename\w*|caption)$"
)
_ENTRANCE = matching(
    r"(?:base_|cond_|optional_)?positive(?:_?(?:cond\w*|\d|prompt_embeds|embeds))?|pos|conditionings?|guider|cond_?1?|(?:.*_)?text_embeds"
    r"|hyvid_embeds|kolors_embeds|prompt_embeds|conditioning_positive|base_sampler|upscaler"
)
_DRAWING_INPUTS = {
    *(
        "seed",
        "noise_seed",
        "steps",
        "cfg",
        "sampler_name",
        "sampler",
        "sigmas",
        "guider",
        "denoise",
        "noise",
        "base_sampler",
    ),
    *("upscaler", "num_inference_steps", "guidance_scale", "start_at_step", "base_steps"),
}
_DRAWS = containing(r"sampler|detailer|ultimatesdupscale")
_PREPARES = containing(
    r"^(?:easy|ttn)?(?:context|pipe(?:in|out|edit|loader))|dynamiccontext|guider|presampling|provider|ksamplerselect|samplerconfig"
    r"|samplersettings|scheduler|loader|hook|^topipe|pipein"
    r"|encode|schedule|conditioning|scriptnode|script$"
)
_REFINES = containing(
    r"detailer|upscal|refin|enhanc|restor|segs|lipsync|interpolat|superres|relight|facefix|topaz|magnific"
)
_NOT_GENERATING = containing(
    r"overlay|drawtext|addtext|caption|watermark|saveimage|save|loadimage|load|textimage|imagetext|preview|segment|sam\b|detect"
    r"|clipseg|groundingdino|clipinterrog|tagger|describe|analy|metadata|reader|encode|annotate|stamp|label|font"
)
_PROMPT_INPUT = matching(r"(?:.*_)?prompts?(?:_?(?:text|\d|input|string))?|.*prompt_(?:g|l|pos|positive)")
_TEXT_INPUT = matching(r"text|description|caption|user_input|query|input_text|instruction")
_GENERATING = containing(
    r"(?:text|txt)\w*(?:to|2)\w*(?:image|img|video|picture)|t2i|t2v|generat|dalle|imagen|flux|midjourney|ideogram|recraft|seedream"
    r"|nanobanana|gptimage|kling|runway|luma|veo|sora|hailuo|minimax|pixverse|stab|replicate|fal|api"
)


class Passes:
    """The passes of one graph."""

    def __init__(self, evaluation: Evaluation) -> None:
        self._evaluation = evaluation
        self._graph = evaluation.graph
        self._steps = 0
        self._kinds: dict[str, tuple[bool, bool]] = {}
        self._names: dict[tuple[str, int], list[str]] = {}

    def saved(self) -> list[Node]:
        """The nodes that save a picture, else those that show one, else those whose outputs nothing reads."""
        nodes = self._graph.nodes.values()
        kinds = ([node for node in nodes if self._saves(node)], [node for node in nodes if self._previews(node)])
        found = next(filter(None, kinds), None) or self._ends()
        return found[:_SAVED_LIMIT]

    def levels(self, saved: Node) -> list[list[Node]]:
        """The passes that drew a saved picture: those that it comes from, those that these come from, and so on."""
        level = [saved] if self.is_pass(saved) or self.generates(saved) else self._nearest([saved])
        found: list[list[Node]] = []
        known: set[str] = set()
        while level and len(found) < _LEVEL_LIMIT:
            known.update(node.key for node in level)
            found.append(level)
            level = [node for node in self._nearest(level) if node.key not in known]
        return found

    def last(self) -> list[Node]:
        """The passes of the graph from which no other pass goes on: what is left if nothing was saved of one."""
        nodes = self._graph.nodes.values()
        passes = [node for node in nodes if self.is_pass(node)] or [node for node in nodes if self.generates(node)]
        before = {node.key for later in passes[:_SAVED_LIMIT] for node in self._nearest([later]) if node is not later}
        return [node for node in passes if node.key not in before][:_SAVED_LIMIT] or passes[:1]

    def composes(self, node: Node) -> bool:
        """Whether a pass draws a picture of its own, though it may start from another's."""
        if self.refines(node):
            return False
        if not self.is_pass(node):
            return True
        strength = self._strength(node)
        return strength is not None and strength >= ANEW

    def refines(self, node: Node) -> bool:
        """Whether a pass works over a picture by its kind: an upscaler, a detailer."""
        return _REFINES(node.name)

    def is_pass(self, node: Node) -> bool:
        """Whether a node is a sampler: words come in, and it has what steers sampling."""
        return self._kind(node)[0]

    def generates(self, node: Node) -> bool:
        """Whether a node makes pictures out of texts on its own, as those of hosted models do."""
        return self._kind(node)[1]

    def _kind(self, node: Node) -> tuple[bool, bool]:
        if node.key not in self._kinds:
            self._kinds[node.key] = self._samples(node), self._makes(node)
        return self._kinds[node.key]

    def _samples(self, node: Node) -> bool:
        if _PREPARES(node.name):
            return False
        draws = _DRAWS(node.name)
        if any(_ENTRANCE(name) for name, _ in node.links):
            return draws or bool(_DRAWING_INPUTS & node.inputs.keys())
        return draws and any(outputs.is_bundle(name) for name, _ in node.links)

    def _makes(self, node: Node) -> bool:
        if _NOT_GENERATING(node.name) or (_PREPARES(node.name) and "prompt" not in node.name):
            return False
        names = {name: own for name in node.inputs if not NOT_TEXT_INPUT(own := own_name(name))}
        if any(_PROMPT_INPUT(own) and self._may_hold_words(node.inputs[name]) for name, own in names.items()):
            return True
        if isinstance(node.inputs.get("positive"), str):
            return True
        if not node.guessed and not _GENERATING(node.name):
            return False
        return any(_TEXT_INPUT(own) and self._may_hold_words(node.inputs[name]) for name, own in names.items())

    def _may_hold_words(self, value: Any) -> bool:
        return (isinstance(value, str) and bool(value.strip())) or self._graph.source(value) is not None

    def _saves(self, node: Node) -> bool:
        if "save" in str(node.inputs.get("image_output", ""))[:40].lower():
            return True
        named = _SAVES(node.name) and not _NOT_SAVES(node.name)
        return named and any(self._is_picture(name) for name, _ in node.links)

    def _previews(self, node: Node) -> bool:
        if "image_output" in node.inputs or (node.name.endswith("efficient") and "sampler" in node.name):
            return True
        return _PREVIEWS(node.name) and any(self._is_picture(name) for name, _ in node.links)

    def _ends(self) -> list[Node]:
        read = {target[0] for node in self._graph.nodes.values() for _, target in node.links}
        return [node for node in self._graph.nodes.values() if node.key not in read and any(node.links)]

    def _nearest(self, starts: Iterable[Node]) -> list[Node]:
        """The passes upstream of these nodes through pictures, with no other pass between."""
        found: dict[str, Node] = {}
        seen: set[str] = set()
        stack = [entry for node in starts for entry in self._upstream(node, -1)][::-1]
        while stack and self._steps < _STEP_LIMIT:
            self._steps += 1
            node, output = stack.pop()
            if node.key in seen:
                continue
            seen.add(node.key)
            if self.is_pass(node) or self.generates(node):
                found.setdefault(node.key, node)
            else:
                stack.extend([*self._upstream(node, output)][::-1])
        return list(found.values())

    def _upstream(self, node: Node, output: int) -> Iterator[tuple[Node, int]]:
        for name in self._picture_names(node, output):
            if (source := self._graph.source(node.inputs.get(name))) is not None:
                yield source

    def _picture_names(self, node: Node, output: int) -> list[str]:
        place = (node.key, output)
        if place not in self._names:
            self._names[place] = self._found_names(node, output)
        return self._names[place]

    def _found_names(self, node: Node, output: int) -> list[str]:
        if (choice := choices.choose(self._evaluation, node, output)) is not None:
            return list(choice.names)
        named = outputs.output_name(node, output) if output >= 0 else ""
        if named in ("image", "images", "latent") and link(node.inputs.get(named)) is not None:
            return [named]
        names = [name for name, _ in node.links]
        pictures = [name for name in names if self._is_picture(name)]
        bundles = [name for name in names if outputs.is_bundle(name) and name not in pictures]
        if pictures or self.is_pass(node):
            return pictures + bundles
        return bundles or [name for name in names if not _NOT_FOLLOWED(name)]

    def _is_picture(self, name: str) -> bool:
        return _PICTURE_INPUT(name) and not _NOT_PICTURE_INPUT(name)

    def _strength(self, node: Node) -> float | None:
        """How much of the picture a pass draws anew, 0 to 1; None if the graph does not tell."""
        if self._noiseless(node):
            return 0.0
        begin, steps = self._number(node, "start_at_step"), self._number(node, "steps")
        if begin and steps:
            return max(0.0, 1 - begin / steps)
        if begin == 0 and steps:
            return 1.0
        for holder in (node, *self._settings(node)):
            if (strength := self._number(holder, "denoise")) is not None:
                return strength
        return None

    def _noiseless(self, node: Node) -> bool:
        if node.inputs.get("add_noise") in ("disable", False):
            return True
        noise, sigmas = (self._graph.source(node.inputs.get(name)) for name in ("noise", "sigmas"))
        if noise is not None and "disablenoise" in noise[0].name:
            return True
        return sigmas is not None and "split" in sigmas[0].name and sigmas[1] == 1

    def _settings(self, node: Node) -> Iterator[Node]:
        """The nodes that hold a sampler's settings: its scheduler, and what a bundle went through."""
        queue = [node]
        for _ in range(20):
            if not queue:
                return
            holder = queue.pop(0)
            for name, target in holder.links:
                source = self._graph.nodes.get(target[0]) if name == "sigmas" or outputs.is_bundle(name) else None
                if source is not None and not self.is_pass(source):
                    yield source
                    queue.append(source)

    def _number(self, node: Node, name: str) -> float | None:
        return as_number(self._evaluation.input(node, name)) if name in node.inputs else None
