"""syncd mirrors local folders into datasets. `connect` is the way in from Python.

The import is lazy: `import syncd` (and with it `syncd --help`) must not pay for the client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from syncd.client import Client, RemoteDataset, connect

__version__ = "0.1.0"
__all__ = ["Client", "RemoteDataset", "__version__", "connect"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from syncd import client

        return getattr(client, name)
    raise AttributeError(f"module 'syncd' has no attribute {name!r}")
