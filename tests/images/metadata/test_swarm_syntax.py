import json
import time

import pytest
from layouts import png, text

from unprompt.images.metadata import read
from unprompt.images.metadata.swarm_syntax import is_in, main_text, sections_of


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("a fox in snow", "a fox in snow"),
        ("a <random:red, blue> fox", "a red fox"),
        ("a <random[1-2,]:red|blue, pale> fox", "a red fox"),
        ("a <alternate:red || a, b> <alt:fox,hare>", "a red fox"),
        ("a <fromto[0.5]:cat, fox>", "a fox"),
        ("a <setvar[x]:<random:red, blue>> fox, <var:x> snow", "a red fox, red snow"),
        ("<setvar[x,false]:red> a <var[x]> fox", "a red fox"),
        ("a <setmacro[m]:<random:red|blue>> fox, <macro:m> snow, <var:m>", "a red fox, red snow,"),
        ("a fox <comment:try <again> later> in snow<break>ice", "a fox in snow ice"),
        ("<wildcard:animals,not=cat> <wc:x> <preset:p> <p:q> <trigger> <param[cfgscale]:1> a fox", "a fox"),
        ("a <repeat[3]:red> fox", "a red fox"),
        ("<lora:snow:0.8>a fox <embed:x>", "a fox"),
        ("a <segment:face,0.6,0.5//cid=3> sharp eyes <region:end> fox", "a fox"),
        ("snow <region:0,0,0.5,1> a fox <object:0.5,0,0.5,1> a hare <segment:face> eyes", "snow a fox a hare"),
        ("a fox <base> at night <refiner> sharp <video> it runs <extend:33> it stops <clear:sky> x", "a fox at night"),
        ("a fox <3, >_<, a < b > c, <unknown:x>", "a fox <3, >_<, a < b > c, <unknown:x>"),
        ("a <random:red, blue fox", "a red"),
    ],
)
def test_marks_become_the_words_that_they_stand_for(prompt, words):
    assert main_text(sections_of(prompt)) == words


def test_sections_have_roles():
    found = sections_of("a fox <region:0,0,1,1> snow <segment:face> eyes <refiner> sharp <clear:sky> none")
    assert [(section.kind, section.role, section.text) for section in found] == [
        ("", "positive", "a fox"),
        ("region", "region", "snow"),
        ("segment", "region", "eyes"),
        ("refiner", "refiner", "sharp"),
        ("clear", "instruction", "none"),
    ]
    assert not is_in("a fox <3 <unknown:x>")


def test_a_picture_has_words_texts_raw_and_models():
    prompt = "a <random:red, blue> fox <lora:snow:0.8> <segment:face> (sharp:1.2) eyes"
    parameters = {
        "prompt": prompt,
        "negativeprompt": "blurry <segment:face> closed",
        "model": "Flux/dev",
        "loras": ["ice"],
        "loraweights": ["0.5"],
        "seed": 3,
    }
    models = [{"name": "Flux/dev.safetensors", "param": "model", "hash": "0xaa"}]
    value = json.dumps({"sui_image_params": parameters, "sui_models": models})
    found = read(png(text("parameters", value)))
    assert (found.prompt, found.negative_prompt, found.raw) == ("a red fox", "blurry", prompt)
    assert [(item.role, item.text, item.node) for item in found.texts] == [
        ("positive", "a red fox", ""),
        ("negative", "blurry", ""),
        ("region", "sharp eyes", "segment"),
    ]
    assert [(item.kind, item.name, item.weight, item.hash) for item in found.resources] == [
        ("checkpoint", "Flux/dev", None, "0xaa"),
        ("lora", "ice", 0.5, None),
        ("lora", "snow", 0.8, None),
    ]


def test_values_that_repeat_each_other_stay_within_a_limit():
    doubling = "<setvar[a]:" + "x" * 1_000 + ">" + "".join("<setvar[a]:<var:a> <var:a>>" for _ in range(60))
    assert len(main_text(sections_of(doubling))) < 1_000_000


@pytest.mark.parametrize(
    "unit", ["<", "<random:", "<random:a>", ">", "<a[", "<setvar[x]:", "<var:x>", "|", "<region:>"]
)
def test_time_is_linear(unit):
    """A quadratic pass takes minutes of CPU here, so the bound of ten seconds is no stopwatch."""
    start = time.process_time()
    sections_of(unit * (80_000 // len(unit)))
    assert time.process_time() - start < 10
