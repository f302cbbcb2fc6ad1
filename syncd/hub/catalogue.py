"""What the hub knows: datasets, items, their order of change. Reading, and the frame of writing.

Readers have their own snapshots and never wait. `Store` lets one `write()` at a time begin, so
what such a transaction read stays true until it commits; `batch`, `garbage` and `trash` do the
changing. The sequence they take numbers from is the change feed's cursor.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

from syncd.errors import NotFoundError, StateError
from syncd.hub import schema
from syncd.hub.schema import ItemRow, counters, datasets, items, meta


class DatasetRow(NamedTuple):
    id: str
    name: str
    created_ns: int
    items: int
    bytes: int


class Page(NamedTuple):
    """Some items in (folder, name) order, and whether more follow."""

    rows: list[ItemRow]
    more: bool


class News(NamedTuple):
    """Items in the order they last changed, and the cursor that continues."""

    rows: list[ItemRow]
    cursor: int
    more: bool


class Catalogue:
    """One catalogue file and its connections; `words` are `hub`, its id, and `generation`."""

    def __init__(self, file: Path) -> None:
        self._engine = schema.engine(file)
        try:
            self.words = self._prepare(file)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A snapshot."""
        with self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that may change something, one at a time; durable after the block."""
        with self._engine.connect() as connection:
            connection.execution_options(write=True)
            with connection.begin():
                yield connection

    def renew(self, seq: int) -> None:
        """Begin a new generation, whose changes come after `seq`."""
        word = secrets.token_hex(8)
        with self.write() as tx:
            tx.execute(sa.update(counters).values(seq=max(seq, head(tx)) + 1))
            tx.execute(sa.update(meta).where(meta.c.name == "generation").values(value=word))
        self.words["generation"] = word

    def _prepare(self, file: Path) -> dict[str, str]:
        with self.write() as tx:
            schema.metadata.create_all(tx)
            words = {row.name: row.value for row in tx.execute(sa.select(meta))}
            if not words:
                tx.execute(sa.insert(counters), [{"seq": 0}])
                words = {
                    "schema": str(schema.VERSION),
                    "hub": secrets.token_hex(16),
                    "generation": secrets.token_hex(8),
                }
                tx.execute(sa.insert(meta), [{"name": k, "value": v} for k, v in words.items()])
            words["schema"] = _follow(tx, int(words["schema"]))
            if int(words["schema"]) != schema.VERSION:
                raise StateError(
                    f"the catalogue is of version {words['schema']}, not {schema.VERSION}",
                    path=str(file),
                    hint="use the program that wrote it, or a newer one",
                )
        return words

    # -- datasets

    def datasets(self) -> list[DatasetRow]:
        with self.read() as tx:
            return [DatasetRow(*row) for row in tx.execute(_DATASETS.order_by(datasets.c.name))]

    def dataset(self, *, id: str | None = None, name: str | None = None) -> DatasetRow:
        """The dataset of this id, or of this name; NotFoundError."""
        where = datasets.c.id == id if id is not None else datasets.c.name == name
        with self.read() as tx:
            row = tx.execute(_DATASETS.where(where)).one_or_none()
        if row is None:
            raise NotFoundError(f"there is no dataset {name or id}")
        return DatasetRow(*row)

    # -- items

    def item(self, id: str) -> ItemRow:
        with self.read() as tx:
            row = tx.execute(sa.select(items).where(items.c.id == id)).one_or_none()
        if row is None:
            raise NotFoundError(f"there is no item {id}")
        return ItemRow(*row)

    def item_at(self, dataset: str, folder: str, name: str) -> ItemRow:
        """The present item under a key; NotFoundError."""
        wanted = sa.select(items).where(
            schema.PRESENT,
            items.c.dataset == dataset,
            items.c.folder == folder,
            items.c.name == name,
        )
        with self.read() as tx:
            row = tx.execute(wanted).one_or_none()
        if row is None:
            raise NotFoundError(f"there is no item {folder}/{name}")
        return ItemRow(*row)

    def page(
        self,
        dataset: str,
        *,
        folder: str = "",
        deep: bool = True,
        trashed: bool = False,
        after: tuple[str, str, str] | None = None,
        limit: int = 1000,
    ) -> Page:
        """Items at (or, when deep, below) a folder after a (folder, name, id)."""
        wanted = (
            sa.select(items)
            .where(schema.TRASHED if trashed else schema.PRESENT, items.c.dataset == dataset)
            .where(*_in_folder(folder, deep=deep))
            .order_by(items.c.folder, items.c.name, items.c.id)
            .limit(limit + 1)
        )
        if after is not None:
            wanted = wanted.where(_after(after, trashed=trashed))
        with self.read() as tx:
            rows = [ItemRow(*row) for row in tx.execute(wanted)]
        return Page(rows[:limit], len(rows) > limit)

    def folders(self, dataset: str) -> Sequence[tuple[str, int, int]]:
        """Every folder that directly holds present items, with their number and bytes."""
        wanted = (
            sa.select(items.c.folder, sa.func.count(), sa.func.sum(items.c.size))
            .where(schema.PRESENT, items.c.dataset == dataset)
            .group_by(items.c.folder)
            .order_by(items.c.folder)
        )
        with self.read() as tx:
            return [(row[0], row[1], row[2]) for row in tx.execute(wanted)]

    def news(self, dataset: str, after: int, *, limit: int, without: str | None) -> News:
        """What changed after a cursor, tombstones included, but for changes by `without`."""
        wanted = (
            sa.select(items)
            .where(items.c.dataset == dataset, items.c.seq > after)
            .order_by(items.c.seq)
            .limit(limit + 1)
        )
        if without is not None:
            # Who changed the content may not have heard of the annotations, nor the other way.
            others = items.c.annotated_by.not_in(["", without])
            wanted = wanted.where(sa.or_(items.c.by != without, others))
        with self.read() as tx:
            last = head(tx)
            rows = [ItemRow(*row) for row in tx.execute(wanted)]
        if len(rows) > limit:
            return News(rows[:limit], rows[limit - 1].seq, True)
        return News(rows, last, False)


_DATASETS = sa.select(
    datasets.c.id, datasets.c.name, datasets.c.created_ns, datasets.c["items"], datasets.c["bytes"]
)
CHUNK = 500
"""Values in one IN list: far below every database's limit on bound values."""
STEP = 256
"""The same, where lists are filled up to a power of two."""


