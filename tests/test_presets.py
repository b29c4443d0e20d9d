"""Presets: what is read, and what is refused."""

import dataclasses
import re
import sys
from pathlib import Path

import pytest

from unprompt.errors import DataError, MissingExtraError, UnknownNameError, UnpromptError
from unprompt.presets import CodebookSpec, ConfidenceSpec, WordingSpec, load_preset, preset_names, read_preset, to_toml

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MEMBER = '[[members]]\nkind = "regressor"\nmodel = "a.tag"\n'
NEIGHBOURS = '[[members]]\nkind = "neighbours"\nmodel = "embedded"\nbank = "b"\n'
WORDING = '[wording]\ndecoder = "d.tag"\n'
CODEBOOK = '[codebook]\nmodel = "c.tag"\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "own.toml"
    path.write_text(text)
    return path


def test_every_preset_of_the_package_is_sound() -> None:
    assert "embedded" in preset_names()
    for name in preset_names():
        preset = load_preset(name)
        assert preset.name == name
        assert preset.description
        assert sum(member.weight for member in preset.members) == pytest.approx(1)


def test_presets_say_how_good_they_are_or_that_nobody_knows() -> None:
    others = [load_preset(name) for name in preset_names() if name != "embedded"]
    assert all("not measured here" in preset.score for preset in others)
    assert all(preset.memory_gb > 0 for preset in others if preset.name in ("quick", "caption", "vlm", "max"))


def test_only_what_says_so_asks_a_server() -> None:
    asking = [name for name in preset_names() if any(spec.kind == "server" for spec in load_preset(name).members)]
    assert asking == ["vlm"]


def test_embedded_needs_no_extra() -> None:
    assert load_preset("embedded").requires == ()


def test_weights_are_brought_to_one(tmp_path: Path) -> None:
    second = MEMBER + 'name = "other"\nweight = 3\n'
    preset = load_preset(written(tmp_path, MEMBER + "weight = 1\n" + second + WORDING))
    assert [(member.name, member.weight) for member in preset.members] == [("regressor", 0.25), ("other", 0.75)]
    assert [member.model for member in preset.members] == ["a.tag", "a.tag"]
    assert preset.wording == WordingSpec("d.tag")


def test_a_codebook_is_read(tmp_path: Path) -> None:
    preset = load_preset(written(tmp_path, MEMBER + WORDING + CODEBOOK + "share = 1\nsharpness = 0.5\n"))
    assert preset.codebook == CodebookSpec("c.tag", share=1.0, sharpness=0.5)
    assert load_preset(written(tmp_path, MEMBER + WORDING)).codebook is None


CONFIDENCE = """
[confidence]
codebook = "c.tag"
fitted_to = "abc"
mean = 0.5
low = -0.2
high = 0.1
blank = [0.1, 0.2, 0.3]
[confidence.signs]
nearest = [0.8, 0.1, 0.05]
"""


