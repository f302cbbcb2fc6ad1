"""What is a candidate: by extension, by the names nobody wants, and by `.syncdignore`.

Called for every name a scan or a hint brings up, so the ordinary name must cost next to nothing
(measured 0.2 µs). The scan calls `enter` as it goes into a folder, and that is what reads
`.syncdignore`: who hears that one changed, scans. Hidden, temporary and partial files are never
candidates, whatever a pattern says.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Set
from pathlib import Path
from typing import TYPE_CHECKING

from syncd.annotation.model import SUFFIX
from syncd.errors import ConfigError

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec, Pattern

IGNORE_NAME = ".syncdignore"
LARGEST = 1024 * 1024
"""Bytes of a `.syncdignore`. Nobody writes so many patterns: it is some other file."""

OWN = "syncd's own"
"""Never counted: a user did not put it there, or put it there for syncd."""
HIDDEN = "hidden"
TEMPORARY = "temporary"
NO_EXTENSION = "no extension"
BY_PATTERN = IGNORE_NAME
HIDDEN_FOLDER = "hidden folder"
SYSTEM_FOLDER = "system folder"
FOLDER_BY_PATTERN = f"{IGNORE_NAME} folder"

TEMPORARY_SUFFIXES = frozenset(
    (
        *(".part", ".partial", ".filepart", ".crdownload", ".opdownload", ".download"),
        *(".aria2", ".!ut", ".!qb", ".bc!", ".tmp", ".temp"),
        *(".swp", ".swo", ".swx", ".swn"),
    )
)
"""What downloaders, editors and copy tools put at the end until a file is whole."""

SYSTEM_FOLDERS = frozenset(
    ("lost+found", "$recycle.bin", "system volume information", "#recycle", "@eadir")
)
"""What systems keep on a disk for themselves: things deleted, found or made small."""

_TEMPORARY = re.compile(
    r"""~\$ | .*~\Z | \#.*\#\Z | 4913\Z | thumbs\.db\Z | desktop\.ini\Z
      | .*\.sb-[0-9a-f]{8}-[a-z0-9]{6}\Z""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)

_SIGNATURE_NONE = (0, 0, 0)
_FOLDER_MARK = "ps_d"
"""The group in pathspec's expressions that a folder's closing slash matches."""


def _suffix(name: str) -> str:
    """`.jpg` of `a.jpg`; empty where there is no dot or only a leading or closing one."""
    at = name.rfind(".")
    return name[at:] if 0 < at < len(name) - 1 else ""


def is_temporary(name: str) -> bool:
    """Whether a name is one that programs use while a file is not whole yet."""
    return _suffix(name).lower() in TEMPORARY_SUFFIXES or _TEMPORARY.match(name) is not None


