"""A schema to try things out in, and what was found."""

import secrets
import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec
import structlog
from vastdb import errors  # type: ignore[import-untyped]
from vastdb._internal import VastdbApi  # type: ignore[import-untyped]

from tams_gateway.storage.errors import StoreError
from tams_gateway_vast.settings import Settings
from tams_gateway_vast.tables.columns import Column, Table, binary, number, text
from tams_gateway_vast.tables.layout import CLAIMS, PROBES
from tams_gateway_vast.tables.rows import Row, arrow, with_ids
from tams_gateway_vast.transport.cluster import Cluster, Transaction
from tams_gateway_vast.transport.predicates import Is
from tams_gateway_vast.writing.guards import commit_alone

Work: TypeAlias = Callable[[Transaction], object]
"""What is done in a transaction."""

ROWS: Final = Table("rows", (number("key"), text("name"), number("value"), binary("data")))
"""The table of most questions."""

WAITS: Final = 2.0
"""Seconds after which a call is said to wait."""


class Answer(msgspec.Struct, frozen=True):
    """What was found of a question; its number is that of our list of what is unknown."""

    number: int
    question: str
    found: Mapping[str, str]


class Lab:
    """A schema of its own on a cluster, to be dropped; `urls` are the endpoints in use."""

    def __init__(
        self,
        settings: Settings,
        log: structlog.typing.FilteringBoundLogger,
        rounds: int,
    ) -> None:
        self.cluster = Cluster(settings, log, time.time)
        self.log = log
        self.settings = settings
        self.rounds = rounds
        self.urls = settings.endpoints
        self._numbers = 0

    def begin(self, number: int = 0) -> Transaction:
        """Begin a transaction, through the endpoint with this number, counted around."""
        return self.cluster.begin(self.urls[number % len(self.urls)])

    def same(self, txid: int, number: int) -> Transaction:
        """Return an open transaction as somebody at another endpoint has it; 0 stands for none."""
        endpoint = self.cluster.endpoints.of(self.urls[number % len(self.urls)])
        return Transaction(endpoint, self.settings, self.cluster.sorted, txid)

    def commit(self, transaction: Transaction) -> None:
        """Commit, and raise what that raises: nothing is settled here."""
        txid = transaction.txid
        transaction.endpoint.send("commit", lambda api: api.commit_transaction(txid))

    def roll_back(self, transaction: Transaction) -> None:
        """Roll back, and raise what that raises."""
        txid = transaction.txid
        transaction.endpoint.send("roll back", lambda api: api.rollback_transaction(txid))

    def call(self, transaction: Transaction, call: Callable[[VastdbApi], object]) -> None:
        """Make a call that the plugin itself makes never."""
        transaction.endpoint.send("probe", call)

    def alone(self, work: Work) -> None:
        """Do and commit something."""
        commit_alone(self.cluster, lambda fresh: _done(work, fresh))

    def make(self, name: str, columns: Sequence[Column], sorted_by: Sequence[str] = ()) -> Table:
        """Make a table; sorted where columns for that are given."""
        table = Table(name, tuple(columns), tuple(sorted_by))
        self.alone(lambda fresh: fresh.create_table(table, sorting=bool(sorted_by)))
        if sorted_by:
            self.cluster.sorted.add(name)
        return table

    def add(self, table: Table = ROWS, **values: int | str | bytes) -> int:
        """Add a row with a new key; return the key."""
        key = self.number()
        row: Row = {"key": key, **values}
        self.alone(lambda fresh: fresh.insert(table, arrow(table, [row])))
        return key

    def number(self) -> int:
        """Return a number that was not there yet."""
        self._numbers += 1
        return self._numbers

    def row_id(self, key: int, table: Table = ROWS) -> int:
        """Return the row id of a key."""
        found = self.cluster.read(
            lambda fresh: fresh.select(table, ("$row_id",), (Is("key", key),))
        )
        return int(found.column(0)[0].as_py())

    def values(self, key: int, transaction: Transaction | None = None) -> list[int | None]:
        """Return the values of the rows with a key, as a transaction or a new one sees them."""

        def select(fresh: Transaction) -> list[int | None]:
            found = fresh.select(ROWS, ("value",), (Is("key", key),))
            values: list[int | None] = found.column(0).to_pylist()
            return values

        return self.cluster.read(select) if transaction is None else select(transaction)

    def median(self, call: Callable[[], object]) -> str:
        """Return the median of the times that a call takes."""
        return milliseconds([timed(call) for _ in range(self.rounds)])

    def make_schema(self) -> None:
        """Make the schema, with the tables that the questions and the probes of guards ask for."""

        def work(fresh: Transaction) -> None:
            fresh.create_schema()
            for table in (ROWS, PROBES, CLAIMS):
                fresh.create_table(table, sorting=False)

        commit_alone(self.cluster, work)

    def drop_schema(self) -> None:
        """Drop the schema with all tables. Raises `StoreError`."""

        def work(fresh: Transaction) -> None:
            for name in fresh.tables():
                fresh.drop_table(Table(name, ()))
            fresh.drop_schema()

        commit_alone(self.cluster, work)
        self.cluster.close()


class Call:
    """A call in a thread of its own, as it may wait for another transaction."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._outcome = ""
        self._work = work
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def outcome(self, patience: float) -> str:
        """Return what came of it, or that it still waits after so many seconds."""
        self._thread.join(patience)
        return "waits" if self._thread.is_alive() else self._outcome

    def _run(self) -> None:
        self._outcome = outcome(self._work)


def update(row_id: int, value: int) -> Work:
    """Return the update of a row of `ROWS`."""
    changed = with_ids(ROWS, [(row_id, {"value": value})])
    return lambda transaction: transaction.update(ROWS, changed)


def outcome(work: Callable[[], object]) -> str:
    """Do something and return what came of it, in a few words."""
    try:
        work()
    except StoreError as error:
        return told(error)
    return "done"


def answered(ask: Callable[[], str]) -> str:
    """Return an answer, or why there is none."""
    try:
        return ask()
    except StoreError as error:
        return told(error)


def told(error: BaseException) -> str:
    """Return status, code and message of an answer, or else the error itself."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, errors.HttpError):
            status = int(getattr(cause.status, "value", cause.status))
            return " ".join(str(part) for part in (status, cause.code, cause.message) if part)
        cause = cause.__cause__
    return str(error)


def timed(call: Callable[[], object]) -> float:
    """Return how many seconds a call takes."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def milliseconds(seconds: Sequence[float]) -> str:
    """Return the median of times, for a report."""
    return f"{statistics.median(seconds) * 1000:.2f} ms"


def scratch(settings: Settings) -> Settings:
    """Return the settings with a new schema, which nobody else has."""
    name = f"{settings.schema}_probe_{secrets.token_hex(4)}"
    return msgspec.structs.replace(settings, schema=name)


def _done(work: Work, transaction: Transaction) -> None:
    work(transaction)
