"""The page as a person meets it: the way in, names, one item, trash, search, trouble, looks."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests import media
from tests.page.conftest import Open, look
from tests.page.stage import RunningHub, picture, wait_until

PAGES = Path(__file__).parents[2] / "syncd/hub/pages"
NASTY = [
    "<img src=x onerror=alert(1)>.png",
    "\"><script>alert(2)</script>'.png",
    "two\nlines.png",
    "photo\u202egnp.exe",
    "\u05e9\u05dc\u05d5\u05dd \u200f.png",
    "&amp;<b>.png",
    "javascript:alert(3)",
]


# -- the way in


def test_the_link_lets_in_once(page: Page, hub: RunningHub):
    link = hub.link()
    page.goto(link)
    page.wait_for_selector("#app:not([hidden])")
    assert page.url.startswith(f"{hub.url}/")
    assert "code" not in page.url
    again = page.goto(link)
    assert again is not None
    assert again.status == 403
    page.wait_for_selector("#app:not([hidden])")


def test_a_used_link_tells_a_stranger_the_way_in(page: Page, hub: RunningHub):
    link = hub.link()
    assert httpx.get(link).status_code == 303
    answer = page.goto(link)
    assert answer is not None
    assert answer.status == 403
    expect(page.get_by_text("Ask for a fresh link")).to_be_visible()
    expect(page.get_by_text("syncd open")).to_be_visible()
    expect(page.locator("#app")).to_be_hidden()


def test_a_stranger_is_told_the_way_in(page: Page, hub: RunningHub):
    answer = page.goto(hub.url)
    assert answer is not None
    assert answer.status == 401
    expect(page.get_by_text("Ask for a fresh link")).to_be_visible()
    expect(page.get_by_text("syncd open")).to_be_visible()
    expect(page.locator("#app")).to_be_hidden()


def test_a_session_that_is_over_is_said_to_be(enter: Open, hub: RunningHub):
    page = enter(hub.dataset({"a.png": picture(1), "b/c.png": picture(2)}))
    expect(page.locator(".tile:visible")).to_have_count(2)
    page.context.clear_cookies()
    page.evaluate("location.hash += '&folder=/b'")
    expect(page.get_by_text("Ask for a fresh link")).to_be_visible()


def test_a_hub_that_is_away_is_waited_for(enter: Open, hub: RunningHub):
    dataset = hub.dataset({"a.png": picture(1)})
    page = enter(dataset)
    expect(page.locator(".tile:visible")).to_have_count(1)
    page.context.set_offline(True)
    page.get_by_role("link", name="Trash").click()
    expect(page.get_by_text("The hub is not answering")).to_be_visible()
    hub.put(dataset, {"b.png": picture(2)})
    page.context.set_offline(False)
    expect(page.get_by_text("The hub is not answering")).to_be_hidden()
    page.get_by_role("link", name="Everything").click()
    expect(page.locator(".tile:visible")).to_have_count(2)


# -- what may run


def test_the_policy_lets_nothing_foreign_run(context: BrowserContext, hub: RunningHub):
    page = context.new_page()
    page.goto(hub.link())
    policy = httpx.get(hub.url).headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    tried = page.evaluate(
        """() => {
          try { document.body.innerHTML = "<b>x</b>"; return "it was let"; }
          catch (error) { return error.name; }
        }"""
    )
    assert tried == "TypeError"


@pytest.mark.parametrize("file", sorted(PAGES.iterdir()), ids=lambda path: path.name)
def test_nothing_is_inline_or_from_elsewhere(file: Path):
    text = file.read_text()
    if file.suffix == ".html":
        assert not re.search(r"<style|<script(?![^>]*\ssrc=)|\son\w+=|\sstyle=", text)
    elsewhere = set(re.findall(r"https?://[^\"' ]+", text))
    assert elsewhere <= {"http://www.w3.org/2000/svg"}


def test_static_files_are_only_the_pages_own(hub: RunningHub):
    for name in ("..%2fpage.py", "%2e%2e/page.py", "nothing.js", "%00"):
        assert hub.http.get(f"/static/{name}").status_code in (404, 401), name
    again = hub.http.get("/static/main.js")
    assert again.headers["Content-Type"].startswith("text/javascript")
    known = {"If-None-Match": again.headers["ETag"]}
    assert hub.http.get("/static/main.js", headers=known).status_code == 304


def test_names_are_text_wherever_they_are_shown(enter: Open, hub: RunningHub):
    files = {f"{folder}/{name}": picture(1) for folder in NASTY[:2] for name in NASTY}
    files = {key.replace("</script>", "<\u2044script>"): data for key, data in files.items()}
    dataset = hub.dataset(files, name="<script>alert(4)<\u2044script>")
    page = enter(dataset)
    expect(page.locator(".tile:visible")).to_have_count(len(files))
    expect(page.get_by_role("heading", level=1)).to_have_text(dataset)
    expect(page.get_by_title("<img src=x onerror=alert(1)>.png").first).to_be_visible()
    expect(page.locator("#folders")).to_contain_text("<img src=x onerror=alert(1)>.png")
    expect(page.get_by_title("two\u240alines.png").first).to_be_visible()
    expect(page.get_by_title("photo\u2039U+202E\u203agnp.exe").first).to_be_visible()
    for tile in page.locator(".tile:visible").all():
        tile.click()
        expect(page.locator("#v-name")).to_be_visible()
        page.keyboard.press("Escape")
    assert page.locator("img[src=x], main script, main b, #viewer script").count() == 0


# -- one item


def test_an_item_is_shown_with_all_that_is_known_of_it(enter: Open, hub: RunningHub):
    dataset = hub.dataset({f"in/{n}.png": picture(n) for n in range(3)})
    middle = hub.items(dataset)[1]
    page = enter(dataset)
    page.get_by_role("option", name="1.png").click()
    viewer = page.get_by_role("dialog", name="1.png")
    expect(viewer.locator("img.whole-picture")).to_be_visible()
    for fact in (middle["sha256"], "/in", "image/png", f"({middle['size']} bytes)", "2 of 3"):
        expect(viewer.get_by_text(fact)).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#v-name")).to_have_text("2.png")
    expect(page.get_by_role("button", name="Next")).to_be_disabled()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#v-name")).to_have_text("0.png")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "0.png"
    assert Path(download.value.path()).read_bytes() == picture(0)
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()


def test_every_kind_has_a_picture_or_a_sheet(enter: Open, hub: RunningHub, tmp_path: Path):
    good = {path.name: path.read_bytes() for path in media.samples(tmp_path / "good")}
    bad = {path.name: path.read_bytes() for path in media.undecodable(tmp_path / "bad")}
    page = enter(hub.dataset(good))
    expect(page.locator(".tile:visible img:visible")).to_have_count(len(good))
    for name in ("clip.mp4", "cmyk.jpg", "pages-16bit.tiff", "scan.dcm", "still.heic"):
        page.get_by_role("option", name=f"{name},").click()
        shown = page.locator("#v-stage").locator("img.whole-picture, video").last
        expect(shown).to_be_visible()
        page.keyboard.press("Escape")
    look(page, hub, hub.dataset(bad))
    expect(page.locator(".tile:visible")).to_have_count(len(bad))
    for name in ("empty.jpg", "torn.mp4", "preamble-only.dcm"):
        page.get_by_role("option", name=f"{name},").click()
        sheet = page.locator("#v-stage .sheet")
        expect(sheet).to_have_text(name.rpartition(".")[2].upper())
        page.keyboard.press("Escape")
    expect(page.locator(".tile:visible img:visible")).to_have_count(0)


# -- trash


def test_items_go_to_the_trash_and_come_back(enter: Open, hub: RunningHub):
    dataset = hub.dataset({f"{n}.png": picture(n) for n in range(5)})
    page = enter(dataset)
    for name in ("1.png", "3.png"):
        tile = page.get_by_role("option", name=name)
        tile.hover()
        tile.locator(".tick").click()
    expect(page.locator("#bar-count")).to_contain_text("2 items selected")
    page.get_by_role("toolbar").get_by_role("button", name="Move to trash").click()
    expect(page.locator(".tile:visible")).to_have_count(3)
    assert [one["name"] for one in hub.items(dataset, "trashed")] == ["1.png", "3.png"]
    page.get_by_role("link", name="Trash").click()
    page.get_by_role("option", name="3.png").locator(".tick").click(force=True)
    page.get_by_role("toolbar").get_by_role("button", name="Restore").click()
    expect(page.locator(".tile:visible")).to_have_count(1)
    assert [one["name"] for one in hub.items(dataset)] == ["0.png", "2.png", "3.png", "4.png"]


def test_a_removal_can_be_undone(enter: Open, hub: RunningHub):
    dataset = hub.dataset({f"{n}.png": picture(n) for n in range(3)})
    page = enter(dataset)
    page.get_by_role("option", name="1.png").click()
    page.get_by_role("button", name="Move to trash").click()
    expect(page.locator("#v-name")).to_have_text("2.png")
    page.get_by_role("button", name="Undo").click()
    wait_until(lambda: len(hub.items(dataset)) == 3)
    page.keyboard.press("Escape")
    expect(page.locator(".tile:visible")).to_have_count(3)


def test_the_trash_is_emptied_only_after_a_yes(enter: Open, hub: RunningHub):
    dataset = hub.dataset({f"{n}.png": picture(n) for n in range(3)})
    page = enter(dataset)
    expect(page.locator(".tile:visible")).to_have_count(3)
    page.locator("#gallery").press("Control+a")
    expect(page.locator("#bar-count")).to_contain_text("3 items selected")
    page.locator("#gallery").press("Delete")
    expect(page.locator("#nothing")).to_contain_text("Nothing here yet")
    page.get_by_role("link", name="Trash").click()
    for answer in ("Cancel", "Delete for good"):
        page.get_by_role("button", name="Empty trash").click()
        question = page.get_by_role("dialog", name="Empty the trash?")
        expect(question).to_contain_text("3 items of this dataset will be deleted for good")
        question.get_by_role("button", name=answer).click()
        expect(question).to_be_hidden()
        assert answer != "Cancel" or len(hub.items(dataset, "trashed")) == 3
    expect(page.locator("#nothing")).to_contain_text("The trash is empty")
    assert hub.items(dataset, "trashed") == []


def test_an_item_changed_meanwhile_is_left_alone(enter: Open, hub: RunningHub):
    dataset = hub.dataset({"a.png": picture(1)})
    page = enter(dataset)
    expect(page.get_by_role("option", name="a.png")).to_be_visible()  # not only its place
    page.route("**/batch**", lambda route: route.fulfill(json={"results": [
        {"status": "conflict", "reason": "version 2 is there"}
    ]}))  # fmt: skip
    page.locator("#gallery").press("Delete")
    expect(page.get_by_text("1 item left alone: version 2 is there")).to_be_visible()
    expect(page.locator(".tile:visible")).to_have_count(1)


# -- finding one's way


def test_names_are_searched(enter: Open, hub: RunningHub):
    dataset = hub.dataset({f"{n % 3}/{n:03}.png": picture(n % 9) for n in range(1500)})
    page = enter(dataset)
    page.keyboard.press("/")
    page.keyboard.type("149")
    expect(page.locator("#summary")).to_have_text("12 matches")
    expect(page.locator(".tile:visible")).to_have_count(12)
    page.keyboard.press("Control+a")
    page.keyboard.type("nowhere")
    expect(page.locator("#nothing")).to_contain_text("No name fits")


def test_folders_are_a_tree_with_counts(enter: Open, hub: RunningHub):
    page = enter(
        hub.dataset({"a/b/c/1.png": picture(1), "a/2.png": picture(2), "3.png": picture(3)})
    )
    expect(page.locator("#folders")).to_contain_text("Everything3")
    expect(page.get_by_role("link", name="b 1")).to_have_count(0)
    page.get_by_role("button", name="Open a").press("Enter")
    page.get_by_role("link", name="b 1").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("b")
    expect(page.locator(".tile:visible .name")).to_have_text(["1.png"])
    page.go_back()
    expect(page.locator(".tile:visible")).to_have_count(3)


def test_everything_can_be_done_by_keys(enter: Open, hub: RunningHub):
    dataset = hub.dataset({f"{n}.png": picture(n) for n in range(9)})
    page = enter(dataset)
    expect(page.locator(".tile:visible")).to_have_count(9)
    for _ in range(40):
        if page.evaluate("document.activeElement.id") == "gallery":
            break
        page.keyboard.press("Tab")
    active = """() => document.getElementById(document.activeElement
        .getAttribute('aria-activedescendant'))?.querySelector('.name').textContent"""
    page.keyboard.press("ArrowRight")
    wait_until(lambda: page.evaluate(active) == "1.png")
    page.keyboard.press("Enter")
    expect(page.locator("#v-name")).to_have_text("1.png")
    page.keyboard.press("Escape")
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator("#bar-count")).to_contain_text("3 items selected")
    page.keyboard.press("Delete")
    expect(page.locator(".tile:visible")).to_have_count(6)
    assert [one["name"] for one in hub.items(dataset, "trashed")] == ["1.png", "2.png", "3.png"]


# -- looks


CONTRAST = """() => {
  const style = getComputedStyle(document.documentElement);
  const light = (name) => {
    const hex = style.getPropertyValue(name).trim();
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (...pair) => {
    const [low, high] = pair.map(light).sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const grounds = ["--ground", "--surface", "--sunk", "--tile"];
  return Object.fromEntries([
    ...grounds.flatMap((g) => ["--text", "--muted"].map((ink) => [ink + g, ratio(ink, g)])),
    ["accent", ratio("--accent", "--accent-soft")], ["danger", ratio("--danger", "--surface")],
    ["on accent", ratio("--on-accent", "--accent")],
  ]);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(enter: Open, page: Page, scheme: str, shots: Path | None, hub: RunningHub):
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    enter(hub.dataset({f"{n}.png": picture(n) for n in range(30)}))
    expect(page.locator(".tile:visible img:visible").first).to_be_visible()
    ratios = page.evaluate(CONTRAST)
    assert {name: ratio for name, ratio in ratios.items() if ratio < 4.5} == {}
    if shots:
        (shots / f"{scheme}.png").write_bytes(page.screenshot())


def test_a_narrow_window_has_a_drawer(enter: Open, hub: RunningHub):
    page = enter(hub.dataset({"a/1.png": picture(1)}))
    page.set_viewport_size({"width": 400, "height": 720})
    expect(page.locator("#side")).to_be_hidden()
    page.get_by_role("button", name="Datasets and folders").click()
    page.get_by_role("link", name="a 1").click()
    expect(page.locator("#side")).to_be_hidden()
    expect(page.get_by_role("heading", level=1)).to_have_text("a")
    overflow = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not page.evaluate(overflow)
