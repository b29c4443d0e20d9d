"""The text that is made of an answer."""

from typing import Any

import hypothesis
import hypothesis.strategies as st
import pytest

from unprompt.errors import DataError, UnknownNameError
from unprompt.output.phrasing import Phrasing, one_line
from unprompt.text.tokenizers import count_clip_tokens

RECORD: dict[str, Any] = {
    "source": "/pictures/10_dog/a.b.png",
    "prompt": "a red dog, by night",
    "origin": "metadata",
    "self_similarity": 0.123457,
    "confidence": {"estimate": 0.52, "low": 0.35, "high": 0.66},
    "tool": "Fooocus",
    "negative_prompt": "cat",
    "settings": {"CFG scale": 7, "Seed": 1, "Styles": "anime", "Clip-skip": 2, "Tiling": True},
}
BARE = {"source": "b.png", "prompt": "a dog", "origin": "prediction", "self_similarity": None}


def test_without_wishes_it_is_the_prompt_on_one_line() -> None:
    assert Phrasing()(RECORD) == "a red dog, by night"
    assert Phrasing()(BARE | {"prompt": " a\r\n\x1b[2Jdog\u2028\x85 "}) == "a [2Jdog"
    assert one_line("\t") == ""


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{prompt}", "a red dog, by night"),
        ("{prompt} --no {negative_prompt}", "a red dog, by night --no cat"),
        ("{name}|{folder}|{source}", "a.b|10_dog|/pictures/10_dog/a.b.png"),
        ("{tool} {origin} {confidence}", "Fooocus metadata 0.52"),
        ("{self_similarity} {similarity}", "0.123457 0.123457"),
        ("{style}, {styles}", "anime, anime"),
        ("{seed} {SEED} { Seed }", "1 1 1"),
        ("{cfg_scale} {CFG scale} {clip_skip} {clip-skip} {tiling}", "7 7 2 2 True"),
        ("{{{prompt}}}", "{a red dog, by night}"),
        ("{prompt}\n{{}}", "a red dog, by night {}"),
    ],
)
def test_templates(template: str, text: str) -> None:
    assert Phrasing(template)(RECORD) == text


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{prompt}, {style}", "a dog"),
        ("{prompt}, {confidence}", "a dog"),
        ("{style}, {prompt}", "a dog"),
        ("{style}, {seed}, {prompt}, {style} , {steps}", "a dog"),
        ("{prompt}, {style}, {lora},8k", "a dog,8k"),
        ("{style}{seed}, {prompt}", "a dog"),
        ("by {style} artist, {prompt}", "by artist, a dog"),
        ("{prompt}, style: {style}", "a dog, style:"),
        ("{style}, {seed}", ""),
        ("{style}", ""),
        ("{prompt}, , x", "a dog, , x"),
    ],
)
def test_what_is_empty_takes_its_comma_along(template: str, text: str) -> None:
    assert Phrasing(template)(BARE) == text


def test_commas_of_the_prompt_are_its_own() -> None:
    assert Phrasing("{prompt}, {style}")(BARE | {"prompt": "a,, dog"}) == "a,, dog"


@pytest.mark.parametrize(
    ("source", "name", "folder"),
    [
        ("https://example.org/dogs/a%20b.png?x=/y.jpg#z", "a b", "dogs"),
        ("http://example.org", "", ""),
        ("-", "-", ""),
        ("<bytes 0>", "<bytes 0>", ""),
        ("../dogs/a", "a", "dogs"),
    ],
)
def test_names_and_folders(source: str, name: str, folder: str) -> None:
    record = BARE | {"source": source}
    assert (Phrasing("{name}")(record), Phrasing("{folder}")(record)) == (name, folder)


