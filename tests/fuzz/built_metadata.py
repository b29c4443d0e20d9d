"""Texts that tools might have written and strangers have bent, in any of the containers that the readers open."""

from __future__ import annotations

import functools
import gzip
import json
import struct
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

from fuzz import seeds
from fuzz.mutations import LARGEST_BYTES
from layouts import (
    chunk,
    chunk_riff,
    directory,
    draw_things_xmp,
    itext,
    jpeg,
    jpeg_exif,
    lossless_webp,
    png,
    stealth,
    user_comment,
    webp_exif,
    ztext,
)

from unprompt.images.metadata.comfyui import numbers, strings

KEYWORDS = (
    "parameters", "prompt", "Comment", "invokeai_metadata", "sd-metadata", "Dream", "dream", "Software",
    "Description", "Source", "postprocessing", "fooocus_scheme", "workflow", "negative_prompt",
    "use_stable_diffusion_model", "Prompt", "XML:com.adobe.xmp", "generation_data", "parameters-json", "seed",
    "sd:prompt",
)  # fmt: skip
_KEYS = (
    "prompt", "negative_prompt", "uc", "c", "v2", "seed", "steps", "scale", "sui_image_params", "negativeprompt",
    "positive_prompt", "model", "name", "image", "v4_prompt", "v4_negative_prompt", "caption", "base_caption",
    "char_captions", "char_caption", "Comment", "Software", "Description", "Prompt", "Negative", "full_prompt",
    "base_model", "real_prompt", "software", "version", "class_type", "inputs", "positive", "negative", "text",
    "guider", "conditioning", "pipe", "delimiter", "populated_text", "string_a", "noise_seed", "model_weights", "3",
    "4", "5", "6", "extraMetadata", "negativePrompt", "baseModel", "models", "resources", "loras", "lora", "weight",
    "hash", "guidance_scale", "num_inference_steps", "use_upscaler", "mflux_version", "lora_paths", "lora_scales",
    "positive_style_prompt", "canvas_v2_metadata", "regionalGuidance", "positivePrompt", "sui_models", "loraweights",
    "use_lora_model", "lora_alpha",
)  # fmt: skip
_INPUTS = (
    "positive", "negative", "text", "guider", "conditioning", "model", "latent_image", "string_a", "string_b", "seed",
    "steps", "pipe", "populated_text", "delimiter", "prompt", "images", "samples", "denoise", "string", "find",
    "replace", "regex_pattern", "start", "end", "mode", "select", "index", "input1", "input2", "switch", "on_true",
    "on_false", "any_01", "text_a", "text_b", "text1", "value", "a", "b", "operation", "basic_pipe", "conditioning_1",
    "conditioning_to", "conditioning_from", "strings", "multiline_text", "text_data_opt", "zipped_prompt",
    "system_prompt", "text_embeds", "text_0", "f_string", "truncate_to", "inputcount", "count", "image", "ctx_01",
    "noise", "sigmas", "lora_1",
)  # fmt: skip
_NODE_KINDS = (
    "KSampler", "CLIPTextEncode", "StringConcat", "ConditioningZeroOut", "Reroute", "SamplerCustomAdvanced",
    "SaveImage", "PreviewImage", "VAEDecode", "ConditioningCombine", "ConditioningAverage", "ConditioningSetArea",
    "CFGGuider", "ControlNetApplyAdvanced", "ImpactSwitch", "ComfySwitchNode", "Any Switch (rgthree)",
    "ImpactInversedSwitch", "Context Switch (rgthree)", "EditBasicPipe", "FromBasicPipe", "ToBasicPipe",
    "Efficient Loader", "easy kSampler", "ShowText|pysssss", "TextGenerate", "OllamaGenerate", "GeminiImageNode",
    "My Text to Image", "WanVideoTextEncode", "WanVideoSampler", "SDXLPromptStyler", "Load Text File",
    "DPRandomGenerator", "Power Lora Loader (rgthree)", "KSamplerAdvanced", "LatentComposite", "FaceDetailer",
    "Text Add Token by Input", *strings.RULES, *numbers.RULES,
)  # fmt: skip
_PATTERNS = (
    "(a+)+b", "a*a*a*b", r"\s*,\s*", "[", "(?i)fox", "fox(?i)", "[^[a]", "[a--b]", r"\1", r"\g<1>", r"\g<\u0663>",
    "(?P<a>f)ox", "x" * 400, ".*", "{a|b}", "__animal__", "<Prompt Start>", "<|im_start|>user\n",
    "You are a fox. User's input: ", "[hair]",
)  # fmt: skip
_TAGS = (0x010E, 0x010F, 0x0110, 0x0131, 0x927C, 0x9286, 0x9C9B, 0x8769)
_WORDS = (
    "a fox", "(", ")", "((", "[", "]", "{", "}", ":", "|", "::", "1.2", ":1.2)", "<lora:x:1>", "<lora:", "BREAK", "AND",
    "__wild__", "__", "embedding:x", "\\(", "\\", "++", "--", "1.3::", "\n", "\r\n", ",", ", ", '"', "\\\"", "'", "\t",
    "Negative prompt:", "\nNegative prompt: ", "\nSteps: 20, ", "Seed: 1, ", 'Hashes: "a: b", ', "Version: f2.0, ",
    "Version: Fooocus v2", "-s 50 ", "-S", "NovelAI", "sui_image_params", '"class_type"', "prompt:", "Draw Things",
    "Template: ", "\nNegative Template: ", "\\n", ". Steps: 20, ", "Sampler: Euler a, ", "Size: 8x8, ", "[{", "}]",
    "Civitai resources: [", "ADetailer prompt: ", "<segment:face>", "<random:", "<setvar[x]:", "<var:x>", " AND ",
    "<region:end>", " --v 6 ", " --no ", "Job ID: 0000-0000", "https://a.b ", "::2", "-1::", "Include in Image: ",
    "; Steps: ", "Generator: Mochi Diffusion", "\u2014ar 1:1", "$$",
    "\x00", "\x1b[2J", "\x1b]0;x\x07", "\x9b31m", "\u202e", "\u2066", "\ud800", "\udfff", "\ufeff", "\ufffd", "\u2028",
    "\x85", "\xa0", "\x7f", "\U0001f98a", "é", "狐", "٣", "²", "%s", "{0}", "None", "True", "NaN", "1e999", "-0", "007",
)  # fmt: skip