class Filter:
    """Decides for names, never touching the files themselves.

    `extensions` are lower case with their dot, empty meaning every file; `patterns` are
    gitignore lines relative to the root, weaker than any `.syncdignore`. One filter belongs to
    one root. Raises ConfigError for a pattern that cannot be understood.
    """

    def __init__(self, *, extensions: frozenset[str], patterns: tuple[str, ...] = ()) -> None:
        self.extensions = extensions
        self.patterns = patterns
        self._specs: dict[str, GitIgnoreSpec] = {}
        self._signatures: dict[str, tuple[int, int, int]] = {}
        self._configured = _parse(patterns) if patterns else None
        self._patterned = self._configured is not None
        # What is taken without another thought, where a name ends in it as written here.
        plain = {ext for ext in extensions if not _unsure(ext)}
        self._plain = plain | {ext.upper() for ext in plain}

    @property
    def plain(self) -> Set[str]:
        """Suffixes that alone make a candidate of a name without a dot, `~` or `#` in front;
        none where patterns have a say. The scan's hot loop asks this before `rule`."""
        return frozenset() if self._patterned else self._plain

    def rule(self, dir: str, name: str) -> str | None:
        """None for a candidate, else the name of the rule that leaves the file out."""
        if name[name.rfind(".") :] in self._plain and name[0] not in ".~#" and not self._patterned:
            return None
        return self._rule(dir, name)

    def dir_rule(self, path: str) -> str | None:
        """None for a folder to go into, else the name of the rule that leaves it out."""
        if path.startswith(".") or "/." in path:
            return HIDDEN_FOLDER
        if path.rpartition("/")[2].lower() in SYSTEM_FOLDERS:
            return SYSTEM_FOLDER
        if self._patterned and self._matches(path + "/"):
            return FOLDER_BY_PATTERN
        return None

    def why(self, path: str) -> str | None:
        """As `rule`, for a whole path: any folder above may leave it out too."""
        dir, _, name = path.rpartition("/")
        for folder in upwards(dir):
            if folder and (rule := self.dir_rule(folder)):
                return rule
        return self.rule(dir, name)

    def sidecar(self, dir: str, name: str) -> bool:
        """Whether a file that is not taken may hold the annotations of one that would be: its name
        and `.json`. Not where JSON files are taken as such, nor where a pattern leaves it out."""
        picture = name.removesuffix(SUFFIX)
        if picture == name or not self.extensions or SUFFIX in self.extensions:
            return False
        if self.rule(dir, picture) is not None:
            return False
        return not (self._patterned and self._matches(f"{dir}/{name}" if dir else name))

    def beside(self, path: str) -> bool:
        """As `sidecar`, for a whole path: any folder above may leave it out too."""
        dir, _, name = path.rpartition("/")
        return self.sidecar(dir, name) and self.why(path.removesuffix(SUFFIX)) is None

    def enter(self, root: Path | str, dir: str) -> None:
        """Reads the folder's `.syncdignore` where it is new or changed, forgets one that is gone.

        One that cannot be read or understood raises ConfigError: what it leaves out is unknown.
        """
        file = f"{root}/{dir}/{IGNORE_NAME}" if dir else f"{root}/{IGNORE_NAME}"
        try:
            found = os.stat(file)  # noqa: PTH116 - once a folder: a Path costs more than the call
        except (FileNotFoundError, NotADirectoryError):
            self._forget(dir)
            return
        except OSError:
            return  # the folder cannot be listed either, and that is reported
        signature = (found.st_size, found.st_mtime_ns, found.st_ino)
        if self._signatures.get(dir, _SIGNATURE_NONE) == signature:
            return
        _regular(found, file)
        self._specs[dir] = _load(file)
        self._signatures[dir] = signature
        self._changed()

    def _rule(self, dir: str, name: str) -> str | None:
        if name.startswith("."):
            return OWN if name.startswith(".syncd") else HIDDEN
        if is_temporary(name):
            return TEMPORARY
        suffix = _suffix(name).lower()
        if self.extensions and suffix not in self.extensions:
            return f"extension {suffix}" if suffix else NO_EXTENSION
        if self._patterned and self._matches(f"{dir}/{name}" if dir else name):
            return BY_PATTERN
        return None

    def _matches(self, path: str) -> bool:
        """Whether patterns leave `path` out: the deepest file that has a say decides."""
        for dir in upwards(path.rstrip("/").rpartition("/")[0]):
            spec = self._specs.get(dir)
            if spec is None:
                continue
            verdict = _verdict(spec, path[len(dir) + 1 :] if dir else path)
            if verdict is not None:
                return verdict
        return self._configured is not None and bool(_verdict(self._configured, path))

    def _forget(self, dir: str) -> None:
        if self._signatures.pop(dir, None) is not None:
            self._specs.pop(dir, None)
            self._changed()

    def _changed(self) -> None:
        self._patterned = self._configured is not None or bool(self._specs)


def _unsure(ext: str) -> bool:
    """Whether a temporary name could end in this extension."""
    return is_temporary("x" + ext) or ext in (".db", ".ini")


def _verdict(spec: GitIgnoreSpec, path: str) -> bool | None:
    """True: left out, False: taken back in, None: no pattern has a say. The last one decides.

    As git does, and unlike `spec.match_file`, a pattern counts only for the path itself: the
    folders above were judged on their own, when the scan was about to go into them.
    """
    for pattern in reversed(spec.patterns):
        if pattern.include is not None and _means(pattern, path):
            return bool(pattern.include)
    return None


def _means(pattern: Pattern, path: str) -> bool:
    """Whether a pattern matches the path itself, not only a folder above it."""
    found = pattern.match_file(path)
    if found is None or path[-1] != "/":
        return found is not None and found.match.lastgroup != _FOLDER_MARK
    if found.match.lastgroup != _FOLDER_MARK:
        return pattern.match_file(path[:-1]) is not None  # "a/**" is all within, but not a
    if found.match.end(_FOLDER_MARK) == len(path):
        return True
    # "**/" and its like match the first slash there is; what counts is the last one.
    return found.match.re.search(path, len(path) - 1) is not None


def upwards(dir: str) -> Iterator[str]:
    """The folder itself and everything above it up to the root, deepest first."""
    while dir:
        yield dir
        dir = dir.rpartition("/")[0]
    yield ""


def _load(file: str) -> GitIgnoreSpec:
    try:
        text = _read(file).decode("utf-8-sig", "surrogateescape")
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", path=file) from error
    return _parse(tuple(text.splitlines()), file)


def _read(file: str) -> bytes:
    """Never waits, even where a FIFO took the file's place since it was looked at."""
    fd = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _regular(os.fstat(fd), file)
        with os.fdopen(fd, "rb", closefd=False) as opened:
            data = opened.read(LARGEST + 1)
    finally:
        os.close(fd)
    if len(data) > LARGEST:
        raise ConfigError(f"cannot be read: it is longer than {LARGEST} bytes", path=file)
    return data


def _regular(found: os.stat_result, file: str) -> None:
    """Raises ConfigError for what may have no end, or whose opening alone may wait or do things."""
    if not stat.S_ISREG(found.st_mode):
        raise ConfigError("cannot be read: it is not a regular file", path=file)


def _parse(lines: tuple[str, ...], source: str | None = None) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec  # 15 ms that most folders have no use for

    try:
        return GitIgnoreSpec.from_lines(lines, backend="simple")
    except ValueError as error:
        raise ConfigError(f"not a gitignore pattern: {error}", path=source) from error