def test_the_folder_that_the_command_runs_in(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dogs").mkdir()
    monkeypatch.chdir(tmp_path / "dogs")
    assert Phrasing("{folder}")(BARE) == "dogs"


@pytest.mark.parametrize(
    "template",
    ["{prompt.real}", "{prompt[0]}", "{prompt!r}", "{prompt:>9}", "{}", "{0}", "{prompt", "prompt}", "{ }", "{a{b}}"],
)
def test_templates_that_are_refused(template: str) -> None:
    with pytest.raises(DataError, match=r"write {name} for a field, {{ and }} for braces"):
        Phrasing(template)


@pytest.mark.parametrize("template", ["", "a dog", "{{prompt}}"])
def test_a_template_says_something_of_the_picture(template: str) -> None:
    with pytest.raises(DataError, match=r"a field, such as {prompt}"):
        Phrasing(template)


@pytest.mark.parametrize(
    ("name", "meant"), [("promt", "prompt"), ("negativ_prompt", "negative_prompt"), ("nam", "name")]
)
def test_mistyped_names(name: str, meant: str) -> None:
    with pytest.raises(UnknownNameError, match=f"did you mean '{meant}'"):
        Phrasing("{" + name + "}")


@pytest.mark.parametrize(
    "name", ["size", "steps", "sampler", "scheduler", "seed", "model", "lora", "vae", "rng", "version", "sharpness"]
)
def test_settings_are_no_mistakes(name: str) -> None:
    assert Phrasing("{prompt}, {" + name + "}")(RECORD).startswith("a red dog, by night")


def test_replacements_come_in_their_order_and_in_the_prompt_alone() -> None:
    replacements = [("dog", "cat"), ("cat", "owl"), ("Red", "blue")]
    assert Phrasing("{prompt}, {negative_prompt}", replacements=replacements)(RECORD) == "a red owl, by night, cat"
    assert Phrasing("{prompt}, x", replacements=[("a dog", "")])(BARE) == "x"
    with pytest.raises(DataError, match="empty"):
        Phrasing(replacements=[("", "x")])


@pytest.mark.parametrize(
    ("prompt", "phrase", "text"),
    [
        ("masterpiece, a cat, best quality", "masterpiece", "a cat, best quality"),
        ("masterpiece, a cat, best quality", "best quality", "masterpiece, a cat"),
        ("masterpiece, a cat, best quality", "a cat", "masterpiece, best quality"),
        ("masterpiece, masterpiece, a cat", "masterpiece", "a cat"),
        ("a cat, masterpiece, masterpiece", "masterpiece", "a cat"),
        ("masterpiece", "masterpiece", ""),
        ("(masterpiece:1.2), a cat, [[best quality]]", "masterpiece", "a cat, [[best quality]]"),
        ("(masterpiece:1.2), a cat, [[best quality]]", "best quality", "(masterpiece:1.2), a cat"),
        ("a cat ,best quality,4k", "best quality", "a cat ,4k"),
        ("a cat, best, quality, 4k", "best, quality", "a cat, 4k"),
        ("a cat, best quality, 4k", ", best quality", "a cat, 4k"),
        ("a red cat on a red mat", "red", "a cat on a mat"),
        ("a red cat on a red mat", "red ", "a cat on a mat"),
        ("red, a cat that is red", "red", "a cat that is"),
        ("a,, cat", ",", "a cat"),
        ("a,, cat", "dog", "a,, cat"),
    ],
)
def test_a_phrase_that_is_taken_out_takes_its_comma_along(prompt: str, phrase: str, text: str) -> None:
    assert Phrasing(replacements=[(phrase, "")])(BARE | {"prompt": prompt}) == text


@hypothesis.given(prompt=st.text("a, ()[:1.]"), phrase=st.text("a, ", min_size=1))
def test_no_phrase_stays_whatever_the_commas(prompt: str, phrase: str) -> None:
    assert phrase not in Phrasing(replacements=[(phrase, "")])(BARE | {"prompt": prompt}) or phrase.strip(" ,") in (
        "",
        "a",
    )


def test_tags_are_shuffled_the_same_each_time() -> None:
    tags = [f"tag {number}" for number in range(20)]
    record = BARE | {"prompt": ", ".join(tags)}
    text = Phrasing(shuffle_from=2)(record)
    assert text == Phrasing(shuffle_from=2)(record)
    assert text.split(", ")[:2] == tags[:2]
    assert text.split(", ")[2:] != tags[2:]
    assert sorted(text.split(", ")) == sorted(tags)
    assert Phrasing(shuffle_from=0)(record).split(", ")[:2] != tags[:2]
    assert text != Phrasing(shuffle_from=2)(record | {"source": "other.png"})
    assert Phrasing(shuffle_from=99)(record) == record["prompt"]


def test_what_is_around_the_prompt_is_not_shuffled() -> None:
    phrasing = Phrasing("{prompt}, {style}", prefix="sks, ", suffix=", 8k", shuffle_from=0)
    record = RECORD | {"prompt": "a,,b , c"}
    assert phrasing(record).startswith("sks, ")
    assert phrasing(record).endswith(", anime, 8k")
    assert sorted(phrasing(record).split(", ")[1:4]) == ["a", "b", "c"]


def test_what_decides_a_text() -> None:
    assert len({Phrasing().identity, Phrasing(shuffle_from=0).identity, Phrasing(shuffle_from=1).identity}) == 3


def test_prefix_and_suffix_are_taken_as_they_are() -> None:
    assert Phrasing("{prompt}!", prefix="photo of ", suffix=",\n8k")(BARE) == "photo of a dog!, 8k"


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        (11, "photo of a red dog, by night, 8k"),
        (10, "photo of a red dog, 8k"),
        (8, "photo of a red dog, 8k"),
        (7, "photo of a red, 8k"),
        (6, "photo of a, 8k"),
    ],
)
def test_the_prompt_is_cut_so_that_all_of_it_is_read(limit: int, text: str) -> None:
    assert Phrasing(prefix="photo of ", suffix=", 8k", max_tokens=limit)(RECORD) == text
    assert count_clip_tokens(text) <= limit


@hypothesis.given(prompt=st.text(), limit=st.integers(4, 20))
def test_no_text_is_longer_than_its_limit(prompt: str, limit: int) -> None:
    text = Phrasing(prefix="a ", suffix=" b", max_tokens=limit)(BARE | {"prompt": prompt})
    assert count_clip_tokens(text) <= limit
    assert len(text.splitlines()) == 1


def test_prefix_and_suffix_leave_room() -> None:
    with pytest.raises(DataError, match=r"6 tokens in all, found a limit of 5"):
        Phrasing(prefix="photo of ", suffix=", 8k", max_tokens=5)