_KNOWN = (
    ("parameters", seeds.INFOTEXT),
    ("parameters", json.dumps(seeds.SWARM)),
    ("parameters", json.dumps(seeds.FOOOCUS)),
    ("prompt", json.dumps(seeds.GRAPH)),
    ("invokeai_metadata", json.dumps(seeds.INVOKE)),
    ("sd-metadata", json.dumps(seeds.INVOKE_2)),
    ("Comment", json.dumps(seeds.NOVELAI)),
    ("Dream", '"a fox [blurry]" -s 50 -S 42'),
)


def words(random: Random) -> str:
    """Marks and words of all the tools in any order, some of them many times."""
    count = random.choice((1, 3, 10, 30, 200))
    parts = random.choices(_WORDS, k=count)
    if random.random() < 0.05:
        word = random.choice(_WORDS)
        parts.append(word * random.choice((100, 20_000 // max(4, len(word)))))
    return random.choice(("", " ", " ")).join(parts)


def tree(random: Random, depth: int = 3) -> Any:
    """JSON under the keys that the readers ask for, with any value in any place."""
    kind = random.randrange(9 if depth else 6)
    if kind < 2:
        return words(random)
    if kind < 6:
        return random.choice((None, True, 0, -1, 2**70, 1e308, float("nan"), "", "a fox", "9" * 50, 1.5))
    if kind == 6:
        return [tree(random, depth - 1) for _ in range(random.randrange(4))]
    return {key: tree(random, depth - 1) for key in random.sample(_KEYS, random.randrange(8))}


def graph(random: Random) -> dict[str, Any]:
    """A ComfyUI graph of all kinds whose links go anywhere: in circles, to nothing, to themselves, sixty deep."""
    size = random.choice((1, 3, 3, 8, 8, 70))
    names = random.sample(_INPUTS, 12)

    def value(index: int) -> Any:
        chance = random.random()
        if chance < 0.5:
            target = random.choice((index + 1, index + 1, random.randrange(size), index))
            return [random.choice((str(target), target)), random.choice((0, 0, 0, 1, 2, 4, -1, 2**70))]
        if chance < 0.6:
            return random.choice(_PATTERNS)
        return words(random) if chance < 0.65 else random.choice((5, "a fox", None, [], ["1"], [[], 0], {"a": 1}))

    nodes: dict[str, Any] = {
        str(index): {
            "class_type": random.choice(_NODE_KINDS) if random.random() < 0.95 else random.choice((None, 5, "")),
            "inputs": {name: value(index) for name in random.sample(names, random.randrange(1, 6))},
        }
        for index in range(size)
    }
    if random.random() < 0.3:  # a picture whose words come from node 0
        way = (("SaveImage", "images", "k"), ("KSampler", "positive", "e"), ("CLIPTextEncode", "text", "0"))
        nodes |= {
            key: {"class_type": kind, "inputs": {name: [to, 0]}}
            for key, (kind, name, to) in zip("ske", way, strict=True)
        }
    return nodes


def deep(random: Random) -> str:
    """Brackets far beyond any parser's depth, and texts that grow when they are read."""
    count = random.choice((60, 65, 1_000, 20_000))
    opening, closing = random.choice((("[", "]"), ('{"a":', "}"), ('{"prompt":', "}"), ("(", ")"), ("{", "}")))
    return random.choice(('{"c":', "", "a fox ")) + opening * count + random.choice(("", "1" + closing * count))


def entry(random: Random) -> tuple[str, str]:
    """A keyword and a text that may stand under it, or that has no business there."""
    chance = random.random()
    if chance < 0.3:
        keyword, text = "parameters", words(random)
    elif chance < 0.5:
        keys = random.sample(_KEYS, random.randrange(1, 10))
        keyword, text = "Comment", json.dumps({key: tree(random) for key in keys}, ensure_ascii=random.random() < 0.5)
    elif chance < 0.65:
        keyword, text = "prompt", json.dumps(graph(random))
    elif chance < 0.7:
        keyword, text = "prompt", deep(random)
    elif chance < 0.8:
        comment = {key: tree(random, 1) for key in random.sample(_KEYS, 4)}
        keyword, text = "XML:com.adobe.xmp", draw_things_xmp(comment, words(random))
    else:
        keyword, text = random.choice(_KNOWN)
    while random.random() < 0.4:
        at = random.randrange(len(text) + 1)
        text = text[:at] + random.choice(_WORDS) + text[at + random.choice((0, 0, 1, 5, 10**6)) :]
    return keyword if random.random() < 0.7 else random.choice(KEYWORDS), text


def value(random: Random) -> str:
    """A text of any of the tools."""
    return entry(random)[1]


def encoded(random: Random, text: str) -> bytes:
    """The text in any of the encodings that are met, or in none."""
    name = random.choice(("utf-8", "utf-8", "utf-8", "latin-1", "utf-16-le", "utf-16-be", "utf-16"))
    return text.encode(name, "surrogatepass" if name.startswith("utf") else "replace")


def tags(random: Random) -> bytes:
    """An EXIF block with texts under the tags of generators, in either byte order."""
    chosen = {tag: encoded(random, value(random)) for tag in random.sample(_TAGS, random.choice((1, 1, 2, 4)))}
    code = random.choice((b"UNICODE\0", b"ASCII\0\0\0", b"JIS\0\0\0\0\0", bytes(8), b""))
    if 0x9286 in chosen:
        chosen[0x9286] = code + chosen[0x9286]
    return directory(chosen, order=random.choice("<>"))


def in_png(random: Random) -> bytes:
    """Texts as tEXt, zTXt, iTXt and eXIf, before and behind the pixels, perhaps hundreds of them."""
    before: list[bytes] = []
    for _ in range(random.choice((1, 1, 2, 4))):
        keyword, text = entry(random)
        body = encoded(random, text)
        made = (
            chunk(b"tEXt", keyword.encode() + b"\0" + body),
            ztext(keyword, body),
            itext(keyword, text, compressed=random.random() < 0.5),
            chunk(b"eXIf", tags(random)),
        )
        picked = random.choice(made)
        before += [picked] * min(random.choice((1, 1, 1, 1, 300)), 1 + LARGEST_BYTES // len(picked))
    if random.random() < 0.02:
        before.insert(0, _bomb(random))
    return png(*before[:1], after=tuple(before[1:])) if random.random() < 0.2 else png(*before)


def in_jpeg(random: Random) -> bytes:
    """Comments, EXIF and XMP at the head of a JPEG."""
    body = encoded(random, value(random))
    xmp = b"http://ns.adobe.com/xap/1.0/\0" + draw_things_xmp({"c": words(random), "uc": ""}).encode("utf-8", "replace")
    segments = [(0xFE, body), (0xE1, b"Exif\0\0" + tags(random)), (0xE1, xmp), (0xE1, body)]
    return jpeg(*((marker, part[:65_000]) for marker, part in random.sample(segments, random.randrange(1, 4))))


def in_webp(random: Random) -> bytes:
    """EXIF and XMP in a WebP."""
    plain = webp_exif(tags(random))
    body = plain[12:] + chunk_riff(b"XMP ", encoded(random, value(random)))
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def hidden(random: Random) -> bytes:
    """A text in the lowest bits of the pixels; its stated length may be a lie."""
    text = encoded(random, value(random))[:600]
    magic = random.choice((b"stealth_pngcomp", b"stealth_pnginfo", b"stealth_rgbcomp", b"stealth_rgbinfo"))
    if magic.endswith(b"comp"):
        text = gzip.compress(random.choice((text, bytes(100_000))), 1)[: random.choice((600, 600, 40))]
    pixels = stealth(text, magic=magic, width=80, height=80)
    return png(pixels=pixels) if random.random() < 0.7 else lossless_webp(pixels)


def in_exif_file(random: Random) -> bytes:
    """A bare TIFF, or the EXIF block of a JPEG."""
    return random.choice((jpeg_exif, bytes))(tags(random)[:65_000])


def in_avif(random: Random) -> bytes:
    """Boxes of no picture with some EXIF blocks among them."""
    head = b"\0\0\0\x1cftyp" + random.choice((b"avif", b"avis")) + b"\0\0\0\0mif1avifmiaf"
    return head + random.randbytes(20) + random.choice((tags(random), user_comment(value(random)[:0]))) * 8


BUILDERS: tuple[Callable[[Random], bytes], ...] = (
    in_png, in_png, in_png, in_png, in_jpeg, in_jpeg, in_webp, hidden, in_exif_file, in_avif,
)  # fmt: skip


def _bomb(random: Random) -> bytes:
    """A small text that unpacks to ten megabytes, or to a hundred."""
    body = _blown_up(random.choice((10**7, 10**7, 10**8)))
    keyword = random.choice((b"parameters\0", b"prompt\0"))
    compressed = b"\1\0\0\0" + body  # flag, method, no language, no translated keyword
    return chunk(b"zTXt", keyword + b"\0" + body) if random.random() < 0.5 else chunk(b"iTXt", keyword + compressed)


@functools.cache
def _blown_up(size: int) -> bytes:
    stream = zlib.compressobj(9)
    return b"".join(stream.compress(b"[" * 10**6) for _ in range(size // 10**6)) + stream.flush()
