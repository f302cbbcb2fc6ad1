"""`python -m syncd.hub`: how a hub is started as a process of its own, without the command line's
imports. For people there is `syncd hub`."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from syncd.errors import SyncdError
from syncd.hub.core import HubSettings
from syncd.hub.limits import RETENTION_DAYS
from syncd.hub.server import serve


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m syncd.hub", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the hub's data folder")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int)
    parser.add_argument("--name", action="append", default=[], help="another host name of it")
    parser.add_argument("--address-file", type=Path, help="where to say that it listens")
    parser.add_argument("--idle", type=float, help="stop after that many seconds without requests")
    parser.add_argument("--min-free", type=int, help="bytes of the disk that stay free")
    parser.add_argument("--retention-days", type=float, default=RETENTION_DAYS)
    parser.add_argument("--tls-cert", type=Path)
    parser.add_argument("--tls-key", type=Path)
    parser.add_argument("--insecure", action="store_true")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    try:
        serve(
            HubSettings(
                data=given.data,
                host=given.host,
                port=given.port,
                names=tuple(given.name),
                address_file=given.address_file,
                idle_s=given.idle,
                min_free=given.min_free,
                retention_days=given.retention_days,
                tls_cert=given.tls_cert,
                tls_key=given.tls_key,
                insecure=given.insecure,
            )
        )
    except SyncdError as error:
        print(f"syncd hub: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
