"""What an installation decides and tells systemd, a second one above all; systemctl is a script."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from syncd.config.places import Places, places
from syncd.errors import ConfigError, StateError
from syncd.service import install as installing
from syncd.service import reach
from syncd.service.install import commands, install, uninstall
from syncd.service.plan import Plan, Wish, instance, plan
from syncd.service.scope import DAEMON, Scope
from syncd.service.text import Shown, made_by, user_of
from syncd.state.lock import FolderLock
from tests.sources import ROOT

SYSTEMCTL = """#!/bin/sh
echo "$*" >> "{folder}/log"
case "$*" in *show*) cat "{folder}/state";; *is-active*) echo active;; esac
"""
JOURNALCTL = """#!/bin/sh
echo "scnas: there is no dataset of this name"
"""


@dataclass(frozen=True)
class Desk:
    """One user's places, and the systemctl that notes what it is told."""

    folder: Path
    scope: Scope
    where: Places

    def plan(self, *folders: Path, **more: str | None) -> Plan:
        mounts = [Shown(path=self.folder / "shown", dataset=name)
                  for name in [more.pop("mount", None)] if name]  # fmt: skip
        return plan(self.scope, Wish(folders=folders, mounts=mounts, **more), self.where)

    def install(self, *folders: Path, **more: str | None) -> list[str]:
        """Carry it out; what systemctl was told."""
        log = self.folder / "log"
        log.write_text("")
        install(self.scope, self.plan(*folders, **more))
        return [line.removeprefix("--user ") for line in log.read_text().splitlines()
                if " show " not in line and "is-active" not in line]  # fmt: skip

    def says(self, state: str) -> None:
        (self.folder / "state").write_text(state)

    @property
    def root(self) -> Path:
        return self.folder / "pics"

    @property
    def shown(self) -> Path:
        return self.folder / "shown"

    @property
    def unit(self) -> str:
        return instance(self.shown)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    if shutil.which("systemd-escape") is None:
        pytest.skip("systemd-escape, which names the units of mounts, is not on this machine")
    for name, text in (("systemctl", SYSTEMCTL), ("journalctl", JOURNALCTL)):
        script = tmp_path / "bin" / name
        script.parent.mkdir(exist_ok=True)
        script.write_text(text.format(folder=tmp_path))
        script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    config = tmp_path / ".config/syncd"
    scope = Scope(
        system=False, units=tmp_path / ".config/systemd/user", config=config / "service.toml",
        token=config / "token", templates=ROOT / "systemd/user",
    )  # fmt: skip
    where = places({"HOME": str(tmp_path), "SYNCD_CONFIG_FILE": str(scope.config)})
    made = Desk(tmp_path, scope, where)
    made.root.mkdir()
    made.says("ActiveState=active\n")
    return made


def listing(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


@pytest.mark.parametrize(
    ("place", "why"),
    [
        (lambda desk: [desk.root, desk.root / "inner"], "the roots .* lie in each other"),
        (lambda desk: [desk.folder], "the mount .* and the root .* lie in each other"),
    ],
)
def test_what_the_daemon_would_refuse_is_refused_before_anything_is_written(
    desk: Desk, place: Callable[[Desk], list[Path]], why: str
):
    (desk.root / "inner").mkdir()
    before = listing(desk.folder)
    with pytest.raises(ConfigError, match=why):
        desk.install(*place(desk), mount="pics")
    assert listing(desk.folder) - before == {desk.folder / "log"}


def test_a_second_installation_changes_nothing_and_disturbs_nobody(desk: Desk):
    told = desk.install(desk.root, mount="pics")
    assert f"restart --no-block {desk.unit}" in told
    told = desk.install(desk.root, mount="pics")
    assert [line for line in told if line.startswith(("restart", "reload"))] == []
    assert made_by(desk.scope.drop_in(desk.unit).read_text()) == desk.shown


def test_a_folder_made_by_an_earlier_installation_goes_with_the_last(desk: Desk):
    desk.install(desk.root, mount="pics")
    desk.install(desk.root, mount="pics")
    uninstall(desk.scope, desk.where)
    assert not desk.shown.exists()
    desk.shown.mkdir()
    desk.install(desk.root, mount="pics")
    uninstall(desk.scope, desk.where)
    assert desk.shown.exists(), "it was there before"


def test_a_dead_mount_is_there(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    desk.install(desk.root, mount="pics")
    real = os.lstat

    def refused(path: str | Path) -> os.stat_result:
        if Path(path) == desk.shown:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        return real(path)

    with monkeypatch.context() as patched:
        patched.setattr("syncd.service.plan.os.lstat", refused)
        assert desk.plan(mount="pics").folders == []


@pytest.mark.parametrize("more", [{"mount": "other"}, {"url": "http://127.0.0.1:1", "token": "t"}])
def test_a_mount_that_changed_is_restarted(desk: Desk, more: dict[str, str]):
    desk.install(desk.root, mount="pics", token="t")
    told = desk.install(**more)
    assert f"restart --no-block {desk.unit}" in told
    assert f"reload --no-block {DAEMON}" in told


def test_the_user_stays_who_he_was(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    for name in ("check_user", "check_program", "check_folder"):
        monkeypatch.setattr(reach, name, lambda *words: None)
    machine = Desk(desk.folder, replace(desk.scope, system=True), desk.where)
    first = machine.plan(machine.root, run_as="cam")
    for file in first.files:
        file.path.parent.mkdir(parents=True, exist_ok=True)
        file.path.write_text(file.text)
    assert user_of(machine.scope.drop_in(DAEMON).read_text()) == "cam"
    assert machine.plan(machine.root).user == "cam"
    assert machine.plan(machine.root, run_as="ann").user == "ann"


def test_what_is_shown_beforehand_is_what_is_done(desk: Desk):
    for dataset in ("pics", "other"):
        shown = commands(desk.scope, desk.plan(desk.root, mount=dataset))
        assert desk.install(desk.root, mount=dataset) == [" ".join(words) for words in shown]


@pytest.mark.parametrize(
    ("state", "patience", "why"),
    [
        ("ActiveState=activating\nJob=7\n", 0.3, "did not start in 0 s"),
        ("ActiveState=failed\n", 600.0, "does not run"),
    ],
)
def test_a_unit_that_does_not_start_is_told_with_its_last_words(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, state: str, patience: float, why: str
):
    monkeypatch.setattr(installing, "START_S", patience)
    desk.says(state)
    with pytest.raises(StateError, match=why) as caught:
        desk.install(desk.root, mount="scnas")
    assert "there is no dataset of this name" in str(caught.value)


def test_the_caches_of_a_user_go_unless_another_mount_uses_them(desk: Desk):
    desk.install(desk.root)
    caches = [
        desk.where.cache / "blocks",
        desk.where.cache / "blocks-2",
        desk.where.cache / "mounts",
    ]
    for folder in caches:
        folder.mkdir(parents=True)
    with FolderLock(desk.where.state / "mounts/0123", what="a mount of a command"):
        assert f"{desk.where.cache}: another mount uses it" in uninstall(desk.scope, desk.where)
        assert all(folder.exists() for folder in caches)
    desk.install(desk.root)
    assert uninstall(desk.scope, desk.where) == []
    assert not desk.where.cache.exists()
    assert not desk.where.state.exists()
