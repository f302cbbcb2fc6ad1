"""What keys, dataset names and digests are taken, and what they come apart into."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.hub import keys

BAD = [
    "", "/", "/a", "a/", "a//b", "//", ".", "..", "a/..", "../a", "a/../b", "a/./b", "./a", "a/.",
    "/etc/passwd", "a\0b", "dir\0/b", "n" * 256, "ä" * 128, f"{'n' * 256}/a", "a/" * 2048 + "ab",
    "\ud800", "a/\udcff", None, 7, b"a", ["a"],
]  # fmt: skip
GOOD = {
    "a": ("", "a"),
    "a/b": ("a", "b"),
    "a/b/c": ("a/b", "c"),
    "n" * 255: ("", "n" * 255),
    "line\nbreak": ("", "line\nbreak"),
    "🐈/✨.png": ("🐈", "✨.png"),
    "a\\b": ("", "a\\b"),
    "...": ("", "..."),
    "a/ ": ("a", " "),
    "C:/x": ("C:", "x"),
    "a/" * 2047 + "b": ("/".join("a" * 2047), "b"),
}


@pytest.mark.parametrize("key", BAD, ids=repr)
def test_cve_2023_1177_a_key_that_could_leave_its_folder_is_refused(key):
    with pytest.raises(keys.BadNameError):
        keys.split(key)


@pytest.mark.parametrize(("key", "parts"), GOOD.items(), ids=lambda value: repr(value)[:20])
def test_a_key_comes_apart_at_its_last_slash(key, parts):
    assert keys.split(key) == parts


@given(st.text())
def test_what_is_taken_is_exactly_what_could_be_a_file_below_a_folder(key):
    parts = key.split("/")
    fits = len(key.encode(errors="replace")) <= 4096
    fits &= all(0 < len(p.encode(errors="replace")) <= 255 and p not in (".", "..") for p in parts)
    fits &= "\0" not in key and not any("\ud800" <= c <= "\udfff" for c in key)
    try:
        folder, name = keys.split(key)
    except keys.BadNameError:
        assert not fits
    else:
        assert fits
        assert (f"{folder}/{name}" if folder else name) == key


def test_composed_and_decomposed_letters_are_two_keys():
    assert keys.split("caf\u00e9") != keys.split("cafe\u0301")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "n" * 256, "a\0", "\udc80"])
def test_a_dataset_has_a_plain_name(name):
    with pytest.raises(keys.BadNameError):
        keys.dataset(name)
    assert keys.dataset("Ein Name\nmit Zeile ✓") == "Ein Name\nmit Zeile ✓"


@pytest.mark.parametrize(
    "text", ["", "0" * 63, "0" * 65, "A" * 64, "g" * 64, "\u0660" * 64, None, 5]
)
def test_a_digest_is_lower_case_hex_and_nothing_else(text):
    with pytest.raises(keys.BadNameError):
        keys.digest(text)
    assert keys.digest("0a" * 32) == b"\x0a" * 32
