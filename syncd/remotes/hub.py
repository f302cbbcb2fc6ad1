"""The hub as a remote: the client half of the protocol in docs/design.md, section 7.

Small bodies travel straight in one framed request; larger ones only when the hub does not hold
their digest; what does not fit a batch goes in parts that can be resumed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO
from urllib.parse import quote

from syncd import frame
from syncd.errors import (
    ConflictError,
    MissingError,
    NotFoundError,
    RejectedError,
    RemoteError,
    SyncdError,
    UnsettledError,
)
from syncd.model import Item
from syncd.remotes import answers, bulk
from syncd.remotes.annotating import Annotating
from syncd.remotes.base import (
    Changes,
    DatasetInfo,
    Move,
    Outcome,
    Removal,
    Traits,
    Upload,
)
from syncd.remotes.pace import Pace
from syncd.remotes.trust import Trust
from syncd.remotes.wire import PIECE, Body, Wire

PART = 8 * 1024 * 1024
BATCH_SECONDS = 15.0
"""So much longer than other requests a batch may take: it is durable before it is answered."""
DIGESTED_PER_S = 50e6
"""Bytes that a hub on a slow disk digests in a second, where an upload goes on after a restart."""
SOME = 1_000
"""Items of one request where any number may be named."""
BYTES = "application/octet-stream"


class HubRemote:
    """A hub at an address."""

    def __init__(self, url: str, token: str, *, trust: Trust | None = None) -> None:
        self.url = url
        self._wire = Wire(url, token, trust=trust)

    def check(self) -> None:
        self._listed()

    def datasets(self) -> Iterator[DatasetInfo]:
        return map(answers.dataset, self._listed())

    def _listed(self) -> list[Any]:
        return answers.listed(self._wire.json("GET", "/v1/datasets"), "datasets")

    def open(self, name: str, *, create: bool, source: str = "") -> HubDataset:
        path = f"/v1/datasets/{quote(name, safe='')}"
        try:
            found = self._wire.json("PUT" if create else "GET", path)
        except MissingError as error:
            raise NotFoundError(f"there is no dataset {name!r}") from error
        return self.bind(answers.dataset(found), source=source)

    def bind(self, info: DatasetInfo, *, source: str = "") -> HubDataset:
        return HubDataset(self._wire, info, source)

    def link(self) -> str:
        """A one-time address of the page, good for 60 seconds."""
        return self.url + str(self._wire.json("POST", "/v1/link").get("path", "/"))

    def restore_backup(self, folder: str) -> dict[str, Any]:
        """Have the running hub put back the backup in a folder of its own machine."""
        return self._wire.json("POST", "/v1/restore", body={"source": folder}, wait=3600)

    def relocate(self, url: str, token: str, *, trust: Trust | None = None) -> None:
        """The hub was started anew, elsewhere or with another certificate; open datasets follow."""
        self.url = url
        self._wire.relocate(url, token, trust=trust)

    def close(self) -> None:
        self._wire.close()


class HubDataset(Annotating):
    """One dataset of a hub; safe to share between threads."""

    traits = Traits()

    def __init__(self, wire: Wire, info: DatasetInfo, source: str) -> None:
        self.info = info
        self._wire = wire
        self._source = source
        self._path = f"/v1/datasets/{info.id}"
        self.pace = Pace()

    # --- reading --------------------------------------------------------------------------------

    def items(self, folder: str = "") -> Iterator[Item]:
        query = {"folder": f"/{folder}"} if folder else {}
        return self._pages({**query, "state": "present"})

    def trashed(self) -> Iterator[Item]:
        return self._pages({"state": "trashed"})

    def find(self, key: str) -> Item | None:
        try:
            return answers.item(self._wire.json("GET", f"{self._path}/item", query={"key": key}))
        except MissingError:
            return None

    def read(self, item: Item, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        return self._wire.stream(
            f"/v1/items/{item.id}/content", offset=offset, length=length,
            query={"digest": item.digest} if item.digest else None,
        )  # fmt: skip

    def fetch(self, items: Sequence[Item]) -> Iterator[tuple[Item, bytes | SyncdError]]:
        return bulk.fetch(self._wire, f"{self._path}/fetch", items)

    def changes(self, cursor: int, *, wait: float = 0.0, mine: bool = False) -> Changes:
        query: dict[str, Any] = {"after": cursor, "wait": wait, "limit": 1000}
        if self._source and not mine:
            query["except"] = self._source
        answer = self._wire.json("GET", f"{self._path}/changes", query=query, wait=wait)
        return Changes(
            items=tuple(answers.item(found) for found in answers.listed(answer, "items")),
            cursor=answers.whole(answer, "cursor"),
            more=bool(answer.get("more")),
            generation=str(answer.get("generation", "")),
        )

    def generation(self) -> str:
        return str(self._wire.json("GET", "/health").get("generation", ""))

    def _pages(self, query: dict[str, Any]) -> Iterator[Item]:
        after: str | None = None
        while True:
            page = self._wire.json(
                "GET", f"{self._path}/items", query={**query, "limit": 1000}
                | ({"after": after} if after else {}),
            )  # fmt: skip
            yield from (answers.item(found) for found in answers.listed(page, "items"))
            after = page.get("next")
            if not after:
                return

    # --- writing --------------------------------------------------------------------------------

    def put(self, batch: Sequence[Upload]) -> Sequence[Outcome]:
        ask = [u for u in batch if u.content is None or u.size > self.traits.inline_bytes]
        lacking = self._missing([u.digest for u in ask]) if ask else set()
        failed: dict[str, Outcome] = {}
        sent: dict[str, int] = {}
        for upload in ask:
            if upload.content is None and upload.digest in lacking:
                try:
                    sent[upload.key] = self._send_parts(upload)
                except (ConflictError, MissingError, UnsettledError) as error:
                    failed[upload.key] = Outcome(key=upload.key, error=error)
                except RejectedError:
                    # Of what lay there before anything was sent, which is gone now.
                    other = UnsettledError("other bytes than its own were there: sent anew")
                    failed[upload.key] = Outcome(key=upload.key, error=other)
        here = {u.digest for u in ask} - lacking
        rest = [u for u in batch if u.key not in failed]
        outcomes: Iterator[Outcome] = iter(self._put_framed(rest, here, sent))
        return [failed.get(u.key) or next(outcomes) for u in batch]

    def _put_framed(
        self, batch: Sequence[Upload], here: set[str], sent: dict[str, int]
    ) -> list[Outcome]:
        ops, bodies = [], []
        for upload in batch:
            op: dict[str, Any] = {
                "op": "put", "key": upload.key, "digest": upload.digest, "size": upload.size,
                "modified": upload.modified_ns,
            }  # fmt: skip
            if upload.expect is not None:
                op |= {"expect": upload.expect, "id": upload.item_id}
            if upload.content is not None and upload.digest not in here:
                op["body"] = len(upload.content)
                bodies.append(upload.content)
                sent[upload.key] = upload.size
            ops.append(op)
        results = self._results(ops, bodies, brief=True)
        return [
            answers.stored(upload, sent.get(upload.key, 0), result)
            for upload, result in zip(batch, results, strict=True)
        ]

    def move(self, batch: Sequence[Move]) -> Sequence[Outcome]:
        ops = [{"op": "move", "id": m.item_id, "expect": m.expect, "key": m.key} for m in batch]
        return self._outcomes(self._results(ops), [m.key for m in batch])

    def remove(self, batch: Sequence[Removal]) -> Sequence[Outcome]:
        ops = [
            {"op": "delete" if r.forever else "trash", "id": r.item_id, "expect": r.expect}
            for r in batch
        ]
        return self._outcomes(self._results(ops), [r.key for r in batch])

    def restore(self, items: Sequence[Item]) -> Sequence[Outcome]:
        outcomes: list[Outcome] = []
        for start in range(0, len(items), SOME):
            some = items[start : start + SOME]
            try:
                outcomes += self._restored(some)
            except RemoteError as error:
                if not outcomes:
                    raise
                rest = items[start:]  # what was restored before is not to be forgotten
                return outcomes + [Outcome(key=item.key, error=error) for item in rest]
        return outcomes

    def _restored(self, items: Sequence[Item]) -> list[Outcome]:
        answer = self._wire.json(
            "POST", f"{self._path}/restore", body={"ids": [item.id for item in items]},
            query=self._who(),
        )  # fmt: skip
        return self._outcomes(answers.results(answer, len(items)), [item.key for item in items])

    def empty_trash(self) -> int:
        answer = self._wire.json("POST", f"{self._path}/trash/empty", query=self._who(), wait=600)
        return answers.whole(answer, "purged")

    def _results(
        self, ops: list[dict[str, Any]], bodies: Sequence[bytes] = (), *, brief: bool = False
    ) -> list[Any]:
        if not ops:
            return []
        pieces = frame.pack(ops, bodies)
        body = Body(type=frame.CONTENT_TYPE, length=sum(map(len, pieces)), pieces=pieces)
        answer = self._wire.json(
            "POST", f"{self._path}/batch", query=self._who() | {"brief": str(brief).lower()},
            content=body, wait=BATCH_SECONDS, pace=self.pace,
        )  # fmt: skip
        return answers.results(answer, len(ops))

    def _outcomes(self, results: list[Any], keys: list[str]) -> list[Outcome]:
        return [answers.outcome(key, result) for key, result in zip(keys, results, strict=True)]

    def _missing(self, digests: list[str]) -> set[str]:
        answer = self._wire.json("POST", "/v1/missing", body={"digests": digests})
        return {str(digest) for digest in answers.listed(answer, "missing")}

    def _send_parts(self, upload: Upload) -> int:
        begun = self._wire.json(
            "POST", "/v1/uploads", body={"digest": upload.digest, "size": upload.size},
            wait=BATCH_SECONDS + upload.size / DIGESTED_PER_S,
        )  # fmt: skip
        if begun.get("done"):
            return 0
        place, offset = f"/v1/uploads/{begun.get('id')}", answers.whole(begun, "offset")
        try:
            self._send_from(upload, place, offset)
        except OSError as error:
            raise UnsettledError(f"could not be read to its end: {error.strerror}") from error
        except RejectedError as error:
            # The bytes were not those of the digest: the file changed since it was read.
            raise UnsettledError("changed while it was sent") from error
        return upload.size - offset

    def _send_from(self, upload: Upload, place: str, offset: int) -> None:
        """Send the rest of a file, a part a request; UnsettledError where it has another size."""
        with upload.file.open("rb", buffering=0) as file:
            file.seek(offset)
            while length := min(self.pace.part(PART), upload.size - offset):
                part = Body(type=BYTES, length=length, pieces=_pieces(file, length))
                self._wire.json(
                    "PATCH", place, query={"offset": offset}, content=part, wait=60, pace=self.pace
                )
                offset += length
            if file.read(1):
                raise UnsettledError("changed its size while it was sent")


def _pieces(file: BinaryIO, length: int) -> Iterator[bytes]:
    """The next `length` bytes, as they are sent."""
    while length:
        piece = file.read(min(PIECE, length))
        if not piece:
            raise UnsettledError("changed its size while it was sent")
        length -= len(piece)
        yield piece
