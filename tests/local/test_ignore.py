"""What is a candidate, and what git itself would say to the same patterns."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncd.errors import ConfigError
from syncd.local.ignore import LARGEST, Filter, is_temporary
from syncd.local.kind import EXTENSIONS, KINDS

PLAIN = Filter(extensions=EXTENSIONS)
EVERY = Filter(extensions=frozenset())

TEMPORARY = [
    "a.jpg.part",
    "a.jpg.partial",
    "a.PARTIAL",
    "a.jpg.crdownload",
    "a.jpg.filepart",
    "a.mp4.download",
    "a.mp4.aria2",
    "a.tmp",
    "a.jpg.TMP",
    "a.temp",
    "a.swp",
    "a.jpg.swx",
    "a.jpg~",
    "#a.jpg#",
    "~$a.jpg",
    "4913",
    "Thumbs.db",
    "desktop.ini",
    "a.jpg.sb-1234abcd-Ab12Cd",
]


def test_every_default_extension_is_taken_in_any_case() -> None:
    for extension in EXTENSIONS:
        assert PLAIN.rule("a", "x" + extension) is None
        assert PLAIN.rule("a", "x" + extension.upper()) is None
        assert PLAIN.rule("", "x" + extension.title()) is None
    assert {"image", "video", "dicom"} == set(KINDS)
    assert all(ext == ext.lower() and ext[0] == "." for ext in EXTENSIONS)


@pytest.mark.parametrize("name", TEMPORARY)
def test_temporary_names_are_never_taken(name: str) -> None:
    assert EVERY.rule("a/b", name) == "temporary"
    assert Filter(extensions=frozenset({".jpg", ".db", ".part"})).rule("", name) is not None


@pytest.mark.parametrize(
    "name",
    [".x.jpg.AbC123", ".nfs0000000000000001", ".fuse_hidden0001", ".x.jpg.swp", ".jpg", "..jpg"],
)
def test_hidden_names_are_never_taken(name: str) -> None:
    assert EVERY.rule("", name) == "hidden"
    assert PLAIN.rule("a", name) == "hidden"


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("notes.txt", "extension .txt"),
        ("A.TXT", "extension .txt"),
        ("README", "no extension"),
        ("end.", "no extension"),
        ("a.jpg.gz", "extension .gz"),
        ("#a.jpg", None),
        ("~a.jpg", None),
        ("a b\nc.jpg", None),
        ("\u00e9\U0001f431.jpg", None),
        ("part.jpg", None),
        ("tmp.png", None),
        ("a.part.jpg", None),
    ],
)
def test_names(name: str, rule: str | None) -> None:
    assert PLAIN.rule("a", name) == rule


def test_no_extensions_means_every_file() -> None:
    assert EVERY.rule("", "README") is None
    assert EVERY.rule("a", "x.txt") is None


def test_folders() -> None:
    assert PLAIN.dir_rule("a/b") is None
    assert PLAIN.dir_rule(".git") == "hidden folder"
    assert PLAIN.dir_rule("a/.cache/b") == "hidden folder"
    assert PLAIN.dir_rule("lost+found") == "system folder"
    assert PLAIN.dir_rule("a/$RECYCLE.BIN") == "system folder"
    assert PLAIN.why("a/.cache/b/x.jpg") == "hidden folder"
    assert PLAIN.why("a/x.txt") == "extension .txt"
    assert PLAIN.why("a/x.jpg") is None


def test_patterns_of_the_configuration() -> None:
    chosen = Filter(extensions=EXTENSIONS, patterns=("raw/", "*_mask.png", "!keep_mask.png"))
    assert chosen.dir_rule("a/raw") == ".syncdignore folder"
    assert chosen.rule("a", "x_mask.png") == ".syncdignore"
    assert chosen.rule("a", "keep_mask.png") is None
    assert chosen.rule("a", "x.png") is None
    assert chosen.why("raw/deep/x.png") == ".syncdignore folder"


def test_a_bad_pattern_names_its_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        Filter(extensions=EXTENSIONS, patterns=("!",))
    chosen = Filter(extensions=EXTENSIONS)
    (tmp_path / ".syncdignore").write_text("!\n")
    for _ in range(2):  # not only the first time
        with pytest.raises(ConfigError, match=r"\.syncdignore"):
            chosen.enter(tmp_path, "")


@pytest.mark.parametrize("kind", ["fifo", "socket", "endless", "folder", "long"])
def test_what_is_no_file_of_patterns_is_named_and_not_waited_for(tmp_path: Path, kind: str) -> None:
    file, chosen = tmp_path / ".syncdignore", Filter(extensions=EXTENSIONS)
    with socket.socket(socket.AF_UNIX) as listener:
        {
            "fifo": lambda: os.mkfifo(file),
            "socket": lambda: listener.bind(os.fspath(file)),
            "endless": lambda: file.symlink_to("/dev/zero"),
            "folder": file.mkdir,
            "long": lambda: file.write_text("*.png\n" * (LARGEST // 6 + 1)),
        }[kind]()
        for _ in range(2):
            why = "longer than" if kind == "long" else "not a regular file"
            with pytest.raises(ConfigError, match=rf"\.syncdignore: cannot be read: it is {why}"):
                chosen.enter(tmp_path, "")


def test_a_fifo_that_took_the_place_of_the_file_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "before").write_text("*.png\n")
    before = (tmp_path / "before").stat()
    os.mkfifo(tmp_path / ".syncdignore")
    with monkeypatch.context() as patched:
        patched.setattr(os, "stat", lambda _file: before)
        with pytest.raises(ConfigError, match="not a regular file"):
            Filter(extensions=EXTENSIONS).enter(tmp_path, "")


def test_deeper_files_win_and_patterns_are_relative_to_their_folder(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / ".syncdignore").write_text("*.png\n/top.jpg\n")
    (tmp_path / "a/.syncdignore").write_text("!keep.png\n/b/x.jpg\n")
    chosen = Filter(extensions=EXTENSIONS)
    for dir in ("", "a", "a/b"):
        chosen.enter(tmp_path, dir)
    assert chosen.rule("", "x.png") == ".syncdignore"
    assert chosen.rule("a/b", "keep.png") is None
    assert chosen.rule("", "keep.png") == ".syncdignore"
    assert chosen.rule("", "top.jpg") == ".syncdignore"
    assert chosen.rule("a", "top.jpg") is None
    assert chosen.rule("a/b", "x.jpg") == ".syncdignore"
    assert chosen.rule("b", "x.jpg") is None


def test_a_changed_file_is_read_again_and_a_deleted_one_forgotten(tmp_path: Path) -> None:
    chosen, file = Filter(extensions=EXTENSIONS), tmp_path / ".syncdignore"

    def ruled_out() -> list[str]:
        chosen.enter(tmp_path, "")
        return [name for name in ("x.png", "x.jpg") if chosen.rule("", name)]

    assert ruled_out() == []
    file.write_text("*.png\n")
    assert ruled_out() == ["x.png"]
    file.write_text("*.jpg\n")
    assert ruled_out() == ["x.jpg"]
    file.unlink()
    assert ruled_out() == []


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=()), min_size=1))
def test_any_name_gets_an_answer(name: str) -> None:
    rule = PLAIN.rule("a", name)
    assert rule is None or rule
    if rule is None:
        assert not name.startswith(".")
        assert not is_temporary(name)
        assert "." + name.rpartition(".")[2].lower() in EXTENSIONS
    assert PLAIN.why(f"a/{name}") == rule


NAMES = ["a", "b", "raw", "x.jpg", "y.png", "x1.png"]
PATTERNS = [
    *("*.png", "/a", "a/", "!x1.png", "!*.png", "b/*.jpg", "**/raw", "raw/**", "/b/**/y.png"),
    *("x?.png", "[xy].jpg", "!/a/", "*", "!*/", "# note", "", "a/b", "\\!x", "x.jpg "),
]


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    top=st.lists(st.sampled_from(PATTERNS), max_size=4),
    deep=st.lists(st.sampled_from(PATTERNS), max_size=3),
    folder=st.lists(st.sampled_from(["a", "b", "raw"]), min_size=1, max_size=2),
    name=st.sampled_from(["x.jpg", "y.png", "x1.png"]),
)
def test_git_gives_the_same_answer(
    top: list[str], deep: list[str], folder: list[str], name: str, home: Path
) -> None:
    repository = home / "repository"
    inner = repository / folder[0]
    if not repository.exists():
        subprocess.run(["git", "init", "-q", repository], check=True)
    for other in ("a", "b", "raw"):
        (repository / other).mkdir(exist_ok=True)
        (repository / other / ".gitignore").unlink(missing_ok=True)
    chosen = Filter(extensions=EXTENSIONS)
    for place, lines in ((repository, top), (inner, deep)):
        text = "\n".join(lines) + "\n"
        (place / ".gitignore").write_text(text)
        (place / ".syncdignore").write_text(text)
    path = "/".join([*folder, name])
    git = subprocess.run(
        ["git", "-C", repository, "check-ignore", "-q", "--no-index", path], check=False
    )
    chosen.enter(repository, "")
    chosen.enter(repository, folder[0])
    assert (chosen.why(path) is not None) == (git.returncode == 0)
    (inner / ".syncdignore").unlink()
