"""The protocol of docs/design.md, section 7, against a real hub."""

from __future__ import annotations

import os
import threading
import time
from itertools import count

import httpx
import pytest
from pydantic import TypeAdapter

from syncd.hub import forms
from tests.e2e.program import eventually
from tests.hub.asking import asking, digest, packed, put

PNG = b"\x89PNG\r\n\x1a\n" + b"p" * 100


NUMBERS = count()


@pytest.fixture
def name():
    return f"app-{next(NUMBERS)}"


@pytest.fixture
def pets(hub, name):
    with asking(hub, name) as asker:
        yield asker


def test_health_needs_no_token_and_knows_the_hub(pets):
    del pets.http.headers["authorization"]
    found = forms.Health.model_validate(pets.http.get("/health").json())
    assert found.ok


def test_datasets_are_made_found_and_counted(pets, name):
    again = pets.http.put(f"/v1/datasets/{name}")
    assert (again.status_code, again.json()["id"]) == (200, pets.id)
    odd = pets.http.put(f"/v1/datasets/{name}%20Name%0A%E2%9C%93")
    assert (odd.status_code, odd.json()["name"]) == (201, f"{name} Name\n✓")
    assert pets.http.get("/v1/datasets/none").status_code == 404
    assert pets.http.put("/v1/datasets/..%00").status_code == 400
    pets.stored("a/b", b"cat")
    listed = forms.Datasets.model_validate(pets.http.get("/v1/datasets").json()).datasets
    counts = {d.name: (d.items, d.bytes) for d in listed}
    assert (counts[f"{name} Name\n✓"], counts[name]) == ((0, 0), (1, 3))


