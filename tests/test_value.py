"""The decorator of values: what a dataclass would give, without its cost, and no secret shown."""

from __future__ import annotations

import pickle
from dataclasses import field, replace

import pytest

from syncd.value import by_name, value


@value
class Place:
    """Tried here."""

    name: str
    token: str = field(default="", repr=False)
    depth: int = 0


@value
class Sign:
    name: str

    def __repr__(self) -> str:
        return "as the class says"


def test_equal_by_content_and_class():
    assert Place(name="a", depth=1) == Place(name="a", depth=1)
    assert Place(name="a") != Place(name="b")
    assert Sign(name="a") != Sign(name="b")
    other: object = "a"
    assert Sign(name="a") != other
    assert len({Place(name="a"), Place(name="a"), Sign(name="a")}) == 2  # by class, too


def test_shown_with_its_fields_but_hidden_ones():
    assert repr(Place(name="a", token="t0p", depth=3)) == "Place(name='a', depth=3)"
    assert repr(Sign(name="a")) == "as the class says"


def test_made_by_name_without_room_for_more():
    with pytest.raises(TypeError):
        Place("a")  # type: ignore[call-arg]
    assert not hasattr(Place(name="a"), "__dict__")


def test_copied_and_packed_as_it_is():
    some = replace(Place(name="a", token="t"), depth=2)
    assert pickle.loads(pickle.dumps(some)) == some
    assert by_name(some) == {"name": "a", "token": "t", "depth": 2}
