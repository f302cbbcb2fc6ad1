"""The catalogue's tables, and how a connection to them is set up.

SQLAlchemy Core, so that PostgreSQL can follow by URL: nothing here or in the queries is SQLite's
own but the pragmas below. Text that is compared or ordered is compared by its UTF-8 bytes.
A commit is durable when it returns (`synchronous=FULL`).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

VERSION = 3
CACHE_KIB = 64 * 1024
CHECKPOINT_PAGES = 8_000
"""32 MiB of log before its pages go home: less often measured faster for a burst of files."""

metadata = sa.MetaData()
_Bytewise = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
PRESENT = sa.text("state = 'present'")
TRASHED = sa.text("state = 'trashed'")
KEPT = sa.text("state <> 'purged'")
"""Literals, not bound values: only then does SQLite see that a partial index fits."""

meta = sa.Table(
    "meta",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
counters = sa.Table("counters", metadata, sa.Column("seq", sa.BigInteger, nullable=False))

datasets = sa.Table(
    "datasets",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", _Bytewise, nullable=False, unique=True),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("items", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("bytes", sa.BigInteger, nullable=False, server_default="0"),
)

items = sa.Table(
    "items",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("dataset", sa.Text, sa.ForeignKey("datasets.id"), nullable=False),
    sa.Column("folder", _Bytewise, nullable=False),
    sa.Column("name", _Bytewise, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.LargeBinary(32), nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("content_type", sa.Text, nullable=False),
    sa.Column("modified_ns", sa.BigInteger, nullable=False),
    sa.Column("stored_ns", sa.BigInteger, nullable=False),
    sa.Column("trashed_ns", sa.BigInteger),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("metadata", sa.Text, nullable=False),
    sa.Column("annotated", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("annotated_by", sa.Text, nullable=False, server_default=""),
)


class ItemRow(NamedTuple):
    """One row of `items`, its fields in the table's order."""

    id: str
    dataset: str
    folder: str
    name: str
    state: str
    version: int
    digest: bytes
    size: int
    content_type: str
    modified_ns: int
    stored_ns: int
    trashed_ns: int | None
    by: str
    seq: int
    metadata: str
    annotated: int = 0
    """How often its annotations were changed."""
    annotated_by: str = ""
    """Who changed them last; apart from `by`, so that neither hides the other in a feed."""


# One present item a key; the feed in order of change; what still needs a blob; the trash in order.
for _name, _columns, _unique, _where in (
    ("items_key", ("dataset", "folder", "name"), True, PRESENT),
    ("items_seq", ("dataset", "seq"), True, None),
    ("items_digest", ("digest",), False, KEPT),
    ("items_trash", ("dataset", "folder", "name", "id"), False, TRASHED),
):
    sa.Index(
        _name,
        *(items.c[c] for c in _columns),
        unique=_unique,
        sqlite_where=_where,
        postgresql_where=_where,
    )

versions = sa.Table(
    "versions",
    metadata,
    sa.Column("item", sa.Text, sa.ForeignKey("items.id"), primary_key=True),
    sa.Column("version", sa.BigInteger, primary_key=True),
    sa.Column("digest", sa.LargeBinary(32), nullable=False, index=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("stored_ns", sa.BigInteger, nullable=False),
    sa.Column("replaced_ns", sa.BigInteger, nullable=False, index=True),
)

blobs = sa.Table(
    "blobs",
    metadata,
    sa.Column("digest", sa.LargeBinary(32), primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("place", sa.Text, nullable=False, index=True),
    sa.Column("offset", sa.BigInteger, nullable=False),
    sa.Column("stored_ns", sa.BigInteger, nullable=False),
)

annotation_sets = sa.Table(
    "annotations",
    metadata,
    sa.Column("item", sa.Text, sa.ForeignKey("items.id"), primary_key=True),
    sa.Column("operation", _Bytewise, primary_key=True),
    sa.Column("model", sa.Boolean, nullable=False),
    sa.Column("digest", sa.LargeBinary(32), nullable=False),
    sa.Column("length", sa.BigInteger, nullable=False),
    sa.Column("changed_ns", sa.BigInteger, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)
"""All that one operation says about one item: `body` is the JSON list, `length` its bytes."""

pictures = sa.Table(
    "pictures",
    metadata,
    sa.Column("digest", sa.LargeBinary(32), primary_key=True),
    sa.Column("width", sa.BigInteger, nullable=False),
    sa.Column("height", sa.BigInteger, nullable=False),
    sa.Column("orientation", sa.BigInteger),
)
"""The sizes of pictures that were asked for, as stored: known as long as the content is. With the
EXIF orientation, which is not applied to them; NULL: the file records none. Width 0: no picture."""


def run(tx: sa.Connection, statement: sa.Executable, values: Any) -> sa.CursorResult[Any]:
    """Execute a lasting statement of the hot path with plain tuples, in the order of its places.

    The driver is given them as they are: preparing them costs a third of a small file's time."""
    return tx.exec_driver_sql(_text(statement, tx.dialect), values)


@cache
def _text(statement: Any, dialect: sa.Dialect) -> str:
    return str(statement.compile(dialect=dialect))


def migrate(tx: sa.Connection, version: int) -> int:
    """Bring the tables of an older catalogue to the next version, and return that."""
    for statement in _STEPS.get(version, ()):
        tx.exec_driver_sql(statement)
    metadata.create_all(tx)
    return version + 1


_STEPS = {
    1: (
        "ALTER TABLE items ADD COLUMN annotated BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE items ADD COLUMN annotated_by TEXT NOT NULL DEFAULT ''",
    ),
    2: ("DROP TABLE pictures",),  # measured again, for the orientation
}
"""How tables that are there already follow; new ones are made in any case, dropped ones anew."""


def filled(size: int) -> int:
    """The next power of two: lists of values are filled up to it, so that statements are few."""
    return 1 << (size - 1).bit_length()


def engine(file: Path) -> sa.Engine:
    """An engine on this SQLite file; transactions start where `begin` says, not where pysqlite
    guesses: at once for writers (`write=True` among the execution options)."""
    made = sa.create_engine(
        f"sqlite:///{file}", pool_size=8, max_overflow=8, connect_args={"timeout": 30}
    )
    sa.event.listen(made, "connect", _tune)
    sa.event.listen(made, "begin", _begin)
    return made


def _tune(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=OFF",
        f"cache_size=-{CACHE_KIB}",
        f"wal_autocheckpoint={CHECKPOINT_PAGES}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
