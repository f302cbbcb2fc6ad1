"""Big files in parts: resumed, restarted, refused."""

from __future__ import annotations

import asyncio
import errno
import http.client
import json
import os
import threading
import time
from contextlib import closing
from hashlib import sha256
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from syncd.errors import NotFoundError
from syncd.hub import batch, forms, transfer
from syncd.hub import uploads as module
from syncd.hub.core import Hub, HubSettings
from syncd.hub.store import FullError
from syncd.hub.uploads import KEEP_SECONDS, MismatchError, Uploads
from tests.hub.asking import asking, digest, opened

NUMBERS = count()
PART = 1 << 20


def body(size=3 * PART + 17):
    return os.urandom(size)


@pytest.fixture
def pets(hub):
    with asking(hub, f"uploads-{next(NUMBERS)}") as asker:
        yield asker


def begin(pets, content, **more):
    told = {"digest": digest(content), "size": len(content)} | more
    return pets.http.post("/v1/uploads", json=told).json()


def part(pets, upload, offset, content):
    return pets.http.patch(
        f"/v1/uploads/{upload['id']}", params={"offset": offset}, content=content
    )


def test_parts_make_a_file_that_a_put_can_name(pets):
    content = body()
    upload = begin(pets, content)
    assert (upload["offset"], upload["done"]) == (0, False)
    for offset in range(0, len(content), PART):
        answer = part(pets, upload, offset, content[offset : offset + PART])
        end = min(offset + PART, len(content))
        assert answer.json() == {"offset": end, "done": end == len(content)}
    item = pets.stored("big.bin", content, body=None)
    assert pets.content(item).content == content
    assert begin(pets, content)["done"], "what is held is not asked for again"
    assert part(pets, upload, 0, b"x").status_code == 404


def test_the_same_digest_goes_on_where_it_was(pets):
    content = body()
    upload = begin(pets, content)
    part(pets, upload, 0, content[:PART])
    again = begin(pets, content)
    assert (again["id"], again["offset"]) == (upload["id"], PART)
    wrong = part(pets, upload, 0, content[:PART])
    assert (wrong.status_code, wrong.json()["offset"]) == (409, PART)
    assert part(pets, upload, PART, content[PART:]).json()["done"]


def test_other_bytes_than_announced_are_found_out_and_begun_anew(pets):
    content = body(PART)
    upload = begin(pets, content)
    assert part(pets, upload, 0, b"x" + content[1:]).status_code == 422
    assert begin(pets, content)["offset"] == 0
    assert pets.put("a", content, body=None)["status"] == "missing"
    assert part(pets, upload, 0, content).json()["done"]


def test_more_bytes_than_announced_are_refused(pets):
    content = body(1000)
    upload = begin(pets, content)
    assert part(pets, upload, 0, content + b"x").status_code == 413
    offset = begin(pets, content)["offset"]
    assert part(pets, upload, offset, content[offset:]).json()["done"]


@pytest.mark.parametrize(
    "told",
    [{"size": -1}, {"size": 2**63}, {"digest": "../../x"}, {"digest": "0" * 63}, {"size": "x"}],
)
def test_an_upload_is_announced_properly(pets, told):
    answer = pets.http.post("/v1/uploads", json={"digest": "0" * 64, "size": 1} | told)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "id", ["x", "..%2Ftoken", "0" * 64, "0" * 64 + "-1", "0" * 64 + "-x", "%00"]
)
def test_cve_2026_47682_an_upload_that_was_not_begun_is_not_there(pets, id):
    answer = pets.http.patch(f"/v1/uploads/{id}", params={"offset": 0}, content=b"x")
    assert answer.status_code == 404


def test_an_empty_file_needs_no_part(pets):
    assert begin(pets, b"")["done"]
    assert pets.stored("empty", b"", body=None)["size"] == 0


