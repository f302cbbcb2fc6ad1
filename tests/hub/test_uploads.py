"""Big files in parts: resumed, restarted, refused."""

from __future__ import annotations

import errno
import http.client
import os
import threading
import time
from hashlib import sha256
from itertools import count
from urllib.parse import urlsplit

import pytest

from syncd.hub.store import FullError
from syncd.hub.uploads import KEEP_SECONDS, Uploads
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
