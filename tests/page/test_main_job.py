"""The main job on real input: pictures dropped into a watched folder are in the dataset and seen.

Real `syncd watch` with the hub that it starts, the thousands of pictures of openclipart-png where
they can be had, and a handful of every other kind.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests import media
from tests.e2e.program import Program, eventually


@pytest.fixture(params=["a handful of every kind", "thousands"])
def pictures(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A tree of them, in nested folders."""
    tree = tmp_path / "dropped"
    media.samples(tree / "samples")
    media.undecodable(tree / "undecodable")
    if request.param == "thousands":
        try:
            shutil.copytree(media.openclipart(), tree / "openclipart", symlinks=True)
        except media.MediaError as error:
            pytest.skip(str(error))
    return tree


@pytest.fixture
def syncd(home: Path) -> Iterator[Program]:
    program = Program(home)
    yield program
    program.end()


@pytest.mark.timeout(300)
def test_what_is_dropped_is_found_complete_and_seen(
    syncd: Program, page: Page, tmp_path: Path, pictures: Path
):
    root = tmp_path / "inbox"
    root.mkdir()
    watching = syncd.watch(root, "--preserve-folders")
    for place in pictures.iterdir():
        place.rename(root / place.name)
    wanted = digests(root)
    eventually(lambda: counts(syncd) == (len(wanted), 0), 120)
    listed = syncd("ls", "inbox", "--json").lines
    found = {f"{line['folder'].strip('/')}/{line['name']}": line["sha256"] for line in listed}
    assert len(found) == len(listed), "a file is there twice"
    assert found == wanted
    verified = syncd("verify", "inbox", "--against", root, "--json").json
    assert (verified["checked"], verified["wrong"]) == (len(wanted), [])
    page.goto(syncd("open").out.strip())
    see(page, len(wanted))
    watching.stop()


def see(page: Page, count: int) -> None:
    """The page shows how many there are, and those of every kind as pictures."""
    page.goto(f"{page.url.partition('#')[0]}#dataset=inbox")
    everything = page.get_by_role("link", name="Everything")
    expect(everything).to_contain_text(re.compile(f"{count}|{count:,}"))
    expect(page.locator(".tile:visible").first).to_be_visible()
    page.goto(f"{page.url.partition('#')[0]}#dataset=inbox&folder=/samples")
    for name in ("plain.jpg", "lossy.webp", "pages-16bit.tiff", "moving.gif", "bitmap.bmp",
                 "still.heic", "clip.mp4", "scan.dcm", "alpha.png"):  # fmt: skip
        tile = page.locator(".tile:visible", has_text=name)
        expect(tile).to_have_count(1)
        expect(tile.locator("img")).to_be_visible()


def counts(syncd: Program) -> tuple[int, int]:
    (mirror,) = syncd("status", "--json").json["mirrors"]
    return mirror["synced"], mirror["pending"]


def digests(root: Path) -> dict[str, str]:
    """Of every file below a folder that is not hidden, links to one in it among them."""
    files = [path for path in root.rglob("[!.]*") if path.is_file()]
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.resolve().is_relative_to(root.resolve())
    }
