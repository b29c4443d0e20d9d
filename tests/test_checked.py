"""Configuration: what dataclasses may ask for, and what a table that does not fit is told."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pytest

from unprompt.checked import Bounds, Faults, Length, Pattern, check, read, read_both
from unprompt.errors import DataError, ModelError, UnknownNameError, UnpromptError

WHERE = "lamp.toml"
HUGE = int("f" * 5000, 16)
"""A number that TOML and JSON can hold and Python refuses to show."""


@dataclass(frozen=True)
class Bulb:
    watts: Annotated[float, Bounds(0, 100, exclusive="least")]
    colour: Literal["warm", "cold"] = "warm"


@dataclass(frozen=True, slots=True)
class Lamp:
    name: Annotated[str, Length(20)]
    serial: Annotated[str, Pattern("[0-9]{3}", "of 3 digits")] = "000"
    arms: Annotated[int, Bounds(1, 8)] = 1
    tilt: float = 0.0
    dim: Annotated[float, Bounds(0, 1, exclusive="most")] = 0.0
    length: Annotated[int, Bounds(2)] = 2
    lit: bool = False
    price: Annotated[float, Bounds(0, exclusive="least")] | None = None
    rooms: tuple[str, ...] = ()
    rgb: tuple[Annotated[float, Bounds(0, 1)], Annotated[float, Bounds(0, 1)], Annotated[float, Bounds(0, 1)]] = (
        1.0,
        1.0,
        1.0,
    )
    moods: tuple[Literal["calm", "party"], ...] = ()
    bulb: Bulb | None = None
    spares: tuple[Bulb, ...] = ()
    shelf: Mapping[str, Bulb] = field(default_factory=dict)
    anything: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check(self)
        if self.arms > self.length:
            raise DataError(f"expected arms to be at most length, found {self.arms} and {self.length}")


@dataclass(frozen=True)
class Shade:
    radius: int
    other_keys: ClassVar[bool] = True


@dataclass(frozen=True)
class Shop:
    owner: str
    floor: int = 0


def test_defaults_stand_for_what_is_omitted() -> None:
    assert read(Lamp, {"name": "a"}, WHERE) == Lamp("a")


def test_every_kind_of_value_becomes_what_its_field_declares() -> None:
    table = {
        "name": "a",
        "tilt": 3,
        "lit": True,
        "price": 2,
        "rooms": ["hall", "attic"],
        "rgb": [0, 0.5, 1],
        "moods": ["calm"],
        "bulb": {"watts": 5},
        "spares": [{"watts": 1}, {"watts": 2, "colour": "cold"}],
        "shelf": {"left": {"watts": 3}},
        "anything": {"goes": [1, {"deep": None}]},
    }
    lamp = read(Lamp, table, WHERE)
    assert lamp == Lamp(
        "a",
        tilt=3.0,
        lit=True,
        price=2.0,
        rooms=("hall", "attic"),
        rgb=(0.0, 0.5, 1.0),
        moods=("calm",),
        bulb=Bulb(5.0),
        spares=(Bulb(1.0), Bulb(2.0, "cold")),
        shelf={"left": Bulb(3.0)},
        anything={"goes": [1, {"deep": None}]},
    )
    assert [type(value) for value in (lamp.tilt, lamp.price, lamp.rgb[0])] == [float, float, float]
    assert read(Lamp, {"name": "a", "price": None}, WHERE).price is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": 3}, "lamp.toml: expected name to be a text of up to 20 characters, found 3"),
        ({"name": "x" * 21}, f"expected name to be a text of up to 20 characters, found '{'x' * 21}'"),
        ({"name": "x" * 1001}, "expected name to be a text of up to 20 characters, found 1,001 characters"),
        ({"serial": "1234"}, "expected serial to be a text of 3 digits, found '1234'"),
        ({"arms": 0}, "expected arms to be a whole number from 1 to 8, found 0"),
        ({"arms": 9}, "expected arms to be a whole number from 1 to 8, found 9"),
        ({"arms": 1.0}, "expected arms to be a whole number from 1 to 8, found 1.0"),
        ({"arms": True}, "expected arms to be a whole number from 1 to 8, found True"),
        ({"arms": HUGE}, "from 1 to 8, found numbers of thousands of digits"),
        ({"length": 1}, "expected length to be a whole number of 2 or more, found 1"),
        ({"length": HUGE}, "of 2 or more, found numbers of thousands of digits"),
        ({"length": 1 << 63}, "of 2 or more, found 9223372036854775808"),
        ({"tilt": "far"}, "expected tilt to be a number, found 'far'"),
        ({"tilt": True}, "expected tilt to be a number, found True"),
        ({"tilt": math.nan}, "expected tilt to be a number, found nan"),
        ({"tilt": -math.inf}, "expected tilt to be a number, found -inf"),
        ({"tilt": HUGE}, "expected tilt to be a number, found numbers of thousands of digits"),
        ({"dim": 1}, "expected dim to be a number from 0 to below 1, found 1"),
        ({"dim": math.nan}, "expected dim to be a number from 0 to below 1, found nan"),
        ({"price": 0}, "expected price to be a number above 0, found 0"),
        ({"price": math.inf}, "expected price to be a number above 0, found inf"),
        ({"lit": 1}, "expected lit to be true or false, found 1"),
        ({"rooms": "hall"}, "expected rooms to be a list of texts, found 'hall'"),
        ({"rooms": ["hall", 3]}, "expected rooms to be a list of texts, found ['hall', 3]"),
        ({"rooms": [HUGE]}, "expected rooms to be a list of texts, found numbers of thousands of digits"),
        ({"rooms": [3] * 99}, f"a list of texts, found [{'3, ' * 33}..."),
        ({"rgb": [1, 1]}, "expected rgb to be a list of 3 numbers from 0 to 1, found [1, 1]"),
        ({"rgb": [1, 1, 2]}, "expected rgb to be a list of 3 numbers from 0 to 1, found [1, 1, 2]"),
        ({"moods": [1]}, "expected moods to be a list of some of calm, party, found [1]"),
        ({"bulb": 5}, "expected bulb to be a table, found 5"),
        ({"bulb": {"watts": 0}}, "[bulb] of lamp.toml: expected watts to be a number above 0 and at most 100, found 0"),
        ({"bulb": {}}, "[bulb] of lamp.toml lacks 'watts'"),
        ({"spares": {}}, "expected spares to be a list of tables, found {}"),
        ({"spares": [1]}, "expected spares to be a list of tables, found [1]"),
        ({"spares": [{"watts": 1}, {"watts": "1"}]}, "[[spares]] 2 of lamp.toml: expected watts to be a number above"),
        ({"shelf": []}, "expected shelf to be a table, found []"),
        ({"shelf": {"left": 3}}, "expected shelf.left to be a table, found 3"),
        ({"shelf": {"\x1b[2J": 3}}, "expected shelf.\\x1b[2J to be a table, found 3"),
        ({"shelf": {"left": {"watts": 1000}}}, "[shelf.left] of lamp.toml: expected watts to be a number above"),
        ({"anything": 3}, "expected anything to be a table, found 3"),
        ({"arms": 3}, "lamp.toml: expected arms to be at most length, found 3 and 2"),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as raised:
        read(Lamp, {"name": "a", **changes}, WHERE)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arm": 1}, "unknown key in lamp.toml 'arm'; did you mean 'arms'?"),
        ({"bulb": {"wats": 5, "watts": 5}}, "unknown key in [bulb] of lamp.toml 'wats'; did you mean 'watts'?"),
        (
            {"bulb": {"watts": 5, "colour": "worm"}},
            "unknown colour in [bulb] of lamp.toml 'worm'; did you mean 'warm'?",
        ),
        ({"moods": ["calm", "partty"]}, "unknown moods in lamp.toml 'partty'; did you mean 'party'?"),
    ],
)
def test_a_lone_unknown_name_gets_the_nearest_known_one(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UnknownNameError) as raised:
        read(Lamp, {"name": "a", **changes}, WHERE)
    assert str(raised.value) == message


def test_every_fault_of_a_table_is_said_at_once() -> None:
    table = {
        "nmae": "a",
        "arms": 0,
        "bulb": {"watts": -1, "colour": "worm"},
        "spares": [{"watts": 1}, {}, {"watts": True}],
    }
    with pytest.raises(DataError) as raised:
        read(Lamp, table, WHERE)
    faults = str(raised.value).split("; ")
    assert faults == [
        "unknown key in lamp.toml 'nmae'",
        "did you mean 'name'?",
        "lamp.toml lacks 'name'",
        "lamp.toml: expected arms to be a whole number from 1 to 8, found 0",
        "[bulb] of lamp.toml: expected watts to be a number above 0 and at most 100, found -1",
        "unknown colour in [bulb] of lamp.toml 'worm'",
        "did you mean 'warm'?",
        "[[spares]] 2 of lamp.toml lacks 'watts'",
        "[[spares]] 3 of lamp.toml: expected watts to be a number above 0 and at most 100, found True",
    ]


@pytest.mark.parametrize("table", [None, 3, "name", ["name"]])
def test_what_is_no_table(table: object) -> None:
    with pytest.raises(DataError, match=r"expected lamp\.toml to be a table of keys and values, found"):
        read(Lamp, table, WHERE)


def test_a_dataclass_may_pass_over_keys_that_it_does_not_know() -> None:
    assert read(Shade, {"radius": 3, "weave": "linen"}, WHERE) == Shade(3)
    with pytest.raises(DataError, match=r"lamp\.toml lacks 'radius'"):
        read(Shade, {"weave": "linen"}, WHERE)


def test_all_that_is_missing_is_named_together() -> None:
    with pytest.raises(DataError, match=r"lamp.toml lacks 'name', 'owner'$"):
        read_both(Lamp, Shop, {}, WHERE)


def test_two_dataclasses_share_a_table() -> None:
    table = {"name": "a", "owner": "b", "arms": 2, "floor": 3}
    assert read_both(Lamp, Shop, table, WHERE) == (Lamp("a", arms=2), Shop("b", floor=3))
    with pytest.raises(DataError) as raised:
        read_both(Lamp, Shop, {**table, "flor": 1, "floor": "x", "arms": 0}, WHERE)
    message = str(raised.value)
    assert message.startswith("unknown key in lamp.toml 'flor'; did you mean 'floor'?; ")
    assert "expected arms to be" in message
    assert "expected floor to be" in message


@pytest.mark.parametrize("table", [{"arm": 1, "name": "a"}, {"name": 3}, {}, {"arm": 1}])
def test_another_error_is_raised_where_one_is_asked_for(table: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"lamp\.toml"):
        read(Lamp, table, WHERE, error=ModelError)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": 0}, "expected arms to be a whole number from 1 to 8, found 0"),
        ({"arms": True, "tilt": "x"}, "expected arms to be .*, found True; expected tilt to be a number, found 'x'"),
        ({"arms": 3}, "expected arms to be at most length, found 3 and 2"),
        ({"rgb": (1.0, 1.0)}, "expected rgb to be a list of 3 numbers"),
        ({"price": -1}, "expected price to be a number above 0, found -1"),
        ({"bulb": 3}, "expected bulb to be a table, found 3"),
    ],
)
def test_what_is_made_in_python_has_the_same_bounds(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=f"^{message}"):
        Lamp("a", **changes)


def test_what_is_made_in_python_may_hold_instances() -> None:
    assert Lamp("a", bulb=Bulb(5), spares=(Bulb(1),), shelf={"left": Bulb(2)}, moods=("party",)).bulb == Bulb(5)


def test_a_choice_that_there_is_not_is_unknown_in_python_too() -> None:
    with pytest.raises(UnknownNameError, match=r"^unknown moods 'partty'; did you mean 'party'\?"):
        Lamp("a", moods=("partty",))  # type: ignore[arg-type]


def test_faults_of_several_steps_are_collected() -> None:
    faults = Faults()
    faults.raise_any()
    with faults:
        read(Shop, {}, "first")
    with faults:
        lone: UnpromptError = UnknownNameError("key", "a", ["b"])
        raise lone
    with faults:
        read(Shop, {"owner": 1, "floor": "x"}, "third")
    with pytest.raises(DataError) as raised:
        faults.raise_any()
    assert str(raised.value).split("; ") == [
        "first lacks 'owner'",
        "unknown key 'a'",
        "known: b",
        "third: expected owner to be a text, found 1",
        "third: expected floor to be a whole number, found 'x'",
    ]


def test_a_lone_fault_is_raised_as_it_is() -> None:
    faults = Faults()
    fault = UnknownNameError("key", "a", ["b"])
    with faults:
        raise fault
    with pytest.raises(UnknownNameError) as raised:
        faults.raise_any()
    assert raised.value is fault


@dataclass(frozen=True)
class Unreadable:
    place: Path


def test_an_annotation_that_cannot_be_read_is_a_mistake_of_the_programmer() -> None:
    with pytest.raises(TypeError, match=r"the field place is annotated as .*Path"):
        read(Unreadable, {"place": "here"}, WHERE)


def test_what_is_no_fault_of_the_user_is_not_collected() -> None:
    with pytest.raises(KeyError), Faults():
        raise KeyError
