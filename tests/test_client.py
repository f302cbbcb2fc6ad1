"""syncd from Python: connect, datasets, push with progress, items, pull; typed and documented."""

from __future__ import annotations

import inspect
from importlib.resources import files

import pytest

import syncd
from syncd import connect
from syncd.errors import (
    ConfigError,
    DeniedError,
    NotFoundError,
    SyncdError,
    TransientError,
    UsageError,
)
from tests.e2e.program import digest


@pytest.fixture
def client(hub):
    with connect(hub.url, token=hub.token) as client:
        yield client


@pytest.fixture
def photos(tree):
    return tree({"a.jpg": b"a", "trip/b.png": b"bb", "trip/day/b.png": b"bbb", "x.txt": b"x"})


def test_a_folder_goes_there_and_back(client, photos, tmp_path):
    dataset = client.dataset("client-there-and-back")
    report = dataset.push([photos])
    assert (report.dataset, report.attempted, report.uploaded, report.skipped) == (
        "client-there-and-back", 3, 3, 0,
    )  # fmt: skip
    assert (report.renamed, report.ignored, report.failed, report.bytes) == (1, 1, [], 6)
    assert isinstance(report.seconds, float)
    assert report.success
    again = dataset.push([str(photos)])
    assert (again.uploaded, again.skipped, again.bytes, again.success) == (0, 3, 0, True)

    items = {item.key: item for item in dataset.items()}
    assert {key: item.digest for key, item in items.items()} == {
        "a.jpg": digest(b"a"), "trip/b.png": digest(b"bb"), "trip/b~day.png": digest(b"bbb"),
    }  # fmt: skip
    assert [item.key for item in dataset.items("trip")] == ["trip/b.png", "trip/b~day.png"]
    assert items["a.jpg"].content_type == "image/jpeg"

    back = dataset.pull(tmp_path / "back")
    assert (back.attempted, back.uploaded, back.success) == (3, 3, True)
    assert (tmp_path / "back" / "trip" / "b~day.png").read_bytes() == b"bbb"
    assert dataset.get("a.jpg", tmp_path / "one.jpg").read_bytes() == b"a"
    assert "client-there-and-back" in client.datasets()


def test_structure_and_place_are_chosen(client, photos):
    dataset = client.dataset("client-structure")
    dataset.push([photos], preserve_folders=True, path="/sub/dir/")
    assert [item.key for item in dataset.items()] == [
        "sub/dir/a.jpg", "sub/dir/trip/b.png", "sub/dir/trip/day/b.png",
    ]  # fmt: skip


def test_the_configuration_holds_where_a_call_says_nothing(client, hub, photos):
    client.places.config.mkdir(parents=True)
    client.places.config_file.write_text(
        '[mirror]\nlayout = "flat"\nextensions = [".png", ".txt"]\nignore = ["day/"]\n'
    )
    dataset = client.dataset("client-configured")
    dataset.push([photos])
    assert {item.key for item in dataset.items()} == {"b.png", "x.txt"}
    whole = client.dataset("client-configured-whole")
    whole.push([photos], preserve_folders=True)
    assert {item.key for item in whole.items()} == {"trip/b.png", "x.txt"}


def test_progress_is_told_for_every_file(client, photos):
    heard: list[tuple[int, int, str]] = []
    client.dataset("client-progress").push([photos], progress=lambda *told: heard.append(told))
    assert [done for done, _, _ in heard] == [1, 2, 3]
    assert {path for _, _, path in heard} == {"a.jpg", "trip/b.png", "trip/day/b.png"}
    assert heard[-1][1] == 3


def test_what_fails_is_in_the_report(client, photos):
    name = b"\xff.jpg"
    (photos / name.decode("utf-8", "surrogateescape")).write_bytes(b"x")
    report = client.dataset("client-failed").push([photos])
    assert [failure.path for failure in report.failed] == ["\\xff.jpg"]
    assert not report.success


def test_what_stops_everything_is_raised(client, hub, photos, tmp_path):
    with pytest.raises(NotFoundError):
        client.dataset("client-none", create=False)
    with pytest.raises(UsageError):
        client.dataset("a/b")
    with pytest.raises(NotFoundError):
        client.dataset("client-raises").push([tmp_path / "none"])
    with pytest.raises(UsageError):
        client.dataset("client-raises").push([])
    with pytest.raises(DeniedError), connect(hub.url, token="wrong") as stranger:
        stranger.dataset("client-raises")
    with pytest.raises(TransientError), connect("http://127.0.0.1:1", token="x") as nobody:
        nobody.datasets()
    with pytest.raises(ConfigError):
        connect("nobody")
    assert issubclass(DeniedError, SyncdError)


def test_the_token_may_come_from_the_environment(hub, monkeypatch):
    monkeypatch.setenv("SYNCD_TOKEN", hub.token)
    with connect(hub.url) as client:
        client.datasets()


def test_without_an_address_the_embedded_hub_is_used(photos):
    with connect() as client:
        assert client.dataset("x").push([photos]).uploaded == 3
    with connect() as other:
        assert other.datasets() == ["x"]


def test_a_dataset_is_read_by_its_name_after_the_hub_came_back(start_hub, photos):
    hub = start_hub()
    with connect(hub.url, token=hub.token) as client:
        dataset = client.dataset("x")
        dataset.push([photos])
        hub.stop()
        again = hub.again()
        assert len(list(dataset.items())) == 3
        again.stop()


def test_everything_public_says_what_it_does_and_is_typed():
    assert files("syncd").joinpath("py.typed").is_file()
    assert set(syncd.__all__) == {"Client", "RemoteDataset", "__version__", "connect"}
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        syncd.nothing  # noqa: B018
    for owner in (syncd.Client, syncd.RemoteDataset):
        for name, member in inspect.getmembers(owner, inspect.isfunction):
            if not name.startswith("_") and name != "close":
                assert member.__doc__, f"{owner.__name__}.{name}"
                assert inspect.signature(member).return_annotation is not inspect.Signature.empty
    assert connect.__doc__
