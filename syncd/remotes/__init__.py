"""Remotes: what a dataset can live at, each behind the protocols of `base`."""

import sys

# httpx imports its own command line, and with it rich and click: 40 ms of every start for nothing.
# Told that it is not there, httpx does without, as it does where those are not installed.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
