"""One hub and one browser for each module of tests, a fresh session of the page for each test.

Not one for all modules: while Playwright runs, this thread has a running event loop, and tests
elsewhere want one of their own.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Dialog,
    Error,
    Page,
    expect,
    sync_playwright,
)

from tests.page.stage import PATIENCE, RunningHub, running_hub

# None is the one that playwright has installed, if it has.
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
ARGS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
Open = Callable[..., Page]
expect.set_options(timeout=PATIENCE * 1000)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    with running_hub(tmp_path_factory.mktemp("page")) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        try:
            running = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        except Error:
            if CHROMIUM or os.environ.get("CI") == "true":
                raise
            pytest.skip("no chromium: apt-get install chromium, or playwright install --with-deps")
        yield running
        running.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1280, "height": 800})
    made.set_default_timeout(PATIENCE * 1000)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page in which no script fails, nothing offends the policy and no dialog pops up."""
    wrong: list[str] = []
    made = context.new_page()
    made.on("pageerror", lambda error: wrong.append(f"a script failed: {error}"))
    made.on("console", lambda said: _listen(said, wrong))
    made.on("dialog", lambda dialog: _turn_away(dialog, wrong))
    yield made
    assert not wrong


def _listen(said: Any, wrong: list[str]) -> None:
    # what could not be loaded is the page's own business: it says so where it matters
    if said.type in ("error", "warning") and "Failed to load resource" not in said.text:
        wrong.append(f"the console says: {said.text}")


def _turn_away(dialog: Dialog, wrong: list[str]) -> None:
    wrong.append(f"a dialog: {dialog.message}")
    dialog.dismiss()


@pytest.fixture
def enter(page: Page, hub: RunningHub) -> Open:
    """`enter(dataset, folder="/a")`: sign in by the link and look at a dataset."""

    def open(dataset: str | None = None, **view: str) -> Page:
        page.goto(hub.link())
        if dataset is not None:
            look(page, hub, dataset, **view)
        page.wait_for_selector("#app:not([hidden])")
        return page

    return open


def look(page: Page, hub: RunningHub, dataset: str, **view: str) -> None:
    """Go to a view by its address."""
    query = str(
        page.evaluate("view => String(new URLSearchParams(view))", {"dataset": dataset} | view)
    )
    page.goto(f"{hub.url}/#{query}")


@pytest.fixture
def shots() -> Path | None:
    """Where to leave screenshots to be looked at, if anybody asked."""
    folder = os.environ.get("SHOTS")
    return Path(folder) if folder else None
