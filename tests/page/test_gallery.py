"""The gallery: ten thousand items without stalling, order, live arrival that moves nothing."""

from __future__ import annotations

import random
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from syncd import frame
from tests.page.conftest import Open
from tests.page.stage import RunningHub, picture, wait_until

MANY = 10_000
PICTURES = [picture(number) for number in range(64)]

# One step a frame, five screens each, to the very end; what the main thread did meanwhile.
SCROLL = """async () => {
  const gallery = document.getElementById("gallery");
  const tasks = [];
  const watch = new PerformanceObserver((list) => {
    tasks.push(...list.getEntries().map((e) => e.duration));
  });
  watch.observe({ entryTypes: ["longtask"] });
  const frame = () => new Promise(requestAnimationFrame);
  let cells = 0, frames = 0, longest = 0, last = performance.now();
  while (gallery.scrollTop + gallery.clientHeight < gallery.scrollHeight - 2) {
    gallery.scrollTop += gallery.clientHeight * 5;
    await frame();
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    frames += 1;
    cells = Math.max(cells, document.querySelectorAll(".tile").length);
  }
  watch.disconnect();
  return { cells, frames, longest, tasks };
}"""


@pytest.fixture(scope="module")
def many(hub: RunningHub) -> str:
    files = {f"day {n // 1000}/IMG_{n:05}.png": PICTURES[n % len(PICTURES)] for n in range(MANY)}
    return hub.dataset(files)


def test_ten_thousand_items_scroll_to_the_end(enter: Open, many: str):
    page = enter(many)
    expect(page.locator("#summary")).to_contain_text("10,000 items")
    expect(page.get_by_role("option", name="IMG_00000.png").locator("img")).to_be_visible()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    seen = page.evaluate(SCROLL)
    last = page.get_by_role("option", name="IMG_09999.png")
    expect(last.locator("img")).to_be_visible()
    expect(page.locator(".tile:not([hidden]).coming")).to_have_count(0)
    pictures = [url for url in asked if "/thumbnail" in url]
    print(f"\n{seen['frames']} frames, the longest {seen['longest']:.0f} ms, ", end="")
    print(f"{len(seen['tasks'])} tasks above 50 ms, ", end="")
    print(f"{seen['cells']} cells, {len(pictures)} pictures")
    assert seen["frames"] > 50
    assert seen["cells"] <= 90, "only what can be seen may exist"
    assert len(pictures) < MANY / 10, "what scrolled past must not be fetched"
    long = [task for task in seen["tasks"] if task > 200]
    assert len(long) <= seen["frames"] / 10, "some may be the machine's"


def test_the_end_of_the_list_can_be_jumped_to(enter: Open, many: str):
    page = enter(many)
    expect(page.locator("#summary")).to_contain_text("10,000 items")
    page.locator("#gallery").press("End")
    last = page.get_by_role("option", name="IMG_09999.png")
    expect(last).to_be_visible()
    expect(last.locator("img")).to_be_visible()
    expect(last).to_have_attribute("aria-posinset", "10000")
    assert page.locator(".tile").count() <= 90


def test_the_view_stays_where_it_is_while_items_arrive_above(
    enter: Open, hub: RunningHub, many: str
):
    page = enter(many, folder="/day 5")
    expect(page.locator("#summary")).to_contain_text("1,000 items")
    page.evaluate("document.getElementById('gallery').scrollTop = 4000")
    where = """() => Object.fromEntries([...document.querySelectorAll('.tile:not([hidden])')]
        .filter((tile) => !tile.classList.contains('coming'))
        .map((tile) => [tile.textContent.trim(), tile.getBoundingClientRect()])
        .filter(([, box]) => box.top > 200 && box.bottom < 800)
        .map(([name, box]) => [name, [Math.round(box.x), Math.round(box.y)]]))"""
    wait_until(lambda: len(page.evaluate(where)) > 9)
    before = page.evaluate(where)
    hub.put(many, {f"day 5/A_{n}.png": PICTURES[n] for n in range(37)})
    expect(page.locator("#summary")).to_contain_text("1,037 items")
    expect(page.locator("#live-count")).to_have_text("37")
    # Where the view is, is set at once; the tiles follow in the next frame, before it is painted.
    page.evaluate("() => new Promise((d) => requestAnimationFrame(() => requestAnimationFrame(d)))")
    assert page.evaluate(where) == before
    page.locator("#gallery").press("Home")
    expect(page.get_by_role("option", name="A_0.png")).to_be_visible()


def test_what_arrives_is_seen_at_once(enter: Open, hub: RunningHub):
    dataset = hub.dataset()
    page = enter(dataset)
    expect(page.locator("#nothing")).to_contain_text("Drop files into the watched folder")
    hub.put(dataset, {"b.png": PICTURES[1]})
    expect(page.get_by_role("option", name="b.png")).to_be_visible()
    hub.put(dataset, {"a.png": PICTURES[2], "deep/er/c.png": PICTURES[3]})
    expect(page.locator(".tile:visible .name")).to_have_count(3)
    assert names(page) == ["a.png", "b.png", "c.png"]
    expect(page.locator("#live-label")).to_have_text("Arriving now")
    expect(page.locator("#live-count")).to_have_text("3")
    expect(page.locator("#strip img:visible")).to_have_count(3)
    expect(page.get_by_role("link", name="deep 1")).to_be_visible()


def test_changes_made_elsewhere_are_followed(enter: Open, hub: RunningHub):
    dataset = hub.dataset({"a.png": PICTURES[1], "b.png": PICTURES[2], "c.png": PICTURES[3]})
    page = enter(dataset)
    expect(page.locator(".tile:visible")).to_have_count(3)
    a, b, _ = hub.items(dataset)
    change(hub, dataset, {"op": "move", "id": a["id"], "key": "z.png"})
    change(hub, dataset, {"op": "delete", "id": b["id"]})
    expect(page.locator(".tile:visible")).to_have_count(2)
    assert names(page) == ["c.png", "z.png"]
    expect(page.locator("#live-count")).to_be_empty()


def change(hub: RunningHub, dataset: str, op: dict[str, Any]) -> None:
    hub.http.post(f"/v1/datasets/{hub.id(dataset)}/batch", content=b"".join(frame.pack([op], [])))


def names(page: Page) -> list[str]:
    """What the gallery shows, in the order it is seen."""
    return list(
        page.evaluate(
            """() => [...document.querySelectorAll('.tile:not([hidden])')]
            .sort((a, b) => a.ariaPosInSet - b.ariaPosInSet)
            .map((tile) => tile.querySelector('.name').textContent)"""
        )
    )


def test_the_order_is_the_hubs(enter: Open, hub: RunningHub):
    letters = "aZ~\u00e9\u05d0\ufffd\U0001f98a\U00020000!/-0"
    rng = random.Random(7)
    words = {"".join(rng.choices(letters, k=rng.randint(1, 4))) for _ in range(500)}
    page = enter()
    script = """async (words) => {
      const { compareText } = await import("/static/order.js");
      return words.sort(compareText);
    }"""
    assert page.evaluate(script, list(words)) == sorted(words, key=str.encode)


def test_a_batch_of_the_page_is_what_the_hub_reads(enter: Open):
    page = enter()
    ops = [{"op": "trash", "id": "\u05d0\n'", "expect": 3}]
    script = """async (ops) => [...(await import("/static/frame.js")).pack(ops)]"""
    assert [op for op, _ in frame.unpack(bytes(page.evaluate(script, ops)))] == ops