def test_what_arrived_before_the_line_was_cut_counts(pets):
    content = body()
    upload = begin(pets, content)
    base = urlsplit(str(pets.http.base_url))
    line = http.client.HTTPConnection(base.hostname or "", base.port, timeout=10)
    line.putrequest("PATCH", f"/v1/uploads/{upload['id']}?offset=0")
    line.putheader("authorization", pets.http.headers["authorization"])
    line.putheader("content-length", str(len(content)))
    line.endheaders()
    line.send(content[: 2 * PART])
    time.sleep(0.2)
    line.close()
    deadline = time.monotonic() + 10
    while (offset := begin(pets, content)["offset"]) == 0:
        assert time.monotonic() < deadline
    assert 0 < offset <= 2 * PART
    assert part(pets, upload, offset, content[offset:]).json()["done"]


def test_two_that_send_the_same_both_come_to_the_end(pets, hub):
    content = body()
    ends = []

    def send():
        with asking(hub, "uploads-both") as asker:
            upload = begin(asker, content)
            offset, done = upload["offset"], upload["done"]
            while not done:
                answer = part(asker, upload, offset, content[offset : offset + PART])
                if answer.status_code == 404:  # the other finished it
                    done = begin(asker, content)["done"]
                    continue
                offset, done = answer.json()["offset"], answer.json().get("done", False)
            ends.append(asker.put("a", content, body=None)["status"])

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ends) == ["same", "stored"]


@pytest.mark.parametrize("damage", [False, True], ids=["whole", "damaged"])
def test_a_hub_that_was_killed_goes_on_and_trusts_only_the_bytes(start_hub, damage):
    content = body()
    hub = start_hub("--min-free", "0")
    with asking(hub) as pets:
        upload = begin(pets, content)
        part(pets, upload, 0, content[: 2 * PART])
    hub.kill()
    if damage:
        with (hub.data / "uploads" / upload["id"]).open("r+b") as file:
            file.write(b"XXXX")
    again = hub.again("--min-free", "0")
    try:
        with asking(again) as pets:
            assert begin(pets, content)["offset"] == 2 * PART
            answer = part(pets, upload, 2 * PART, content[2 * PART :])
            assert answer.status_code == (422 if damage else 200)
            if damage:
                assert part(pets, begin(pets, content), 0, content).json()["done"]
            assert pets.content(pets.stored("a", content, body=None)).content == content
    finally:
        again.stop()


def test_uploads_nobody_goes_on_with_are_swept_after_a_week(tmp_path):
    with opened(tmp_path / "data") as store:
        uploads = Uploads(tmp_path / "uploads", store)
        old, fresh = (uploads.begin(bytes([n]) * 32, 10) for n in (1, 2))
        for upload in (old, fresh):
            uploads.load(upload)
            uploads.write(upload, [b"12345"])
        now = time.time()
        os.utime(old.file, (now, now - KEEP_SECONDS - 60))
        assert uploads.sweep(now) == 1
        assert [file.name for file in (tmp_path / "uploads").iterdir()] == [fresh.id]
        begun = uploads.begin(bytes([1]) * 32, 10)
        uploads.load(begun)
        assert begun.offset == 0


def test_a_part_that_a_full_disk_cuts_short_leaves_nothing(tmp_path, monkeypatch):
    real, left = os.pwritev, [4]

    def fills(fd, some, at):
        if not left:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, [b"".join(some)[: left.pop()]], at)

    with opened(tmp_path / "data") as store:
        uploads = Uploads(tmp_path / "uploads", store)
        upload = uploads.begin(sha256(b"0123456789").digest(), 10)
        uploads.load(upload)
        uploads.write(upload, [b"01", b"2"])
        with monkeypatch.context() as patched:
            patched.setattr(os, "pwritev", fills)
            with pytest.raises(FullError):
                uploads.write(upload, [b"345", b"6789"])
        assert (upload.offset, upload.file.read_bytes()) == (3, b"012")
        uploads.write(upload, [b"345", b"6789"])
        uploads.finish(upload)


def one(uploads, content):
    """A file that arrived whole and is not finished."""
    upload = uploads.begin(sha256(content).digest(), len(content))
    uploads.load(upload)
    uploads.write(upload, [content])
    return upload


