"""The server: endpoints, credentials, faults, and a log of what was asked."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

import msgspec

from tests.servers.vast import projection_calls, row_calls, schema_calls, signature, table_calls
from tests.servers.vast.calls import Answer, Request, State, find
from tests.servers.vast.catalogue import Database
from tests.servers.vast.errors import Refused
from tests.servers.vast.journal import REPLAYING, Journal
from tests.servers.vast.switches import Fault, Switches
from tests.servers.vast.transactions import Transactions
from tests.servers.vast.wire import Closed, Listener

ACCESS: Final = "tests"
SECRET: Final = "tests-of-the-gateway"

_BODY: Final = 5 << 20
"""Bytes of a request's body at most."""

_LOGGED: Final = 200_000
"""Requests that are remembered, at least half of them."""

_MODULES: Final = (projection_calls, row_calls, schema_calls, table_calls)
"""They are imported for the calls that they register."""


class Logged(msgspec.Struct):
    """A request that was answered, or closed."""

    method: str
    command: str
    table: str
    """The path, as `bucket/schema/table`."""
    endpoint: int
    txid: int
    status: int = 0
    """0 where the connection was closed instead."""
    rows: int = 0
    """Rows that were answered, inserted, updated or deleted."""


class Server:
    """A running server. Set `switches` and `faults` at any time."""

    def __init__(
        self,
        endpoints: int,
        switches: Switches,
        bucket: str,
        *,
        port: int = 0,
        log: Path | None = None,
    ) -> None:
        self.switches = REPLAYING
        self.bucket = bucket
        self.access = ACCESS
        self.secret = SECRET
        self.requests: list[Logged] = []
        self._faults: list[tuple[Fault, list[int]]] = []
        self._faults_lock = threading.Lock()
        database = Database(frozenset({bucket}))
        self.transactions = Transactions(database, lambda: self.switches)
        self._state = State(self.transactions, lambda: self.switches)
        self._journal = Journal(log) if log is not None else None
        self.replayed = self._journal.replay(self._state) if self._journal is not None else 0
        """How many changes were read from the log."""
        self.switches = switches
        self._listeners = _listening(endpoints, port, self._handle)
        self._state.addresses = [one.host for one in self._listeners]

    @property
    def endpoints(self) -> list[str]:
        """The URLs; each has an address of its own, as the nodes of a cluster have."""
        return [f"http://{one.host}:{one.port}" for one in self._listeners]

    @property
    def faults(self) -> list[Fault]:
        """What is to go wrong. Setting it starts to count requests anew."""
        return [fault for fault, _ in self._faults]

    @faults.setter
    def faults(self, faults: Iterable[Fault]) -> None:
        with self._faults_lock:
            self._faults = [(fault, [0]) for fault in faults]

    def forget(self) -> None:
        """Empty the log of requests."""
        self.requests = []

    def count(self, method: str | None = None, command: str | None = None) -> int:
        """Return how many requests of a kind were logged."""
        return sum(
            method in (None, one.method) and command in (None, one.command) for one in self.requests
        )

    def clear(self) -> None:
        """Forget all data, too: every transaction is rolled back, and the bucket is empty."""
        with self.transactions.lock:
            self.transactions.clear(Database(frozenset({self.bucket})))
        self.forget()

    def stop(self, endpoint: int) -> None:
        """Let an endpoint be gone: it refuses connections, and those it had are cut."""
        self._listeners[endpoint].close()

    def start(self, endpoint: int) -> None:
        """Let an endpoint be back, at its address."""
        self._listeners[endpoint].open()

    def close(self) -> None:
        """Stop all endpoints."""
        for listener in self._listeners:
            listener.close()
        if self._journal is not None:
            self._journal.close()

    def _handle(self, request: Request) -> tuple[Answer, bool]:
        table = "/".join(request.names)
        logged = Logged(request.method, request.command, table, request.endpoint, 0)
        self.requests.append(logged)
        if len(self.requests) > _LOGGED:
            del self.requests[: _LOGGED // 2]
        kinds = self._due(logged)
        if self.switches.latency:
            time.sleep(self.switches.latency)
        for fault in kinds:
            if fault.kind == "hang":
                time.sleep(fault.seconds)
            elif fault.kind == "closed before":
                raise Closed
        answer = self._answer(request, logged, [fault.kind for fault in kinds])
        answer.headers = {**answer.headers, "Server": f"vast {self.switches.version}"}
        if not isinstance(answer.body, bytes):
            answer.body = _counted(answer.body, logged)
        if any(fault.kind == "closed after" for fault in kinds):
            raise Closed
        logged.status = answer.status
        return answer, any(fault.kind == "cut" for fault in kinds)

    def _answer(self, request: Request, logged: Logged, kinds: list[str]) -> Answer:
        try:
            logged.txid = request.txid
            if instead := _instead(kinds):
                return instead
            self._check(request)
            if "ended" in kinds:
                with self.transactions.lock:
                    self.transactions.roll_back(self.transactions.get(request.txid))
            answer = self._execute(request)
        except Refused as refused:
            return _refusal(refused.status, refused.code, refused.message)
        except Exception as error:
            return _refusal(500, "InternalError", f"{type(error).__name__}: {error}")
        logged.rows = answer.rows
        return answer

    def _execute(self, request: Request) -> Answer:
        function = find(request)
        if self._journal is None:
            return function(self._state, request)
        # The log has changes in the order in which they were done.
        with self.transactions.lock:
            answer = function(self._state, request)
            self._journal.write(request)
            return answer

    def _check(self, request: Request) -> None:
        signature.check(
            {self.access: self.secret},
            self.switches.signature,
            *(request.method, request.target, request.headers, request.body),
        )
        if len(request.body) > _BODY:
            raise Refused(413, "EntityTooLarge", "a request has at most 5 MiB")

    def _due(self, logged: Logged) -> list[Fault]:
        """Return the faults that this request meets."""
        due = []
        with self._faults_lock:
            for fault, seen in self._faults:
                wanted = (fault.method, fault.command, fault.table, fault.endpoint)
                have = (logged.method, logged.command, logged.table.split("/")[-1], logged.endpoint)
                if all(one in (None, two) for one, two in zip(wanted, have, strict=True)):
                    seen[0] += 1
                    if fault.at <= seen[0] < fault.at + fault.times:
                        due.append(fault)
        return due


def count(requests: Iterable[Logged], method: str | None = None, command: str | None = None) -> int:
    """Return how many requests are of a kind."""
    return sum(method in (None, one.method) and command in (None, one.command) for one in requests)


def _instead(kinds: list[str]) -> Answer | None:
    """Return the answer of a fault that is not executed."""
    for kind in kinds:
        match kind:
            case "slow down":
                return _refusal(503, "SlowDown", "Please reduce your request rate.")
            case "unavailable":
                return _refusal(503, "ServiceUnavailable", "Please try again.")
            case "error":
                return _refusal(500, "InternalError", "We encountered an internal error.")
            case "bad gateway":
                headers = {"Content-Type": "text/html"}
                return Answer(b"<html><body>502 Bad Gateway</body></html>", headers, 502)
    return None


def _refusal(status: int, code: str, message: str) -> Answer:
    body = f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
    return Answer(body.encode(), {"Content-Type": "application/xml"}, status)


def _counted(pages: Iterator[tuple[bytes, int]], logged: Logged) -> Iterator[tuple[bytes, int]]:
    for page, rows in pages:
        logged.rows += rows
        yield page, rows


def _listening(
    count: int, port: int, handle: Callable[[Request], tuple[Answer, bool]]
) -> list[Listener]:
    """Return listeners at one port of several addresses, as a cluster has them.

    The SDK keeps sessions by address, and derives the other endpoints from addresses alone.
    """
    while True:
        listeners = [Listener(number, f"127.0.0.{number + 1}", handle) for number in range(count)]
        try:
            listeners[0].open(port)
            for listener in listeners[1:]:
                listener.open(listeners[0].port)
        except OSError:
            for listener in listeners:
                listener.close()
            if port:
                raise
            continue
        return listeners