def held(tx: sa.Connection, digests: Sequence[bytes]) -> dict[bytes, int]:
    """Those of the digests whose bytes are held, with their size."""
    known: dict[bytes, int] = {}
    for start in range(0, len(digests), STEP):
        some = list(digests[start : start + STEP])
        size = schema.filled(len(some))
        values = tuple(some + some[:1] * (size - len(some)))
        found = schema.run(tx, _held_query(size), values)
        known.update((row.digest, row.size) for row in found)
    return known


@cache
def _held_query(size: int) -> sa.TextClause:
    places = ", ".join(f":d{n}" for n in range(size))
    return sa.text(f"SELECT digest, size FROM blobs WHERE digest IN ({places})")  # noqa: S608


def _follow(tx: sa.Connection, version: int) -> str:
    """Bring an older catalogue's tables up to date, in the same transaction."""
    old = version
    while version < schema.VERSION:
        version = schema.migrate(tx, version)
    if version != old:
        tx.execute(sa.update(meta).where(meta.c.name == "schema").values(value=str(version)))
    return str(version)


def head(tx: sa.Connection) -> int:
    """The last number of the change sequence that was given."""
    return int(tx.execute(sa.select(counters.c.seq)).scalar_one())


def make_dataset(tx: sa.Connection, name: str, now_ns: int) -> tuple[DatasetRow, bool]:
    """Make it or find it; and whether it was made."""
    row = tx.execute(_DATASETS.where(datasets.c.name == name)).one_or_none()
    if row is not None:
        return DatasetRow(*row), False
    made = DatasetRow(secrets.token_hex(8), name, now_ns, 0, 0)
    tx.execute(sa.insert(datasets), [made._asdict()])
    return made, True


def take_seq(tx: sa.Connection, count: int) -> int:
    """Reserve `count` numbers of the change sequence; return the first."""
    last = int(tx.execute(_LAST).scalar_one())
    tx.execute(_RESERVE, {"last": last + count})
    return last + 1


def count(tx: sa.Connection, dataset: str, *, items: int, bytes: int) -> None:
    """Add to what a dataset says it holds."""
    if items or bytes:
        tx.execute(_COUNT, {"wanted": dataset, "more": items, "longer": bytes})


# Statements of the hot path, made once: making one costs more than running it.
_LAST = sa.select(counters.c.seq).with_for_update()
_RESERVE = sa.update(counters).values(seq=sa.bindparam("last"))
_COUNT = (
    sa.update(datasets)
    .where(datasets.c.id == sa.bindparam("wanted"))
    .values(
        items=datasets.c["items"] + sa.bindparam("more"),
        bytes=datasets.c["bytes"] + sa.bindparam("longer"),
    )
)


def _in_folder(folder: str, *, deep: bool) -> list[sa.ColumnElement[bool]]:
    """One range of the index; "a!" sorts between "a" and "a/", hence the second condition."""
    column = items.c.folder
    if not deep:
        return [column == folder]
    if not folder:
        return []
    here = sa.or_(column == folder, column > folder + "/")
    return [column >= folder, column < folder + "0", here]


def _after(at: tuple[str, str, str], *, trashed: bool) -> Any:
    if trashed:
        return sa.tuple_(items.c.folder, items.c.name, items.c.id) > sa.tuple_(
            *(sa.literal(part) for part in at)
        )
    return sa.tuple_(items.c.folder, items.c.name) > sa.tuple_(
        *(sa.literal(part) for part in at[:2])
    )
