"""Names: where a path goes, and that every name it may get can be carried."""

from __future__ import annotations

from hashlib import sha256
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.errors import NameRefusedError
from syncd.model import Layout, Policy
from syncd.plan.layout import alternates, place, suffixed

FIRST = Policy()
TREE = Policy(layout=Layout.TREE)
FLAT = Policy(layout=Layout.FLAT)

segments = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=90
).filter(lambda name: name not in (".", "..") and len(name.encode()) <= 255)
paths = st.lists(segments, min_size=1, max_size=5).map("/".join)
policies = st.builds(
    Policy,
    layout=st.sampled_from(Layout),
    prefix=st.sampled_from(["", "a", "a/b"]),
    source=st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
)


def some(names, number=6):
    return list(islice(names, number))


@pytest.mark.parametrize(
    ("path", "policy", "key"),
    [
        ("004.jpg", FIRST, "004.jpg"),
        ("stop/004.jpg", FIRST, "stop/004.jpg"),
        ("stop/night/005.jpg", FIRST, "stop/005.jpg"),
        ("stop/night/cam1/005.jpg", FIRST, "stop/005.jpg"),
        ("stop/night/005.jpg", TREE, "stop/night/005.jpg"),
        ("stop/night/005.jpg", FLAT, "005.jpg"),
        ("stop/night/005.jpg", Policy(prefix="a/b"), "a/b/stop/005.jpg"),
        ("004.jpg", Policy(prefix="a"), "a/004.jpg"),
        ("x/y/1", Policy(layout=Layout.FLAT, prefix="a/b"), "a/b/1"),
        ("x/y/1", Policy(layout=Layout.TREE, prefix="a/b"), "a/b/x/y/1"),
        ("line\nfeed/🦔 .jpg", FIRST, "line\nfeed/🦔 .jpg"),
        ("e\u0301/\u00e9.jpg", FIRST, "e\u0301/\u00e9.jpg"),
    ],
)
def test_a_path_has_its_place(path, policy, key):
    assert place(path, policy) == key


@pytest.mark.parametrize(
    ("path", "policy", "names"),
    [
        ("stop/night/005.jpg", FIRST, ["005", "005~night", "005~night~2", "005~night~3"]),
        ("stop/night/cam1/005.jpg", FIRST, ["005", "005~night~cam1", "005~night~cam1~2"]),
        ("stop/005.jpg", FIRST, ["005", "005~2", "005~3", "005~4"]),
    ],
)
def test_the_next_names_carry_the_folders(path, policy, names):
    assert some(alternates(path, policy), len(names)) == [f"stop/{name}.jpg" for name in names]


@pytest.mark.parametrize(
    ("name", "second"),
    [
        ("a.tar.gz", "a.tar~2.gz"),
        ("README", "README~2"),
        (".jpg", ".jpg~2"),
        ("..jpg", ".~2.jpg"),
        ("...", "...~2"),
        ("a.", "a.~2"),
        (".profile.bak", ".profile~2.bak"),
        ("a." + "x" * 31, "a~2." + "x" * 31),
        ("a." + "x" * 32, "a." + "x" * 32 + "~2"),
    ],
)
def test_the_extension_is_the_last_suffix(name, second):
    assert some(alternates(name, TREE), 2) == [name, second]


def test_flat_names_carry_all_folders():
    assert some(alternates("stop/005.jpg", FLAT), 3) == [
        "005.jpg",
        "005~stop.jpg",
        "005~stop~2.jpg",
    ]


def test_a_source_is_put_at_the_end_of_the_name():
    cam = Policy(source="cam-b")
    assert some(suffixed("s/005.jpg", cam), 3) == [
        "s/005~cam-b.jpg", "s/005~cam-b~2.jpg", "s/005~cam-b~3.jpg",
    ]  # fmt: skip
    assert some(suffixed("s/night/005.jpg", cam), 3) == [
        "s/005~cam-b.jpg", "s/005~night~cam-b.jpg", "s/005~night~cam-b~2.jpg",
    ]  # fmt: skip
    assert next(suffixed("1.jpg", Policy(source="a/b\0c"))) == "1~a-b-c.jpg"


def test_a_name_of_255_bytes_is_carried_and_a_longer_one_is_refused():
    name = "ä" * 125 + "b.jpg"
    assert len(name.encode()) == 255
    assert place(f"stop/night/{name}", FIRST) == f"stop/{name}"
    second = some(alternates(f"stop/night/{name}", FIRST), 2)[1]
    mark = sha256(f"stop/night/{name}".encode()).hexdigest()[:8]
    assert second == "stop/" + "ä" * 121 + f"~{mark}.jpg"
    with pytest.raises(NameRefusedError, match="longer than 255 bytes: shorten it"):
        place(name + "x", FIRST)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("caf\udce9.jpg", "not valid UTF-8 and cannot be carried: rename it"),
        ("stop/\ud800/1.jpg", "not valid UTF-8"),
        ("a\0b.jpg", "NUL character: rename it"),
        ("", "empty, `.` or `..` segment"),
        ("/a", "empty, `.` or `..` segment"),
        ("a//b", "empty, `.` or `..` segment"),
        ("a/", "empty, `.` or `..` segment"),
        ("a/../b", "empty, `.` or `..` segment"),
        ("./b", "empty, `.` or `..` segment"),
    ],
)
@pytest.mark.parametrize("policy", [FIRST, TREE, FLAT])
@pytest.mark.parametrize("name", [place, lambda *args: next(alternates(*args))])
def test_what_cannot_be_carried_is_refused_with_the_way_out(path, why, policy, name):
    with pytest.raises(NameRefusedError, match=why) as caught:
        name(path, policy)
    assert caught.value.path == path


@given(paths, policies)
def test_every_name_can_be_carried(path, policy):
    keys = some(alternates(path, policy))
    beside = some(suffixed(path, policy))
    assert keys[0] == place(path, policy)
    assert len(set(keys)) == len(keys)
    assert len(set(beside)) == len(beside)
    folder = keys[0].rpartition("/")[0]
    for key in keys + beside:
        assert key.rpartition("/")[0] == folder
        assert place(key, TREE) == key
    assert some(alternates(path, policy)) == keys


@given(paths)
def test_tree_keeps_the_path_as_it_is(path):
    assert place(path, TREE) == path


@given(segments, segments, segments, segments, policies)
def test_folders_of_one_depth_never_compete_for_the_second_name(top, one, two, name, policy):
    seconds = [some(alternates(f"{top}/{own}/{name}", policy), 2)[1] for own in (one, two)]
    same = one == two
    assert (seconds[0] == seconds[1]) == same
