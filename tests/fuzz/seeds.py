"""Small real files that the fuzzer starts from: every format that is decoded, and every tool's metadata.

They are made at run time with Pillow (16 to 64 pixels a side, so that one takes well under a millisecond to decode) and
from the pictures in examples/; no seed lies in the repository.
"""

from __future__ import annotations

import functools
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
from boxes import (
    C2PA_UUID,
    JXL_HEAD,
    UNKNOWN_LENGTH,
    box,
    cluster,
    element,
    exif_item,
    free_form,
    ftyp,
    full_box,
    ilst,
    items,
    keyed,
    mp4,
    seek_head,
    simple_tags,
    tags,
    webm,
)
from layouts import (
    app11,
    chunk,
    chunk_riff,
    dataset,
    described_xmp,
    draw_things_xmp,
    extended_xmp,
    gif,
    gif_application,
    gif_comment,
    image_resource,
    itext,
    jpeg,
    jpeg_exif,
    jumbf,
    lossless_webp,
    pillow_exif,
    png,
    raw_profile,
    riff,
    stealth,
    text,
    tiff,
    user_comment,
    webp_exif,
    xmp,
    ztext,
)
from manifests import created, manifest, store
from PIL import Image
from pillow_jxl import Encoder

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

INFOTEXT = (
    "a (red:1.2) fox, <lora:fur:0.8>, [snow|rain]\nNegative prompt: blurry, ((text))\n"
    'Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 64x64, Lora hashes: "fur: 1a2b, x: 3", Version: v1.9.4'
)
GRAPH = {
    "3": {
        "class_type": "KSampler",
        "inputs": {"seed": 5, "steps": 20, "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]},
    },
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": ["8", 0], "clip": ["4", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["4", 1]}},
    "8": {"class_type": "StringConcat", "inputs": {"string_a": "a fox", "string_b": ["9", 0], "delimiter": ", "}},
    "9": {"class_type": "Text", "inputs": {"value": "in the snow"}},
}
SWARM = {"sui_image_params": {"prompt": "a fox", "negativeprompt": "blurry", "seed": 3, "steps": 25}}
EASY = {"prompt": "a fox", "negative_prompt": "blurry", "seed": 5, "use_stable_diffusion_model": "x", "tiling": None}
FOOOCUS = {
    "prompt": "a fox",
    "negative_prompt": "",
    "full_prompt": ["a fox, sharp"],
    "base_model": "x",
    "version": "v2",
}
INVOKE = {"positive_prompt": "a (red)1.3 fox++", "negative_prompt": "x", "model": {"name": "sd1.5"}, "seed": 42}
INVOKE_2 = {"model_weights": "sd-1.5", "image": {"prompt": [{"prompt": "a fox [blurry]", "weight": 1}], "steps": 50}}
NOVELAI = {
    "prompt": "1girl, {{fox ears}}, 1.3::snow::",
    "uc": "lowres",
    "steps": 28,
    "scale": 5.0,
    "v4_prompt": {"caption": {"base_caption": "2girls", "char_captions": [{"char_caption": "girl, fox"}]}},
}
NOVELAI_ENTRIES = {
    "Description": "1girl, {{fox ears}}",
    "Software": "NovelAI",
    "Source": "NovelAI Diffusion V4.5",
    "Comment": json.dumps(NOVELAI),
}
MANIFESTS = store(
    manifest(
        {"claim_generator": "Adobe_Firefly", "claim_generator_info": [{"name": "Firefly", "version": "3"}]},
        {"c2pa.actions.v2": created("Adobe Firefly", parameters={"seed": 7, "com.adobe.prompt": "a fox"})},
    ),
    manifest({"claim_generator": "ChatGPT"}, {"c2pa.actions": created({"name": "GPT-4o"}), "x": '{"a": [1, null]}'}),
)


@functools.cache
def pictures() -> dict[str, list[bytes]]:
    """Files by format; each in the modes and layouts that Pillow can write."""
    photo = _example(48, 32)
    clear = photo.convert("RGBA")
    clear.putalpha(photo.convert("L"))
    modes = {mode: photo.convert(mode) for mode in ("RGB", "L", "1", "P", "CMYK", "I", "F")}
    modes |= {"RGBA": clear, "LA": clear.convert("LA"), "LAB": Image.new("LAB", (24, 16), (90, 120, 140))}
    modes["I;16"] = Image.fromarray(np.asarray(modes["L"]).astype(np.uint16) << 6)
    tiny = photo.resize((16, 16))
    frames: dict[str, Any] = {"save_all": True, "append_images": [tiny.rotate(90), tiny.rotate(180)], "duration": 40}
    exif = Image.Exif()
    exif[0x0112] = 6
    return {
        "PNG": [
            *(_saved(modes[mode], "PNG") for mode in ("RGB", "RGBA", "L", "LA", "1", "P", "I;16")),
            _saved(modes["P"], "PNG", transparency=bytes(range(0, 250, 5))),
            _saved(tiny, "PNG", exif=exif, icc_profile=bytes(300)),
            _saved(tiny, "PNG", **frames),
        ],
        "JPEG": [
            *(_saved(modes[mode], "JPEG") for mode in ("RGB", "L", "CMYK")),
            *(_saved(photo, "JPEG", progressive=True, subsampling=kind) for kind in (0, 2)),
            _saved(photo, "JPEG", exif=exif, restart_marker_blocks=2, comment=b"a fox"),
            _saved(modes["CMYK"], "JPEG", progressive=True, optimize=True, icc_profile=bytes(300)),
        ],
        "WEBP": [
            _saved(photo, "WEBP", method=0),
            _saved(clear, "WEBP", method=0, exif=exif),
            _saved(clear, "WEBP", lossless=True, method=0),
            _saved(tiny, "WEBP", method=0, **frames),
        ],
        "GIF": [
            _saved(modes["P"], "GIF"),
            _saved(modes["L"], "GIF", interlace=0, transparency=3, comment=b"a fox"),
            _saved(tiny, "GIF", disposal=2, **frames),
        ],
        "BMP": [_saved(modes[mode], "BMP") for mode in ("RGB", "RGBA", "L", "1", "P")],
        "TIFF": [
            *(
                _saved(modes[mode], "TIFF")
                for mode in ("RGB", "RGBA", "L", "LA", "1", "P", "CMYK", "I", "F", "I;16", "LAB")
            ),
            *(
                _saved(photo, "TIFF", compression=name)
                for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd", "lzma")
            ),
            *(_saved(modes["1"], "TIFF", compression=name) for name in ("group3", "group4", "tiff_ccitt")),
            _saved(photo, "TIFF", compression="tiff_lzw", big_tiff=True, exif=exif),
            _saved(tiny, "TIFF", save_all=True, append_images=[tiny]),
        ],
        "AVIF": [
            _saved(tiny, "AVIF", speed=10, max_threads=1, exif=exif),
            _saved(clear.resize((16, 24)), "AVIF", speed=10, max_threads=1),
            _saved(tiny, "AVIF", speed=10, max_threads=1, **frames),
        ],
        "HEIC": [_heic(photo), _heic(clear, exif=exif.tobytes()), _heic(modes["L"])],
        "JXL": [_jxl(photo), _jxl(clear, exif.tobytes()[6:]), _jxl(modes["I;16"]), _jxl(modes["L"])],
    }


CIVITAI = {"6": {"class_type": "A", "inputs": {}}, "extraMetadata": json.dumps({"prompt": "a fox", "resources": []})}
TENSOR_ART = {"prompt": "a fox", "negativePrompt": "x", "seed": "-1", "baseModel": {"modelFileName": "m", "hash": "A"}}
SPACE = {"prompt": "a fox", "negative_prompt": "x", "resolution": "8 x 8", "guidance_scale": 5, "Model": "m"}
MFLUX = {"mflux_version": "0.9", "prompt": "a fox", "seed": 2, "model": "dev", "lora_paths": ["x"], "lora_scales": [1]}
SDCPP = 'a fox\nSteps: 20, Seed: 42, Version: stable-diffusion.cpp, SDCPP: {"a": [1, 2], "seed": 42}'
MOCHI = "Include in Image: a fox; Exclude from Image: x; Model: m; Steps: 20; Seed: 5; Generator: Mochi Diffusion 5.0"
MIDJOURNEY = (
    "https://a.b/c.png a fox:: snow::2 --ar 16:9 --no hats --v 6.1 Job ID: 0b3f0000-1111-2222-3333-444455556666"
)
SWARM_MARKS = "a <random:fox, hare> <region:0,0,1,1> <setvar[x]:red> hat <segment:face,0.6> <var:x> nose <lora:y:0.5>"


def _of_smaller_tools() -> list[bytes]:
    """PNGs with what the tools write that have one layout."""
    swarm = {"sui_image_params": {"prompt": SWARM_MARKS, "loras": ["z"], "loraweights": ["0.5"]}, "sui_models": []}
    return [
        png(text("prompt", json.dumps(CIVITAI))),
        png(text("generation_data", json.dumps(TENSOR_ART)), text("prompt", json.dumps(GRAPH))),
        png(text("parameters", json.dumps(SPACE))),
        png(text("parameters", SDCPP)),
        png(text("parameters", "a fox\nSteps: 20, Seed: 1, Version: KoboldCpp 1")),
        png(text("parameters", "a fox\nSteps: 20, Seed: 1, Model: m"), text("parameters-json", "{}")),
        png(text("parameters", json.dumps(swarm))),
        png(itext("XML:com.adobe.xmp", described_xmp(MOCHI))),
        png(text("Description", MIDJOURNEY)),
        png(text("prompt", "a fox"), text("seed", "42")),
        jpeg_exif(user_comment(json.dumps(MFLUX))),
        jpeg_exif(pillow_exif({0x010F: "Black Forest Labs", 0x010E: "a fox", 0x0110: "flux-dev"})),
    ]


@functools.cache
def metadata() -> dict[str, list[bytes]]:
    """Files by container; each holds what one of the tools writes."""
    comments = [json.dumps(entries) for entries in (SWARM, EASY, FOOOCUS, NOVELAI_ENTRIES)]
    xmp = draw_things_xmp({"c": "a fox", "uc": "blurry", "seed": 42}, "a fox&#xA;-blurry&#xA;Steps: 8, Seed: 42, A: 1")
    exifs = [
        *(user_comment(value, order=order) for value in (INFOTEXT, *comments) for order in "<>"),
        pillow_exif({0x0110: "prompt:" + json.dumps(GRAPH), 0x010F: "workflow:{}"}),
        pillow_exif({0x9286: json.dumps(FOOOCUS), 0x0131: "Fooocus v2.5.3", 0x927C: "fooocus"}),
    ]
    return {
        "PNG": [
            png(text("parameters", INFOTEXT)),
            png(ztext("parameters", INFOTEXT.encode()), text("postprocessing", "Postprocess upscale by: 4")),
            png(itext("parameters", json.dumps(SWARM))),
            png(text("parameters", json.dumps(FOOOCUS)), text("fooocus_scheme", "fooocus")),
            png(text("prompt", json.dumps(GRAPH)), text("workflow", "{}")),
            png(text("invokeai_metadata", json.dumps(INVOKE))),
            png(text("sd-metadata", json.dumps(INVOKE_2)), text("Dream", '"a fox [blurry]" -s 50 -S 42 -A k_lms')),
            png(*(text(key, str(value)) for key, value in EASY.items())),
            png(*(text(key, value) for key, value in NOVELAI_ENTRIES.items())),
            png(itext("XML:com.adobe.xmp", xmp, compressed=True)),
            png(after=(text("parameters", INFOTEXT),)),
            png(pixels=stealth(json.dumps(NOVELAI_ENTRIES), width=32)),
            png(pixels=stealth("a fox\nSteps: 2", magic=b"stealth_rgbinfo", width=16, height=24)),
            _saved(_example(16, 16), "PNG", exif=b"Exif\0\0" + exifs[0]),
            png(text("parameters", _written_in_the_example())),
            png(chunk(b"caBX", MANIFESTS)),
            *_of_smaller_tools()[:10],
        ],
        "JPEG": [
            *map(jpeg_exif, exifs),
            *_of_smaller_tools()[10:],
            jpeg((0xFE, json.dumps(FOOOCUS).encode())),
            jpeg((0xFE, INFOTEXT.encode())),
            jpeg((0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp.encode())),
        ],
        "WEBP": [
            *map(webp_exif, exifs[:8]),
            _saved(_example(16, 16), "WEBP", xmp=xmp),
            lossless_webp(stealth("a fox\nSteps: 2", width=16)),
        ],
        "TIFF": [*exifs],
        "AVIF": [_saved(_example(16, 16), "AVIF", speed=10, exif=b"Exif\0\0" + tags) for tags in exifs[:3]],
    }


@functools.cache
def boxes() -> dict[str, list[bytes]]:
    """Files of boxes by kind, with texts in all the places that they have."""
    exif, xmp, graph = (
        user_comment(INFOTEXT),
        draw_things_xmp({"c": "a fox", "uc": ""}).encode(),
        json.dumps(GRAPH).encode(),
    )
    wanted = (exif_item(exif), (b"mime", xmp))
    manifest = box(b"uuid", C2PA_UUID, bytes(4), b"manifest\0", bytes(8), jumbf())
    jxl = (
        JXL_HEAD
        + ftyp(b"jxl ")
        + box(b"Exif", bytes(4), exif)
        + box(b"xml ", xmp)
        + jumbf()
        + box(b"brob", b"xml ", xmp)
    )
    return {
        "pictures": [
            *(items(*wanted, brand=brand, version=version) for brand in (b"heic", b"avif") for version in range(3)),
            items(*wanted, version=1, in_idat=True, parts=3) + manifest,
            jxl,
            *metadata()["AVIF"],
        ],
        "films": [
            mp4(box(b"udta", keyed({"prompt": graph, "Comment": b"a fox"}))),
            mp4(keyed({"com.apple.quicktime.comment": graph}, quicktime=True), brand=b"qt  "),
            mp4(
                box(b"udta", tags(ilst(b"\xa9cmt", INFOTEXT.encode()), free_form(b"prompt", graph)), box(b"XMP_", xmp))
            ),
            mp4(box(b"udta", box(b"\xa9cmt", b"\0\5\0\0a fox"), full_box(b"dscp", b"\x15\xc7a fox"))) + manifest,
        ],
    }


@functools.cache
def elements() -> dict[str, list[bytes]]:
    """WebM with its tags before the frames, behind them, and behind a cluster without a length."""
    texts = simple_tags(PROMPT=json.dumps(GRAPH), COMMENT=INFOTEXT, ENCODER="Lavf")
    frames = cluster(length=UNKNOWN_LENGTH)
    return {
        "WEBM": [
            webm(texts, cluster()),
            webm(element(0x1549A966, element(0x7BA9, b"a fox")), cluster(), cluster(), texts),
            webm(seek_head(len(seek_head(0)) + len(frames)), frames, texts, length=UNKNOWN_LENGTH),
        ]
    }


@functools.cache
def blocks() -> dict[str, list[bytes]]:
    """EXIF, XMP and IPTC in the containers of pictures."""
    exif, document = user_comment(INFOTEXT), xmp(description="a fox", title="b").encode()
    records = image_resource(0x0404, dataset(120, b"a fox") + dataset(25, b"fox"))
    windows = tiff({0x9C9C: (1, "a fox\0".encode("utf-16-le")), 0x010E: b"a fox\0"})
    graph = tiff({0x010F: b"workflow:{}\0", 0x0110: b"prompt:" + json.dumps(GRAPH).encode() + b"\0"})
    return {
        "TIFF": [exif, windows, graph, tiff({700: (1, document), 33723: (7, records), 52545: (7, jumbf())})],
        "JPEG": [
            jpeg(
                (0xE1, b"Exif\0\0" + exif[:90]), (0xE1, b"Exif\0\0" + exif[90:]), (0xED, b"Photoshop 3.0\0" + records)
            ),
            jpeg(*extended_xmp(document, document, size=50)),
            jpeg(*app11(jumbf(bytes(300)), size=100), (0xFE, b"a fox")),
        ],
        "GIF": [
            gif(gif_comment(INFOTEXT.encode())),
            gif(gif_application(b"XMP DataXMP", document, raw=True), gif_application(b"C2PA_GIF\1\0\0", jumbf())),
        ],
        "WEBP": [riff(chunk_riff(b"EXIF", exif), chunk_riff(b"XMP ", document), chunk_riff(b"C2PA", jumbf()))],
        "PNG": [
            png(ztext("Raw profile type exif", raw_profile("exif", exif).encode())),
            png(text("Raw profile type iptc", raw_profile("iptc", records)), chunk(b"caBX", jumbf())),
        ],
    }


def _written_in_the_example() -> str:
    with Image.open(EXAMPLES / "written.png") as image:
        return image.info["parameters"]


@functools.cache
def _example(width: int, height: int) -> Image.Image:
    with Image.open(EXAMPLES / "chelsea.jpg") as image:
        return image.convert("RGB").resize((width, height))


def _saved(image: Image.Image, name: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()


def _heic(image: Image.Image, **options: Any) -> bytes:
    buffer = BytesIO()
    pillow_heif.from_pillow(image.resize((16, 24))).save(buffer, **options)
    return buffer.getvalue()


def _jxl(image: Image.Image, exif: bytes | None = None) -> bytes:
    encoder = Encoder(mode=image.mode, lossless=True, use_container=exif is not None, num_threads=0)
    return encoder(
        image.tobytes(), image.width, image.height, jpeg_encode=False, exif=exif, jumb=None, xmp=None, compress=False
    )
