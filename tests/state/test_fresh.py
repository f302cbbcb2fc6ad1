"""A new state file is made from text: the same as the migrations make, and as good to migrate."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import scripts.state as template
from syncd.state.folder import FILE
from syncd.state.schema import migrations, upgrade
from syncd.state.store import FRESH, VERSION, State


def shape(file):
    with closing(sqlite3.connect(file)) as sql:
        tables = sql.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall()
        steps = sql.execute("SELECT migration_set, name FROM _sqlite_migrations").fetchall()
        pragmas = [sql.execute(f"PRAGMA {p}").fetchone() for p in ("user_version", "journal_mode")]
    return tables, steps, pragmas


def test_the_text_is_what_the_migrations_come_to():
    assert FRESH.read_text() == template.text(), "run `make docs`"


def test_a_new_file_is_like_one_that_was_migrated(tmp_path):
    State(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "other.db")) as sql:
        upgrade(sql, VERSION)
    assert shape(tmp_path / FILE) == shape(tmp_path / "other.db")


def test_a_new_file_has_no_migration_to_come(tmp_path):
    State(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / FILE)) as sql:
        before = sql.total_changes
        upgrade(sql, VERSION)
        assert sql.total_changes == before


def test_an_old_file_gets_the_migrations_it_lacks(tmp_path):
    from sqlite_utils import Database

    with closing(sqlite3.connect(tmp_path / FILE)) as sql:
        migrations.apply(Database(sql), stop_before="m002_history")
        sql.execute("PRAGMA user_version = 1")
        sql.execute("INSERT INTO meta VALUES ('cursor', '7')")
        sql.commit()
    state = State(tmp_path)
    assert state.meta.get("cursor") == 7
    state.close()
    with closing(sqlite3.connect(tmp_path / "other.db")) as sql:
        upgrade(sql, VERSION)
    assert shape(tmp_path / FILE)[:2] == shape(tmp_path / "other.db")[:2]
