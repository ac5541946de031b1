"""A local test server that speaks the protocol of VAST Database; not a real cluster.

`vast()` runs it in this process, `vast_process()` of `process` in another one, and
`python -m tests.servers.vast` for a person.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.servers.vast.server import Logged, Server
from tests.servers.vast.switches import Fault, Switches

__all__ = ["Fault", "Logged", "Server", "Switches", "vast"]


@contextmanager
def vast(
    endpoints: int = 1, switches: Switches | None = None, bucket: str = "vastdb"
) -> Iterator[Server]:
    """Run a server with one empty bucket in threads of this process."""
    server = Server(endpoints, switches or Switches(), bucket)
    try:
        yield server
    finally:
        server.close()
