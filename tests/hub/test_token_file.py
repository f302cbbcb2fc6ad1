"""A hub whose token an administrator made, as a unit is given it."""

from __future__ import annotations

import pytest

from syncd.clock import SystemClock
from syncd.errors import ConfigError
from syncd.hub import auth
from syncd.hub.core import Hub, HubSettings


def test_a_given_token_is_the_only_one_and_is_not_copied(tmp_path):
    file = tmp_path / "token"
    file.write_text("a" * 40 + "\n")
    hub = Hub(HubSettings(data=tmp_path / "data", token_file=file), clock=SystemClock())
    try:
        assert hub.auth.bearer(b"Bearer " + b"a" * 40)
        assert not hub.auth.bearer(b"Bearer " + b"b" * 40)
        assert not (tmp_path / "data/token").exists()
    finally:
        hub.close()


@pytest.mark.parametrize(
    ("content", "fault"),
    [(None, "No such file"), (b"short", "fewer than 32"), (b"", "fewer than 32"),
     (b"\xff" * 40, "no plain text")],
)  # fmt: skip
def test_a_token_that_cannot_be_one_is_told(tmp_path, content, fault):
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=fault):
        auth.given(file)