def test_a_calibration_is_read(tmp_path: Path) -> None:
    preset = load_preset(written(tmp_path, MEMBER + WORDING + CONFIDENCE))
    assert preset.confidence == ConfidenceSpec(
        "c.tag", "abc", 0.5, -0.2, 0.1, (0.1, 0.2, 0.3), {"nearest": (0.8, 0.1, 0.05)}
    )
    assert hash(preset) == hash(load_preset(written(tmp_path, MEMBER + WORDING + CONFIDENCE)))
    assert load_preset(written(tmp_path, MEMBER + WORDING)).confidence is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("mean = 0.5", "mean = 1.5", "expected mean to be a number from -1 to 1"),
        ("low = -0.2", "low = 0.2", "expected low"),
        ("0.2, 0.3]", "0.2]", "expected blank to be a list of 3 numbers"),
        ("0.1, 0.05]", "nan, 0.05]", "expected signs.nearest"),
        ('fitted_to = "abc"', "", "lacks 'fitted_to'"),
    ],
)
def test_a_calibration_that_cannot_be(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(DataError, match=re.escape(said)):
        load_preset(written(tmp_path, MEMBER + WORDING + CONFIDENCE.replace(old, new)))


def test_words_have_a_style_and_a_knob(tmp_path: Path) -> None:
    preset = load_preset(written(tmp_path, MEMBER + WORDING + 'style = "tags"\nreadable = 1\n'))
    assert preset.wording == WordingSpec("d.tag", style="tags", readable=1.0)
    assert WordingSpec("d.tag") == WordingSpec("d.tag", "prompt", 0.5)
    with pytest.raises(UnknownNameError, match="did you mean 'tags'"):
        load_preset(written(tmp_path, MEMBER + WORDING + 'style = "tag"\n'))
    with pytest.raises(DataError, match="from 0 to 1"):
        load_preset(written(tmp_path, MEMBER + WORDING + "readable = 2\n"))


def test_a_preset_is_the_same_when_it_is_written_again(tmp_path: Path) -> None:
    preset = load_preset(written(tmp_path, MEMBER + WORDING + CODEBOOK + "share = 0.3\nsharpness = 20\n"))
    again = read_preset(to_toml(tomllib.loads(preset.text)), "own.toml")
    assert (again.members, again.wording, again.codebook) == (preset.members, preset.wording, preset.codebook)


def test_identity_follows_the_content(tmp_path: Path) -> None:
    first = load_preset(written(tmp_path, MEMBER + WORDING))
    again = load_preset(written(tmp_path, MEMBER + WORDING))
    other = load_preset(written(tmp_path, "# changed\n" + MEMBER + WORDING))
    assert first == again
    assert first.identity != other.identity


def test_a_lone_surrogate_has_an_identity_too() -> None:
    plain = read_preset(MEMBER + WORDING, "own.toml")
    assert read_preset("# \udc80\n" + MEMBER + WORDING, "own.toml").identity != plain.identity


def test_a_preset_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        load_preset("embedded").name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("wordng = 1\n" + MEMBER + WORDING, UnknownNameError, "did you mean 'wording'"),
        (MEMBER + "wieght = 1\n" + WORDING, UnknownNameError, "did you mean 'weight'"),
        (MEMBER + WORDING + "decodr = 1\n", UnknownNameError, "did you mean 'decoder'"),
        ('[[members]]\nkind = "regresor"\nmodel = "a"\n' + WORDING, UnknownNameError, "did you mean 'regressor'"),
        ('requires = ["trch"]\n' + MEMBER + WORDING, UnknownNameError, "did you mean 'torch'"),
        (MEMBER + "weight = 0\n" + WORDING, DataError, "above 0 and at most 1,000,000, found 0"),
        (MEMBER + "weight = inf\n" + WORDING, DataError, "weight to be a number above 0"),
        (MEMBER + "weight = nan\n" + WORDING, DataError, "weight to be a number above 0"),
        (MEMBER + 'weight = "1"\n' + WORDING, DataError, "weight to be a number above 0"),
        (MEMBER + "weight = 1e308\n" + WORDING, DataError, "at most 1,000,000, found 1e"),
        pytest.param(
            MEMBER + f"weight = 1{'0' * 400}\n" + WORDING, DataError, "weight to be a number above 0", id="401 digits"
        ),
        pytest.param(MEMBER + f"weight = 1{'0' * 5000}\n" + WORDING, DataError, "is not TOML", id="5,001 digits"),
        pytest.param(
            MEMBER + f"weight = 0x{'f' * 5000}\n" + WORDING,
            DataError,
            "found numbers of thousands of digits",
            id="hexadecimal weight",
        ),
        pytest.param(
            NEIGHBOURS + f"power = 1{'0' * 400}\n" + WORDING,
            DataError,
            "power to be a number above 0 and at most 1,000,000",
            id="401 digits of power",
        ),
        (NEIGHBOURS + "power = nan\n" + WORDING, DataError, "power to be a number .* at most 1,000,000, found nan"),
        pytest.param(
            NEIGHBOURS + f"k = 0x{'f' * 5000}\n" + WORDING,
            DataError,
            "k to be a whole number from 1 to 1,000,000, found numbers of thousands",
            id="hexadecimal k",
        ),
        pytest.param(
            f"requires = [0x{'f' * 5000}]\n" + MEMBER + WORDING,
            DataError,
            "requires to be a list of some of torch",
            id="hexadecimal extra",
        ),
        ('requires = [["torch"]]\n' + MEMBER + WORDING, DataError, "requires to be a list of some of torch"),
        (MEMBER + MEMBER + WORDING, DataError, "two members are called 'regressor'"),
        ("members = []\n" + WORDING, DataError, r"one \[\[members\]\] or more"),
        (WORDING, DataError, "lacks 'members'"),
        (MEMBER, DataError, "lacks 'wording'"),
        ('[[members]]\nkind = "regressor"\n' + WORDING, DataError, "lacks 'model'"),
        (MEMBER + '[wording]\ndecoder = ["d"]\n', DataError, "decoder to be a text"),
        (MEMBER + WORDING + CODEBOOK.replace("codebook", "codebok"), UnknownNameError, "did you mean 'codebook'"),
        (MEMBER + WORDING + CODEBOOK + "shar = 0.3\n", DataError, r"\[codebook\] of .*did you mean 'share'"),
        (MEMBER + WORDING + "[codebook]\nshare = 0.3\nsharpness = 20\n", DataError, "lacks 'model'"),
        (MEMBER + WORDING + CODEBOOK + "sharpness = 20\n", DataError, "lacks 'share'"),
        (MEMBER + WORDING + CODEBOOK + "share = 0.3\n", DataError, "lacks 'sharpness'"),
        (
            MEMBER + WORDING + CODEBOOK + "share = 1.1\nsharpness = 20\n",
            DataError,
            "share to be a number from 0 to 1, found 1.1",
        ),
        (MEMBER + WORDING + CODEBOOK + "share = -0.1\nsharpness = 20\n", DataError, "found -0.1"),
        (MEMBER + WORDING + CODEBOOK + "share = 0.3\nsharpness = 0\n", DataError, "above 0 and at most 1,000, found"),
        (MEMBER + WORDING + CODEBOOK + "share = 0.3\nsharpness = 1001\n", DataError, "found 1001"),
        (MEMBER + WORDING + CODEBOOK + "share = nan\nsharpness = 20\n", DataError, "share to be a number"),
        (MEMBER + WORDING + CODEBOOK + "share = 0.3\nsharpness = nan\n", DataError, "sharpness to be a number"),
        (
            MEMBER + WORDING + CODEBOOK + "share = true\nsharpness = 20\n",
            DataError,
            "share to be a number from 0 to 1, found True",
        ),
        ("codebook = 1\n" + MEMBER + WORDING, DataError, "codebook to be a table"),
        ('members = ["regressor"]\n' + WORDING, DataError, "members to be a list of tables"),
        ('[[members]]\nmodel = "a.tag"\n' + WORDING, DataError, r"\[\[members\]\] 1 of .* lacks 'kind'"),
        ("[[members]]\nkind = 1\n" + WORDING, DataError, "kind to be a text, found 1"),
        ("not toml", DataError, "is not TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, error: type[UnpromptError], said: str) -> None:
    with pytest.raises(error, match=said):
        load_preset(written(tmp_path, text))


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    first = '[[members]]\nkind = "regresor"\nmodel = "a"\n'
    second = NEIGHBOURS + "k = 0\npowr = 6\n"
    with pytest.raises(DataError) as told:
        load_preset(written(tmp_path, "take_turns = 1\n" + first + second + "[wording]\n"))
    for said in (
        "expected take_turns to be true or false, found 1",
        "[wording] of preset own.toml lacks 'decoder'",
        "unknown kind in [[members]] 1 of preset own.toml 'regresor'; did you mean 'regressor'?",
        "[[members]] 2 of preset own.toml: expected k to be a whole number from 1 to 1,000,000, found 0",
        "unknown key in [[members]] 2 of preset own.toml 'powr'; did you mean 'power'?",
    ):
        assert said in str(told.value)


def test_unknown_preset_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'embedded'"):
        load_preset("embeded")


def test_missing_file() -> None:
    with pytest.raises(DataError, match="check the path"):
        load_preset("nowhere/none.toml")


def test_missing_extra_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preset = load_preset(written(tmp_path, 'requires = ["torch"]\n' + MEMBER + WORDING))
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"'own' needs the extra \[torch\]: pip install"):
        preset.check_extras()
