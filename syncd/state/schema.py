"""The state file's tables and how they came to be; `store` and `report` are the only readers.

A migration is never edited once released: a new one is added below it.
"""

from __future__ import annotations

import sqlite3

from sqlite_utils import Database, Migrations

from syncd.state.row import OPEN, RENAMED

migrations = Migrations("syncd")


def upgrade(sql: sqlite3.Connection, version: int) -> None:
    """Bring a state file, new or old, to `version`: apply the migrations it lacks."""
    db = Database(sql)
    db.enable_wal()  # A file in memory stays as it is.
    migrations.apply(db)
    sql.execute(f"PRAGMA user_version = {version}")


@migrations()
def m001_mirror(db: Database) -> None:
    db.conn.execute(FILES)
    for index in FILES_INDEXES:
        db.conn.execute(index)
    db.conn.execute(FOLDERS)
    for trigger in FOLDERS_TRIGGERS:
        db.conn.execute(trigger)
    db.conn.execute(ITEMS)
    db.conn.execute("CREATE INDEX items_key ON items(key)")
    db.conn.execute(TROUBLES)
    db.conn.execute("CREATE INDEX troubles_key ON troubles(key)")
    db.conn.execute(META)


@migrations()
def m002_history(db: Database) -> None:
    db.conn.execute(HISTORY)


@migrations()
def m003_sidecars(db: Database) -> None:
    db.conn.execute(SIDECARS)
    for statement in SIDECARS_INDEXES + SIDECARS_TRIGGERS:
        db.conn.execute(statement)


@migrations()
def m004_tombstones(db: Database) -> None:
    db.conn.execute("CREATE INDEX items_gone ON items(state, id) WHERE state <> 'present'")


@migrations()
def m005_unsent(db: Database) -> None:
    db.conn.execute("DROP INDEX files_open")
    db.conn.execute(f"CREATE INDEX files_open ON files(dir, name) WHERE {OPEN}")


# One row per local path that is, or was when last stored, a candidate.
FILES = """
CREATE TABLE files (
    dir           TEXT NOT NULL,     -- folder relative to the root, POSIX; '' is the root
    name          TEXT NOT NULL,     -- file name
    size          INTEGER NOT NULL,  -- bytes, as last seen
    mtime_ns      INTEGER NOT NULL,  -- as last seen; 0: look again, the clock was too coarse
    inode         INTEGER NOT NULL,  -- as last seen; pairs a vanished path with a new one
    gone          INTEGER,           -- ns when it was found missing; NULL: it is there
    digest        TEXT,              -- SHA-256 of that content; NULL: not read since it changed
    was_size      INTEGER,           -- as seen when it was what the receipt says, where it has
    was_mtime_ns  INTEGER,           -- changed since: content that left this name may be found
    was_inode     INTEGER,           -- under another; NULL: it is still what it was
    key           TEXT,              -- where it belongs; NULL: not placed yet
    item_id       TEXT,              -- receipt: the remote's item; NULL: no receipt
    version       INTEGER,           -- receipt: its version; NULL: the remote has none
    stored_key    TEXT,              -- receipt: the key it was stored under
    stored_digest TEXT,              -- receipt: what was stored
    stored_ns     INTEGER,           -- receipt: when the remote said so
    due           INTEGER,           -- ns when to decide next; NULL: not before something changes
    PRIMARY KEY (dir, name)
) STRICT, WITHOUT ROWID
"""

FILES_INDEXES = (
    "CREATE UNIQUE INDEX files_key ON files(key) WHERE key IS NOT NULL",
    "CREATE UNIQUE INDEX files_item ON files(item_id) WHERE item_id IS NOT NULL",
    "CREATE INDEX files_due ON files(due, dir, name) WHERE due IS NOT NULL",
    "CREATE INDEX files_open ON files(dir, name) WHERE item_id IS NULL OR digest IS NULL",
    f"CREATE INDEX files_renamed ON files(dir) WHERE {RENAMED}",
    "CREATE INDEX files_gone_inode ON files(inode) WHERE gone IS NOT NULL",
    "CREATE INDEX files_gone_size ON files(size) WHERE gone IS NOT NULL",
    "CREATE INDEX files_was ON files(was_inode) WHERE was_inode IS NOT NULL",
    "CREATE INDEX files_displaced ON files(inode) WHERE was_inode IS NOT NULL",
)

# A folder's print, while the rows of its files are just what the scan saw that it was taken from:
# a scan of 300,000 unchanged files then compares 1,000 prints. Whatever changes a row's
# observation drops the print, by these triggers and not by anybody's care.
FOLDERS = "CREATE TABLE folders (dir TEXT PRIMARY KEY, print TEXT NOT NULL) STRICT, WITHOUT ROWID"

