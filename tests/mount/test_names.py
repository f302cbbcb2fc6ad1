"""Whatever a key holds, it is shown under names a file system can carry."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.mount.names import MAX_BYTES, OLD, Rank, beside, place, safe

ANY = st.text(st.characters(exclude_characters="/"), max_size=400)


@given(ANY)
def test_a_name_can_be_carried(part):
    name = safe(part)
    assert 0 < len(name.encode()) <= MAX_BYTES
    assert name not in (".", "..")
    assert not {"/", "\0"} & set(name)
    assert safe(name) == name


@given(st.lists(ANY, min_size=1, max_size=4))
def test_a_key_that_can_be_carried_is_shown_as_it_is(parts):
    key = "/".join(parts)
    at = place(key)
    shown = "/".join((*at.folders, at.name))
    assert (at.rank == Rank.ITEM) == (shown == key)
    assert all(safe(part) == part for part in (*at.folders, at.name))
    assert (at.folders or (at.name,))[0] != OLD


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("a/b.jpg", "a/b.jpg"),
        ("a/../b.jpg", "a/%2E%2E/b.jpg"),
        ("./b.jpg", "%2E/b.jpg"),
        ("a//b.jpg", "a/%/b.jpg"),
        ("a\0b.jpg", "a%00b.jpg"),
        ("a\ud800.jpg", "a%uD800.jpg"),
        (".syncd-old/1", "%2Esyncd-old/1"),
        (".syncd-old", "%2Esyncd-old"),
        ("a/.syncd-old", "a/.syncd-old"),
    ],
)
def test_what_cannot_be_carried_gets_another_name(key, shown):
    at = place(key)
    assert "/".join((*at.folders, at.name)) == shown


def test_long_names_stay_apart_and_keep_their_kind():
    one, other = safe("ä" * 200 + "1.jpg"), safe("ä" * 200 + "2.jpg")
    assert one != other
    assert one.endswith(".jpg")
    assert len(one.encode()) <= MAX_BYTES


def test_a_sidecar_stands_beside_the_full_name():
    assert beside("a.jpg") == "a.jpg.json"
    assert len(beside("a" * 255).encode()) <= MAX_BYTES