@pytest.mark.parametrize(
    "path", ["none", "v1/none", "v1/datasets/none", "v1/items/none/content", "v1/datasets/x/y/z"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_not_there_is_told_in_a_sentence(pets, method, path):
    """By it a client tells a hub from servers that know nothing of any of this."""
    answer = pets.http.request(method, f"/{path}")
    assert answer.status_code in (404, 405)
    assert isinstance(answer.json()["error"], str)


def test_answers_are_what_the_document_says(pets):
    """Every model of the document, held against real answers; forbidden extras fail."""
    item = pets.stored("a/b.png", PNG)
    forms.Item.model_validate(item)
    forms.Items.model_validate(pets.get("items"))
    forms.Folders.model_validate(pets.get("folders"))
    forms.Item.model_validate(pets.get("item", key="a/b.png"))
    forms.Changes.model_validate(pets.get("changes"))
    results = pets.batch(put("a/b.png", b"other"), put("x", b"x"), {"op": "?"})
    TypeAdapter(list[forms.Outcome]).validate_python(results)
    forms.Outcomes.model_validate(pets.post("restore", {"ids": [item["id"]]}))
    forms.Purged.model_validate(pets.post("trash/empty"))
    forms.Missing.model_validate(pets.http.post("/v1/missing", json={"digests": ["0" * 64]}).json())
    forms.Error.model_validate(pets.http.get("/v1/items/x/content").json())


def test_the_openapi_document_names_every_call(pets):
    document = pets.http.get("/openapi.json").json()
    calls = {(verb, path) for path, verbs in document["paths"].items() for verb in verbs}
    assert calls >= {
        ("get", "/health"), ("get", "/v1/datasets"), ("put", "/v1/datasets/{name}"),
        ("get", "/v1/datasets/{id}/items"), ("get", "/v1/datasets/{id}/changes"),
        ("post", "/v1/datasets/{id}/batch"), ("post", "/v1/missing"), ("post", "/v1/uploads"),
        ("patch", "/v1/uploads/{id}"), ("get", "/v1/items/{id}/content"), ("post", "/v1/link"),
        ("post", "/v1/datasets/{id}/restore"), ("post", "/v1/datasets/{id}/trash/empty"),
        ("post", "/v1/restore"), ("get", "/metrics"), ("get", "/v1/items/{id}/thumbnail"),
    }  # fmt: skip
    answers = document["paths"]["/v1/datasets/{id}/items"]["get"]["responses"]
    assert answers["200"]["content"]["application/json"]["schema"]["$ref"].endswith("/Items")
    assert answers["default"]["content"]["application/json"]["schema"]["$ref"].endswith("/Error")


def test_an_item_tells_all_about_itself(pets):
    item = pets.stored("a/b/c.jpg", b"cat", modified=1_700_000_000_123_456_789)
    assert item["folder"] == "/a/b"
    assert item["name"] == "c.jpg"
    assert item["sha256"] == digest(b"cat")
    assert item["modified"] == "2023-11-14T22:13:20.123456Z"
    assert (item["version"], item["state"], item["by"]) == (1, "present", "me")
    assert pets.stored("root", b"cat")["folder"] == "/"


@pytest.mark.parametrize("ns", [-(2**63), -1, 0, 2**63 - 1])
def test_any_time_a_file_may_carry_is_taken(pets, ns):
    item = pets.stored("a", b"cat", modified=ns)
    assert item["modified_ns"] == ns
    assert item["modified"].endswith("Z")


def test_listing_goes_page_by_page_in_the_order_of_bytes(pets):
    names = ["a", "a!/x", "a/1", "a/2", "a/b/3", "a0/x", "b", "B", "ä", "é", "e\u0301", "z/z"]
    pets.batch(*(put(name, name.encode()) for name in names))
    parts = [name.rpartition("/") for name in names]
    order = sorted(((f.encode(), n.encode()) for f, _, n in parts))
    seen, after = [], None
    while True:
        page = pets.get("items", limit=5, **({"after": after} if after else {}))
        seen += [(i["folder"][1:].encode(), i["name"].encode()) for i in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert seen == order
    below = pets.get("items", folder="/a")["items"]
    assert [(i["folder"], i["name"]) for i in below] == [("/a", "1"), ("/a", "2"), ("/a/b", "3")]
    direct = pets.get("items", folder="a", recursive=False)["items"]
    assert [i["name"] for i in direct] == ["1", "2"]
    assert pets.get("folders")["folders"][0] == {"folder": "/", "items": 6, "bytes": 10}


def test_a_wrong_cursor_or_number_is_a_sentence_not_a_crash(pets):
    for query in (
        "after=%25",
        "after=W10=",
        "limit=0",
        "limit=x",
        "state=gone",
        "after=WzEsMiwzXQ==",
    ):
        answer = pets.http.get(f"{pets.base}/items?{query}")
        assert answer.status_code == 400
        assert answer.json()["error"]


def test_the_feed_tells_changes_in_order_and_leaves_out_the_askers_own(pets):
    start = pets.get("changes")["cursor"]
    mine = pets.stored("a", b"1")
    (theirs,) = pets.batch(put("b", b"2"), source="them")
    pets.batch({"op": "trash", "id": mine["id"]})
    news = pets.get("changes", after=start)
    assert [(i["name"], i["state"], i["by"]) for i in news["items"]] == [
        ("b", "present", "them"),
        ("a", "trashed", "me"),
    ]
    without = pets.get("changes", after=start, **{"except": "me"})
    assert [i["id"] for i in without["items"]] == [theirs["item"]["id"]]
    assert without["cursor"] == news["cursor"]
    assert not pets.get("changes", after=news["cursor"])["items"]
    first = pets.get("changes", after=start, limit=1)
    assert (len(first["items"]), first["more"]) == (1, True)
    assert pets.get("changes", after=first["cursor"])["items"][0]["name"] == "a"


def test_a_waiting_poll_wakes_at_once_and_not_for_the_askers_own_changes(pets, hub, name):
    cursor = pets.get("changes")["cursor"]
    heard = {}

    def listen():
        with asking(hub, name) as other:
            query = {"after": cursor, "wait": 20, "except": "me"}
            heard.update(other.get("changes", **query))
            heard["at"] = time.monotonic()

    thread = threading.Thread(target=listen)
    thread.start()
    time.sleep(0.3)
    pets.stored("own", b"1")
    time.sleep(0.3)
    assert not heard
    pets.batch(put("theirs", b"2"), source="them")
    changed = time.monotonic()
    thread.join()
    assert [i["name"] for i in heard["items"]] == ["theirs"]
    assert heard["at"] - changed < 10, "it waited for its time to be over"


def test_a_poll_without_news_ends_after_its_time(pets):
    cursor = pets.get("changes")["cursor"]
    started = time.monotonic()
    answer = pets.get("changes", after=cursor, wait=0.3)
    assert answer["items"] == []
    assert 0.25 < time.monotonic() - started < 20


def test_a_poll_whose_asker_has_gone_ends_with_the_next_commit(start_hub):
    hub = start_hub()
    ended = 'syncd_hub_requests_total{call="/v1/datasets/{id}/changes"'
    with asking(hub) as pets:
        query = {"after": "1000000", "wait": "50", "except": "me"}
        with pytest.raises(httpx.ReadTimeout):
            pets.http.get(f"{pets.base}/changes", params=query, timeout=0.5)
        assert ended not in pets.http.get("/metrics").text
        pets.stored("a", b"1")
        eventually(lambda: ended in pets.http.get("/metrics").text, 5)


def test_trash_restore_and_empty(pets):
    body = os.urandom(200_000)
    item = pets.stored("a", body)
    pets.batch({"op": "trash", "id": item["id"]})
    assert pets.get("items")["items"] == []
    trashed = pets.get("items", state="trashed")["items"]
    assert [(i["id"], i["state"]) for i in trashed] == [(item["id"], "trashed")]
    assert pets.content(item).content == body
    (back,) = pets.post("restore", {"ids": [item["id"]]})["results"]
    assert (back["status"], back["item"]["id"]) == ("stored", item["id"])
    pets.batch({"op": "trash", "id": item["id"]})
    taken = pets.stored("a", b"new")
    (conflict,) = pets.post("restore", {"ids": [item["id"]]})["results"]
    assert (conflict["status"], conflict["item"]["id"]) == ("conflict", taken["id"])
    assert pets.post("trash/empty") == {"purged": 1, "bytes": len(body)}
    assert pets.content(item).status_code == 404
    (gone,) = pets.post("restore", {"ids": [item["id"]]})["results"]
    assert gone["status"] == "missing"
    assert pets.content(taken).content == b"new"
    last = pets.get("changes")["items"][-1]
    assert (last["id"], last["state"]) == (item["id"], "purged")


def test_content_comes_whole_in_ranges_or_not_again(pets):
    body = b"".join(n.to_bytes(2) for n in range(2560))
    item = pets.stored("a.bin", body)
    tag = f'"{item["sha256"]}"'
    whole = pets.content(item)
    assert (whole.status_code, whole.content, whole.headers["etag"]) == (200, body, tag)
    for header, expected in {
        "bytes=0-0": body[:1],
        "bytes=10-19": body[10:20],
        "bytes=5000-": body[5000:],
        "bytes=-7": body[-7:],
        "bytes=5000-999999": body[5000:],
        "bytes=0-": body,
        "bytes=0-5119": body,
        "bytes=-9999": body,
    }.items():
        part = pets.content(item, range=header)
        assert (part.status_code, part.content) == (206, expected)
        first = body.index(expected)
        told = f"bytes {first}-{first + len(expected) - 1}/{len(body)}"
        assert part.headers["content-range"] == told
    assert pets.content(item, range="bytes=5120-").status_code == 416
    assert pets.content(item, range="bytes=-0").status_code == 416
    for odd in (
        "bytes=9-3",
        "lines=1-2",
        "bytes=1-2,4-5",
        "bytes=a-b",
        "bytes=" + "9" * 5000 + "-",
    ):
        assert pets.content(item, range=odd).status_code in (200, 416)
    assert pets.content(item, **{"if-none-match": tag}).status_code == 304
    for asked in ("bytes=0-1", "bytes=0-", "bytes=5120-"):
        changed = pets.content(item, range=asked, **{"if-range": '"other"'})
        assert (changed.status_code, changed.content) == (200, body)
    assert pets.content(item, range="bytes=0-", **{"if-range": tag}).status_code == 206
    head = pets.http.head(f"/v1/items/{item['id']}/content")
    assert (head.content, head.headers["content-length"]) == (b"", str(len(body)))


def test_long_content_is_streamed_whole(pets):
    body = b"0123456789abcdef" * (3 * 65536)
    assert pets.content(pets.stored("long", body)).content == body


def test_concurrent_batches_all_come_through(pets, hub, name):
    def send(n):
        with asking(hub, name) as other:
            for k in range(5):
                ops = [put(f"{n}/{k}/{i}", f"{n}{k}{i % 3}".encode()) for i in range(20)]
                assert {r["status"] for r in other.batch(*ops)} == {"stored"}

    threads = [threading.Thread(target=send, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    page = pets.get("items", limit=10_000)["items"]
    assert len(page) == 400
    changes = pets.get("changes", limit=10_000)["items"]
    assert {i["id"] for i in changes} == {i["id"] for i in page}


def counted(pets, line):
    found = [row for row in pets.http.get("/metrics").text.splitlines() if row.startswith(line)]
    return float(found[0].rpartition(" ")[2]) if found else 0.0


def test_metrics_count_what_was_done(pets):
    lines = [
        'syncd_hub_operations_total{status="stored"}',
        'syncd_hub_operations_total{status="same"}',
        "syncd_hub_items ",
        'syncd_hub_requests_total{call="/v1/datasets/{id}/batch",status="200"}',
    ]
    before = [counted(pets, line) for line in lines]
    pets.stored("a", b"cat")
    pets.put("a", b"cat")
    after = [counted(pets, line) for line in lines]
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1, 1, 2]
    assert counted(pets, "syncd_hub_disk_free_bytes") > 0


def test_a_body_that_lies_about_itself_is_refused_whole(pets):
    frame = packed([put("a", b"cat"), put("b", b"dog")])
    for broken in (frame[:-1], frame + b"x", frame[:20], b"", b"SYNCD\x00\x02\n" + frame[8:]):
        answer = pets.http.post(f"{pets.base}/batch", content=broken)
        assert (answer.status_code, bool(answer.json()["error"])) == (400, True)
    assert pets.get("items")["items"] == []
