-- Written by `make docs` from the migrations in schema.py; a new state file is made of it.
CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
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
;
CREATE UNIQUE INDEX files_key ON files(key) WHERE key IS NOT NULL;
CREATE UNIQUE INDEX files_item ON files(item_id) WHERE item_id IS NOT NULL;
CREATE INDEX files_due ON files(due, dir, name) WHERE due IS NOT NULL;
CREATE INDEX files_renamed ON files(dir) WHERE gone IS NULL AND key <> name AND substr(key, -length(name) - 1) <> '/' || name;
CREATE INDEX files_gone_inode ON files(inode) WHERE gone IS NOT NULL;
CREATE INDEX files_gone_size ON files(size) WHERE gone IS NOT NULL;
CREATE INDEX files_was ON files(was_inode) WHERE was_inode IS NOT NULL;
CREATE INDEX files_displaced ON files(inode) WHERE was_inode IS NOT NULL;
CREATE TABLE folders (dir TEXT PRIMARY KEY, print TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TRIGGER files_added AFTER INSERT ON files BEGIN DELETE FROM folders WHERE dir = new.dir; END;
CREATE TRIGGER files_dropped AFTER DELETE ON files BEGIN DELETE FROM folders WHERE dir = old.dir; END;
CREATE TRIGGER files_changed AFTER UPDATE OF size, mtime_ns, inode, gone ON files WHEN (old.size, old.mtime_ns, old.inode, old.gone) IS NOT (new.size, new.mtime_ns, new.inode, new.gone) BEGIN DELETE FROM folders WHERE dir = new.dir; END;
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
;
CREATE INDEX items_key ON items(key);
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
;
CREATE INDEX troubles_key ON troubles(key);
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE history (
    id     INTEGER PRIMARY KEY,
    at_ns  INTEGER NOT NULL,
    path   TEXT NOT NULL,
    verb   TEXT NOT NULL,     -- stored, replaced, moved, removed, adopted, failed, ...
    reason TEXT NOT NULL      -- a sentence fragment for a person
) STRICT
;
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
;
CREATE INDEX sidecars_due ON sidecars(due) WHERE due IS NOT NULL;
CREATE INDEX sidecars_item ON sidecars(item_id) WHERE item_id IS NOT NULL;
CREATE INDEX sidecars_gone ON sidecars(inode) WHERE gone IS NOT NULL;
CREATE TRIGGER sidecars_added AFTER INSERT ON sidecars BEGIN DELETE FROM folders WHERE dir = new.dir; END;
CREATE TRIGGER sidecars_dropped AFTER DELETE ON sidecars BEGIN DELETE FROM folders WHERE dir = old.dir; END;
CREATE TRIGGER sidecars_changed AFTER UPDATE OF size, mtime_ns, inode, gone ON sidecars WHEN (old.size, old.mtime_ns, old.inode, old.gone) IS NOT (new.size, new.mtime_ns, new.inode, new.gone) BEGIN DELETE FROM folders WHERE dir = new.dir; END;
CREATE INDEX items_gone ON items(state, id) WHERE state <> 'present';
CREATE INDEX files_open ON files(dir, name) WHERE (item_id IS NULL OR digest IS NULL OR digest <> stored_digest);
INSERT INTO _sqlite_migrations VALUES (1, 'syncd', 'm001_mirror', datetime('now')), (2, 'syncd', 'm002_history', datetime('now')), (3, 'syncd', 'm003_sidecars', datetime('now')), (4, 'syncd', 'm004_tombstones', datetime('now')), (5, 'syncd', 'm005_unsent', datetime('now'));
PRAGMA user_version = 5;
