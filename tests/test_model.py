"""The values and the errors: what others store, send and exit by must not move unnoticed."""

from __future__ import annotations

import dataclasses
import inspect
import pickle
import re
from enum import StrEnum

import pytest

from syncd import errors, model

VALUES = [
    model.Local(stat=(3, 1, 7), digest="ab"),
    model.Item(key="a/b", id="1", version=2),
    model.Receipt(key="a/b", id="1", version=2, digest="ab"),
    model.Policy(),
    model.Triple(path="a", key="a", local=None, remote=None, receipt=None),
    model.Action(verb=model.Verb.PUT, path="a", key="a"),
]
CLASSES = {name: c for name, c in vars(model).items() if dataclasses.is_dataclass(c)}
ERRORS: list[type[errors.SyncdError]] = [
    found
    for found in vars(errors).values()
    if isinstance(found, type) and issubclass(found, errors.SyncdError)
]


def test_every_value_of_the_model_is_tried_here():
    assert {type(value) for value in VALUES} == set(CLASSES.values())


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_are_small_and_made_by_name(value):
    assert not hasattr(value, "__dict__")
    assert all(f.kw_only for f in dataclasses.fields(value))
    assert pickle.loads(pickle.dumps(value)) == value


def test_words_that_are_stored_or_sent_keep_their_spelling():
    assert {kind.__name__: [str(word) for word in kind] for kind in words()} == {
        "ItemState": ["present", "trashed", "purged"],
        "Layout": ["first-level", "tree", "flat"],
        "OnDelete": ["trash", "keep", "delete"],
        "OnConflict": ["keep", "suffix"],
        "Verb": [
            "read", "put", "replace", "move", "remove", "adopt", "forget", "hold", "conflict",
            "nothing",
        ],
    }  # fmt: skip


def words():
    return [
        c
        for c in vars(model).values()
        if inspect.isclass(c) and issubclass(c, StrEnum) and c is not StrEnum
    ]


def test_the_size_of_a_local_file_is_that_of_its_observation():
    assert model.Local(stat=(3, 1, 7)).size == 3


def test_nothing_is_decided_for_the_user_that_could_lose_something():
    policy = model.Policy()
    assert (policy.on_delete, policy.on_conflict) == ("trash", "keep")


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_is_one_line_with_its_path_first(error):
    assert issubclass(error, errors.SyncdError)
    raised = error("disk is full")
    assert str(raised) == "disk is full"
    raised.path = "a/b.jpg"
    assert str(raised) == "a/b.jpg: disk is full"


def test_a_hint_says_what_to_do():
    error = errors.ConfigError("no such remote", path="lab", hint="see syncd config")
    assert str(error) == "lab: no such remote (see syncd config)"


def test_exit_codes_are_the_documented_ones():
    codes = {error.__name__: error.exit_code for error in ERRORS if error.exit_code != 1}
    assert codes == {
        "UsageError": 2,
        "ConfigError": 3,
        "NotFoundError": 4,
        "TransientError": 5,
        "GarbledError": 5,
        "BusyError": 6,
        "DeniedError": 7,
        "NoRoomError": 7,
    }


def test_the_tree_of_errors_in_the_docstring_is_the_real_one():
    documented = re.findall(r"─ (\w+)", errors.__doc__ or "")
    assert {e.__name__ for e in ERRORS} == {"SyncdError", *documented}


def test_a_garbled_answer_is_retried_like_an_outage():
    assert issubclass(errors.GarbledError, errors.TransientError)
    assert errors.TransientError("busy", retry_after=2.5).retry_after == 2.5