FOLDERS_TRIGGERS = (
    "CREATE TRIGGER files_added AFTER INSERT ON files"
    " BEGIN DELETE FROM folders WHERE dir = new.dir; END",
    "CREATE TRIGGER files_dropped AFTER DELETE ON files"
    " BEGIN DELETE FROM folders WHERE dir = old.dir; END",
    "CREATE TRIGGER files_changed AFTER UPDATE OF size, mtime_ns, inode, gone ON files"
    " WHEN (old.size, old.mtime_ns, old.inode, old.gone)"
    " IS NOT (new.size, new.mtime_ns, new.inode, new.gone)"
    " BEGIN DELETE FROM folders WHERE dir = new.dir; END",
)

# What the remote holds that the receipts do not say: foreign items, items changed there,
# tombstones. The remote tree is the receipts overlaid by these rows.
ITEMS = """
CREATE TABLE items (
    id          TEXT PRIMARY KEY,  -- the remote's item
    key         TEXT NOT NULL,     -- folder/name
    version     INTEGER,
    digest      TEXT,
    size        INTEGER,
    state       TEXT NOT NULL,     -- present, trashed, purged; absent: proven gone, no tombstone
    by          TEXT NOT NULL,     -- the source that last changed it
    modified_ns INTEGER
) STRICT, WITHOUT ROWID
"""

# Why a row is not in sync, for status and for back-off; gone once it is.
TROUBLES = """
CREATE TABLE troubles (
    dir      TEXT NOT NULL,
    name     TEXT NOT NULL,
    kind     TEXT NOT NULL,     -- failed, conflict, held, refused, unsettled
    key      TEXT,              -- the key in question, where that is not the row's own
    reason   TEXT NOT NULL,     -- one sentence for a person
    tries    INTEGER NOT NULL,  -- how often in a row, for back-off
    since_ns INTEGER NOT NULL,
    retry_ns INTEGER,           -- when it is tried again; NULL: not before something changes
    PRIMARY KEY (dir, name)
) STRICT, WITHOUT ROWID
"""


# Root identity, dataset, generation, cursor, policy, last sweep: one JSON value each.
META = "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID"

# What was done to files and why. No index but the order of time: a line costs every stored file
# its time, and a person who asks can wait the 30 ms that reading all of it takes.
HISTORY = """
CREATE TABLE history (
    id     INTEGER PRIMARY KEY,
    at_ns  INTEGER NOT NULL,
    path   TEXT NOT NULL,
    verb   TEXT NOT NULL,     -- stored, replaced, moved, removed, adopted, failed, ...
    reason TEXT NOT NULL      -- a sentence fragment for a person
) STRICT
"""

# Files named like a sidecar (a.jpg.json), keyed by the path of the picture they lie beside.
SIDECARS = """
CREATE TABLE sidecars (
    dir      TEXT NOT NULL,
    name     TEXT NOT NULL,     -- of the picture: a.jpg
    size     INTEGER NOT NULL,  -- the sidecar's own, as in files
    mtime_ns INTEGER NOT NULL,
    inode    INTEGER NOT NULL,
    gone     INTEGER,           -- ns when it was found missing; NULL: it is there
    digest   TEXT,              -- SHA-256 of its content; NULL: not read since it changed
    kind     TEXT NOT NULL DEFAULT 'unread',  -- sidecar; other: other JSON; broken: reason says why
    item_id  TEXT,              -- the item it was last set on, or is about to be
    applied  TEXT,              -- digest of the content that is set there; NULL: none surely is
    brought  TEXT NOT NULL DEFAULT '[]',  -- JSON: operations of its that may be at the remote
    reason   TEXT,              -- why it is not set, for a person
    tries    INTEGER NOT NULL DEFAULT 0,
    due      INTEGER,           -- as in files
    PRIMARY KEY (dir, name)
) STRICT, WITHOUT ROWID
"""

SIDECARS_INDEXES = (
    "CREATE INDEX sidecars_due ON sidecars(due) WHERE due IS NOT NULL",
    "CREATE INDEX sidecars_item ON sidecars(item_id) WHERE item_id IS NOT NULL",
    "CREATE INDEX sidecars_gone ON sidecars(inode) WHERE gone IS NOT NULL",
)

# As for files: a folder's print covers its sidecars.
SIDECARS_TRIGGERS = (
    "CREATE TRIGGER sidecars_added AFTER INSERT ON sidecars"
    " BEGIN DELETE FROM folders WHERE dir = new.dir; END",
    "CREATE TRIGGER sidecars_dropped AFTER DELETE ON sidecars"
    " BEGIN DELETE FROM folders WHERE dir = old.dir; END",
    "CREATE TRIGGER sidecars_changed AFTER UPDATE OF size, mtime_ns, inode, gone ON sidecars"
    " WHEN (old.size, old.mtime_ns, old.inode, old.gone)"
    " IS NOT (new.size, new.mtime_ns, new.inode, new.gone)"
    " BEGIN DELETE FROM folders WHERE dir = new.dir; END",
)