def waited(hub, upload, ended):
    """What a client is told who begins an upload while the one whose turn it is comes to its end,
    and what that one is told."""

    async def told():
        async with upload.turn:
            asked = forms.Announcement(digest=upload.digest.hex(), size=upload.size)
            waiting = asyncio.create_task(transfer.begin(hub, asked))
            await asyncio.sleep(0)  # until it waits for its turn
            with pytest.raises(ended):
                await transfer._finish(hub, upload)
        return json.loads((await waiting).body)

    return asyncio.run(told())


@pytest.fixture
def inner(tmp_path):
    """A hub without a server."""
    (tmp_path / "data").mkdir()
    with closing(Hub(HubSettings(data=tmp_path / "data", min_free=0))) as hub:
        yield hub


def test_nothing_is_called_stored_where_the_one_before_failed_at_its_commit(inner, monkeypatch):
    content = body(1000)
    upload = one(inner.uploads, content)

    def fail(*_):
        monkeypatch.undo()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(batch, "record", fail)
    answer = waited(inner, upload, FullError)
    assert (answer["offset"], answer["done"]) == (0, False)
    assert inner.store.missing([upload.digest])


def test_wrong_bytes_are_the_fault_of_whoever_sent_them(inner):
    upload = one(inner.uploads, b"right")
    upload.sum.update(b"wrong")
    answer = waited(inner, upload, MismatchError)
    assert (answer["offset"], answer["done"]) == (0, False)


def test_whoever_waits_for_an_upload_that_was_begun_anew_begins_it_too(inner):
    old = one(inner.uploads, b"x" * 10)
    inner.uploads.forget(old)
    fresh = inner.uploads.begin(old.digest, old.size)
    inner.uploads.load(fresh)
    with pytest.raises(NotFoundError):
        inner.uploads.load(old)


def test_big_files_that_are_digested_again_keep_no_batch_waiting(inner, monkeypatch):
    done, digest_again = threading.Event(), module._digest_again
    monkeypatch.setattr(module, "_digest_again", lambda some: done.wait() and digest_again(some))

    async def told():
        begun = [inner.uploads.begin(bytes([n]) * 32, 10) for n in range(5)]
        for upload in begun:
            upload.file.write_bytes(b"12345")  # of the run before
        loading = [asyncio.create_task(transfer._load(inner, upload)) for upload in begun]
        try:
            for n in range(20):  # the first ones while they are still looked for
                await asyncio.wait_for(inner.write(inner.store.make_dataset, f"x{n}"), 30)
        finally:
            done.set()
        await asyncio.gather(*loading)
        return [upload.offset for upload in begun]

    assert asyncio.run(told()) == [5] * 5


def test_a_file_that_is_not_what_was_written_is_not_taken_over(inner):
    upload = one(inner.uploads, b"x" * 10)
    os.truncate(upload.file, 5)
    with pytest.raises(NotFoundError):
        inner.uploads.finish(upload)
    inner.uploads.load(upload)
    inner.uploads.digest_again(upload)
    assert upload.offset == 5


@pytest.mark.parametrize("call", [Uploads.finish, lambda u, upload: u.write(upload, [b"y"])])
def test_a_file_that_is_gone_is_not_made_again_without_its_beginning(inner, call):
    upload = one(inner.uploads, b"x" * 10)
    upload.file.unlink()
    with pytest.raises(NotFoundError):
        call(inner.uploads, upload)
    inner.uploads.load(upload)
    assert upload.offset == 0
    assert inner.store.missing([upload.digest])


def test_an_upload_that_is_gone_on_with_while_it_is_swept_is_kept(inner, monkeypatch):
    upload = one(inner.uploads, b"x" * 10)
    os.utime(upload.file, (0, 0))
    listed = Path.iterdir

    def resumed(folder):
        found = list(listed(folder))
        inner.uploads.load(upload)  # its client comes back just when the sweep begins
        return iter(found)

    monkeypatch.setattr(Path, "iterdir", resumed)
    assert inner.uploads.sweep(time.time()) == 0
    assert upload.file.exists()
