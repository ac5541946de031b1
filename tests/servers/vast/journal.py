"""A log of all that changed something, from which a server comes back as it was."""

import threading
from pathlib import Path
from typing import Final

import msgspec

from tests.servers.vast.calls import Request, State, find
from tests.servers.vast.switches import Switches

REPLAYING: Final = Switches(rows="none", names="none", idle=float("inf"))
"""How a server behaves while it reads its log: nothing in it was refused."""

_CHANGES: Final = ("POST", "PUT", "DELETE")
_HEADER: Final = 4


class Journal:
    """The requests that succeeded, in their order, each as its length and MessagePack."""

    def __init__(self, path: Path) -> None:
        path.touch()
        self._file = path.open("r+b")
        self._lock = threading.Lock()

    def replay(self, state: State) -> int:
        """Do all that is in the log again, and return how many requests that was.

        What was written last may be incomplete, if the server was killed: it is cut off.
        """
        count, end = 0, 0
        decoder = msgspec.msgpack.Decoder(Request)
        while len(header := self._file.read(_HEADER)) == _HEADER:
            body = self._file.read(int.from_bytes(header, "big"))
            if len(body) < int.from_bytes(header, "big"):
                break
            request = decoder.decode(body)
            find(request)(state, request)
            count, end = count + 1, self._file.tell()
        self._file.seek(end)
        self._file.truncate()
        with state.transactions.lock:
            state.transactions.roll_back_all()
        return count

    def write(self, request: Request) -> None:
        """Add a request that has succeeded, if it was one that changes something."""
        if request.method not in _CHANGES:
            return
        kept = {
            name: value
            for name, value in request.headers.items()
            if name.startswith(("tabular-", "use-"))
        }
        body = msgspec.msgpack.encode(msgspec.structs.replace(request, headers=kept))
        with self._lock:
            self._file.write(len(body).to_bytes(_HEADER, "big") + body)
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
