"""A search through all orders in which the requests of several writers may reach a database.

The guards of the writers are the real ones.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
from tams_gateway_vast.tables.columns import Table
from tams_gateway_vast.tables.layout import CLAIMS, SHARDS
from tams_gateway_vast.transport.border import Refused, Rival
from tams_gateway_vast.writing import guards
from tams_gateway_vast.writing.guards import Name, guard

from plugins.vast.tests.conflicts import COLUMN, COMMITS, WAITS, Database, Rules
from tams_gateway.storage.errors import StoreError

ERRORS = {"Rival": Rival, "Refused": Refused}


class Paused(BaseException):
    """A writer has come to a request that is not answered yet."""


class Script:
    """Answers the requests of a writer by what was answered before, and stops at the next."""

    def __init__(self, answers: Sequence[Any]) -> None:
        self.answers = answers
        self.asked = 0
        self.pauses = 0

    def ask(self, *request: Any) -> Any:
        if self.asked == len(self.answers):
            raise Paused(request)
        answer = self.answers[self.asked]
        self.asked += 1
        if isinstance(answer, str) and answer in ERRORS:
            raise ERRORS[answer](answer)
        return answer

    def sleep(self, _: float) -> None:
        self.ask(
            "pause",
        )
        self.pauses += 1


class Transaction:
    """As the plugin's. One without a number is what a guard does beside: done at once."""

    def __init__(self, script: Script, txid: int | None = None) -> None:
        self.txid = txid
        self.ask = script.ask

    def select(self, table: Table, columns: Sequence[str], where: Any = ()) -> pa.Table:
        if table is SHARDS:
            return pa.table({"shard": [0], "commits": [self.ask("read", self.txid, COMMITS)]})
        found = self.ask("read", self.txid, table.name)
        if columns == ("$row_id",):
            found &= set(where[0].values)
        return pa.table({columns[0]: pa.array(sorted(found), pa.int64())})

    def column_names(self, table: str) -> list[str]:
        return [self.ask("read", self.txid, COLUMN)]

    def rename_column(self, table: Table, old: str, new: str) -> None:
        if self.txid is None:
            self.ask("at once", ((COLUMN, new),), old)
        else:
            self.ask("write", self.txid, ((COLUMN, new),), old)

    def insert(self, table: Table, rows: pa.Table) -> None:
        claims = tuple(((CLAIMS.name, one), 1) for one in rows["txid"].to_pylist())
        self.ask("at once", claims, None)

    def delete(self, table: Table, row_ids: Sequence[int]) -> None:
        claims = tuple(((CLAIMS.name, one), None) for one in row_ids)
        self.ask("at once", claims, None)


class Cluster:
    """As the plugin's."""

    def __init__(self, script: Script) -> None:
        self.script = script

    def begin(self) -> Transaction:
        return Transaction(self.script)

    def read(self, work: Any) -> Any:
        return work(Transaction(self.script))

    def rollback(self, txid: int | None) -> bool:
        return txid is None or bool(self.script.ask("rollback", txid))

    def commit(self, transaction: Transaction) -> bool:
        return True


def attempt(own: guards.Guard, cluster: Any, ask: Any) -> bool:
    """Write as the store does: one row that tells how many were there."""
    txid = ask("begin")
    transaction: Any = Transaction(cluster.script, txid)
    shards: Mapping[int, int] = {}
    try:
        shards = {0: ask("read", txid, COMMITS)}
        own.enter(transaction, shards)
        seen = len(ask("read", txid, "data"))
        ask("write", txid, ((COMMITS, shards[0] + 1), (("data", txid), seen)), None)
        own.seal(transaction, shards, txid)
        done = bool(ask("commit", txid))
    except StoreError:
        ask("rollback", txid)
        done = False
    own.leave(transaction, shards)
    return done


class Search:
    """All orders of the requests of writers under the rules of a database."""

    def __init__(self, name: Name, rules: Rules, writers: int = 2, attempts: int = 1) -> None:
        self.name = name
        self.rules = rules
        self.writers = writers
        self.attempts = attempts
        self.ends: list[Database] = []
        self._requests: dict[tuple[Any, ...], tuple[Any, ...] | None] = {}

    def run(self) -> None:
        start = Database({COMMITS: 0, COLUMN: self.rules.stands})
        left = [(start, ((),) * self.writers)]
        known = set()
        while left:
            database, traces = left.pop()
            if (key := (database.key(), traces)) in known:
                continue
            known.add(key)
            follow = list(self._follow(database, traces))
            left += follow
            if not follow:
                assert all(self._request(trace) is None for trace in traces), "deadlock"
                self.ends.append(database)

    def _follow(
        self, database: Database, traces: tuple[Any, ...]
    ) -> Iterator[tuple[Database, tuple[Any, ...]]]:
        for number, trace in enumerate(traces):
            request = self._request(trace)
            if request is None:
                continue
            after, answer = database.do(self.rules, request)
            if answer is not WAITS:
                trace = (*trace, answer)
            elif after is database:
                continue
            yield after, (*traces[:number], trace, *traces[number + 1 :])

    def _request(self, trace: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Return what a writer asks after these answers, None when it is done."""
        if trace not in self._requests:
            script = Script(trace)
            guards.time = SimpleNamespace(sleep=script.sleep, monotonic=lambda: 2.0 * script.pauses)
            try:
                self._write(script)
                self._requests[trace] = None
            except Paused as paused:
                self._requests[trace] = paused.args[0]
        return self._requests[trace]

    def _write(self, script: Script) -> None:
        cluster: Any = Cluster(script)
        own = guard(self.name, cluster)
        if self.rules.stands == "v_0":
            # Its first transaction was before, which found the name in order.
            getattr(own, "_ready", set()).add(0)
        for _ in range(self.attempts):
            if attempt(own, cluster, script.ask):
                return

    def right(self) -> bool:
        """Whether in all orders each commit saw those before it, and not always only one came."""
        counts = set()
        for database in self.ends:
            seen = sorted(value for key, value in database.values.items() if key[0] == "data")
            counts.add(len(seen))
            if seen != list(range(len(seen))) or database.values[COMMITS] != len(seen):
                return False
        assert self.writers in counts
        return True
