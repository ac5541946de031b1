"""What each call does, by its method and command: transactions and buckets, and the way to all."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar
from urllib.parse import unquote

import msgspec

from tests.servers.vast import changes
from tests.servers.vast.catalogue import Path
from tests.servers.vast.errors import Refused, missing
from tests.servers.vast.switches import Switches
from tests.servers.vast.transactions import Transaction, Transactions

T = TypeVar("T")


class Request(msgspec.Struct, frozen=True):
    """A request as it came; names of headers are in small letters."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    endpoint: int = 0

    @property
    def command(self) -> str:
        """The first key of the query where it has no value, as `rows`."""
        first = self.target.partition("?")[2].partition("&")[0]
        return "" if "=" in first else first

    @property
    def parameters(self) -> dict[str, str]:
        """The rest of the query."""
        parts = self.target.partition("?")[2].split("&")
        pairs = (part.partition("=")[::2] for part in parts if "=" in part)
        return {name: unquote(value.replace("+", " ")) for name, value in pairs}

    @property
    def names(self) -> list[str]:
        """The parts of the path: bucket, schemas, table."""
        return [unquote(part) for part in self.target.partition("?")[0].split("/") if part]

    @property
    def table(self) -> Path:
        """The path as that of a table; raises 404 where it is too short."""
        bucket, *schemas = self.names or [""]
        if len(schemas) < 2:
            raise missing(f"the table {self.target}", "NoSuchTable")
        return Path(bucket, "/".join(schemas[:-1]), schemas[-1])

    @property
    def schema(self) -> Path:
        """The path as that of a schema; an empty one is the bucket itself."""
        bucket, *schemas = self.names or [""]
        return Path(bucket, "/".join(schemas))

    @property
    def txid(self) -> int:
        """The transaction that it names; 0 is none."""
        return int(self.headers.get("tabular-txid", "0"))


class Answer(msgspec.Struct):
    """What the client gets: a whole body, or pages with their numbers of rows."""

    body: bytes | Iterator[tuple[bytes, int]] = b""
    headers: Mapping[str, str] = {}
    status: int = 200
    rows: int = 0
    """Rows that were inserted, updated, deleted."""


class State:
    """What all calls work on."""

    def __init__(self, transactions: Transactions, switches: Callable[[], Switches]) -> None:
        self.transactions = transactions
        self.switches = switches
        self.addresses: list[str] = []
        """Of the endpoints that run; without ports."""
        self._handle = 0

    @property
    def last_wins(self) -> bool:
        """Whether of two that make one name the last one stays."""
        return self.switches().names == "none"

    def handle(self) -> int:
        """Return a new number for a table or projection."""
        self._handle += 1
        return self._handle

    @contextmanager
    def transaction(self, request: Request) -> Iterator[Transaction]:
        """Hold the lock over a request's transaction; without one, open and commit its own."""
        transactions = self.transactions
        with transactions.lock:
            if request.txid:
                yield transactions.get(request.txid)
                return
            own = transactions.begin_own()
            try:
                yield own
            except BaseException:
                transactions.roll_back(own)
                raise
            transactions.commit(own)


Call = Callable[[State, Request], Answer]

CALLS: dict[tuple[str, str], Call] = {}
"""All calls, by method and command."""


def call(method: str, command: str) -> Callable[[Call], Call]:
    """Make a function the one for a method and a command."""

    def register(function: Call) -> Call:
        CALLS[method, command] = function
        return function

    return register


def find(request: Request) -> Call:
    """Return the function for a request; raises 501."""
    found = CALLS.get((request.method, request.command))
    if found is None:
        text = f"{request.method} ?{request.command} is not part of this test server"
        raise Refused(501, "NotImplemented", text)
    return found


def page(
    request: Request, found: Sequence[T], names: Sequence[str]
) -> tuple[list[T], dict[str, str]]:
    """Return what a list asks for, and the headers of its answer."""
    exact = request.headers.get("tabular-name-exact-match")
    prefix = request.headers.get("tabular-name-prefix", "")
    chosen = [
        one
        for one, name in zip(found, names, strict=True)
        if (name == exact if exact is not None else name.startswith(prefix))
    ]
    start = int(request.headers.get("tabular-next-key", "0"))
    end = start + int(request.headers.get("tabular-max-keys", "1000"))
    some = [] if request.headers.get("tabular-list-count-only") == "True" else chosen[start:end]
    return some, {
        "tabular-next-key": str(end),
        "tabular-is-truncated": "true" if end < len(chosen) else "false",
        "tabular-list-count": str(len(chosen)),
    }


def alter(
    state: State,
    transaction: Transaction,
    path: Path,
    change: changes.Alter,
) -> None:
    table = state.transactions.view(transaction).table(path)
    whole = changes.alter_table(path, table.handle, change)
    state.transactions.change(transaction, whole)


@call("GET", "transaction")
def get_transaction(state: State, request: Request) -> Answer:
    """Tell the version, in a header of every answer, or keep a transaction alive."""
    if "tabular-get-vast-version" not in request.headers:
        with state.transactions.lock:
            state.transactions.get(request.txid)
    return Answer()


@call("POST", "transaction")
def begin(state: State, request: Request) -> Answer:
    """Open a transaction; the header `x-vast-rcf-id` names the node that did."""
    with state.transactions.lock:
        opened = state.transactions.begin()
    headers = {
        "tabular-txid": str(opened.number),
        "x-vast-rcf-id": f"E{request.endpoint + 1}:{opened.number}",
    }
    return Answer(headers=headers)


@call("PUT", "transaction")
def commit(state: State, request: Request) -> Answer:
    """Make the changes of a transaction visible."""
    with state.transactions.lock:
        state.transactions.commit(state.transactions.get(request.txid))
    return Answer()


@call("DELETE", "transaction")
def roll_back(state: State, request: Request) -> Answer:
    """End a transaction without a trace, whoever opened it."""
    with state.transactions.lock:
        state.transactions.roll_back(state.transactions.get(request.txid))
    return Answer()


@call("HEAD", "")
def bucket_exists(state: State, request: Request) -> Answer:
    """Tell whether a bucket is there."""
    with state.transactions.lock:
        state.transactions.committed.schema(Path(request.schema.bucket, ""))
    return Answer()


@call("GET", "")
def list_snapshots(state: State, request: Request) -> Answer:
    """Tell that a bucket has no protection snapshots."""
    bucket_exists(state, request)
    body = "<ListBucketResult><IsTruncated>false</IsTruncated><Marker></Marker></ListBucketResult>"
    return Answer(body.encode(), {"Content-Type": "application/xml"})
