"""`python -m tests.servers.vast`: the test server for a person who wants to try the plugin."""

import argparse
import signal
from pathlib import Path

from tests.servers.vast.server import Server
from tests.servers.vast.switches import Switches

_TEXT = """\
This is a test server that speaks the protocol of VAST Database. It is no VAST cluster: it keeps
all in memory, is slow with large tables, and trusts its own answers where VAST's are not known.

endpoint    {endpoint}
bucket      {server.bucket}
access key  {server.access}
secret key  {server.secret}
version     {server.switches.version}
log         {log}
"""


def main() -> None:
    """Run until interrupted."""
    parser = argparse.ArgumentParser("python -m tests.servers.vast", description=__doc__)
    parser.add_argument("--port", type=int, default=9090)
    parser.add_argument("--bucket", default="vastdb")
    parser.add_argument("--log", type=Path, help="a file to which changes go, and come back from")
    parser.add_argument("--version", default="5.4.0.0", help="of VAST, as clients are told")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each request")
    options = parser.parse_args()
    switches = Switches(version=options.version, latency=options.latency)
    server = Server(1, switches, options.bucket, port=options.port, log=options.log)
    told = f"{options.log}, {server.replayed} changes read" if options.log else "none"
    print(_TEXT.format(server=server, endpoint=server.endpoints[0], log=told), flush=True)  # noqa: T201
    try:
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
    finally:
        server.close()


if __name__ == "__main__":
    main()
