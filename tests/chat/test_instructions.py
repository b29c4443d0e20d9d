"""Instructions and their fields."""

from pathlib import Path

import pytest
from chat_servers import pictures

from unprompt.chat.instructions import FIELDS, Instruction, instruction_names, read_instruction, values_of
from unprompt.errors import DataError, UnknownNameError
from unprompt.images.decode import Picture
from unprompt.prediction import WrittenPrompt, WrittenText


def test_those_of_the_package_are_sound() -> None:
    assert instruction_names() == ("midjourney", "prompt", "sentence", "tags")
    for name in instruction_names():
        instruction = read_instruction(name)
        assert instruction.name == name
        assert "alone" in instruction.about({}).splitlines()[-1]
        assert "{" not in instruction.about(dict.fromkeys(FIELDS, "x"))
        assert "a, b" in instruction.about({"tags": "a, b"})


def test_a_line_without_any_value_is_left_out() -> None:
    instruction = Instruction("own", "One {name}.\nTags: {tags}\n{folder} {tags}\nEnd.")
    assert instruction.about({"name": "x"}) == "One x.\nEnd."
    assert instruction.about({"name": "x", "folder": "f"}) == "One x.\nf \nEnd."


def test_values_are_no_instructions() -> None:
    assert Instruction("own", "{name} {tags}").about({"name": "{tags}", "tags": "{name}"}) == "{tags} {name}"


def test_other_braces_stay() -> None:
    text = 'Answer as JSON: {"prompt": "..."} {} { name }'
    assert Instruction("own", text).about({"name": "x"}) == text


@pytest.mark.parametrize(
    ("source", "folder", "name"),
    [
        ("/a/foxes/red fox.png", "foxes", "red fox"),
        ("fox.png", "", "fox"),
        ("C:\\foxes\\a.b.png", "foxes", "a.b"),
        ("https://host/foxes/a.png?size=/1", "foxes", "a"),
        ("set.tar::inner/a.png", "inner", "a"),
        ("", "", ""),
        ("a\nb.png", "", "a b"),
    ],
)
def test_folder_and_name(source: str, folder: str, name: str) -> None:
    (picture,) = pictures("x")
    found = values_of(Picture(source, picture.pixels, (60, 40), None, "", None))
    assert (found["folder"], found["name"], found["written"]) == (folder, name, "")


def test_what_the_file_says() -> None:
    (picture,) = pictures("x")

    def value(written: WrittenPrompt) -> str:
        return values_of(Picture("x", picture.pixels, (60, 40), None, "", written))["written"]

    assert value(WrittenPrompt("t", "a\nfox")) == "a fox"
    texts = (WrittenText("style", "style"), WrittenText("bad", "negative"), WrittenText("do it", "instruction"))
    assert value(WrittenPrompt("t", "", texts=texts)) == "style"
    assert len(value(WrittenPrompt("t", "long " * 10_000))) == 2_000


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("Describe {tag}.", UnknownNameError, "did you mean 'tags'"),
        (" \n", DataError, "1 to 20,000 characters"),
        ("x" * 20_001, DataError, "1 to 20,000 characters"),
        (b"\xff\xfe", DataError, "UTF-8"),
        (None, DataError, "check the path"),
    ],
)
def test_a_bad_file(tmp_path: Path, content: str | bytes | None, error: type[Exception], message: str) -> None:
    path = tmp_path / "own.txt"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(error, match=message):
        read_instruction(str(path))


def test_an_unknown_name() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'sentence'"):
        read_instruction("sentense")
