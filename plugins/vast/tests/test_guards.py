"""Each guard, in every order in which the requests of several writers may reach a database.

The guards are the real ones; the database is a model of a few lines, of whose conflicts everything
that is unknown of a real cluster is a switch. A search goes through all orders.
"""

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, get_args

import pyarrow as pa
import pytest
from tams_gateway_vast import guards
from tams_gateway_vast.border import Refused, Rival
from tams_gateway_vast.columns import Table
from tams_gateway_vast.guards import Name, guard
from tams_gateway_vast.layout import CLAIMS, SHARDS

from tams_gateway.storage.errors import StoreError

COMMITS, COLUMN = "commits", "column"
ERRORS = {"Rival": Rival, "Refused": Refused}


@dataclass(frozen=True)
class Rules:
    """What is unknown of a cluster, for rows and for names, as the test server's switches."""

    rows: str = "none"
    rows_committed: bool = False
    names: str = "none"
    names_committed: bool = False
    rows_isolation: str = "snapshot"
    names_isolation: str = "snapshot"
    stands: str = "v_0"
    """The name of the column at the beginning."""

    def of(self, key: object) -> tuple[str, bool, str]:
        if key == COLUMN:
            return self.names, self.names_committed, self.names_isolation
        return self.rows, self.rows_committed, self.rows_isolation


WAITS = object()
"""The answer that does not come before another transaction has ended."""


@dataclass(frozen=True)
class Open:
    began: int
    base: dict[Any, Any]
    writes: dict[Any, Any] = field(default_factory=dict)
    touched: dict[Any, int] = field(default_factory=dict)
    """What it has changed, with the number of commits at that time."""
    waits: int | None = None
    """The number of commits when it began to wait for another."""


@dataclass(frozen=True)
class Database:
    values: dict[Any, Any]
    commits: int = 0
    changed: dict[Any, int] = field(default_factory=dict)
    open: dict[int, Open] = field(default_factory=dict)
    begun: int = 0

    def key(self) -> object:
        return (
            frozenset(self.values.items()),
            frozenset(self.changed.items()),
            frozenset(
                (
                    txid,
                    one.began,
                    one.waits,
                    frozenset(one.base.items()),
                    frozenset(one.writes.items()),
                    frozenset(one.touched.items()),
                )
                for txid, one in self.open.items()
            ),
            self.begun,
        )

    def do(self, rules: Rules, request: tuple[Any, ...]) -> "tuple[Database, Any]":
        """Return the database afterwards and the answer: the name of an error where it fails."""
        match request:
            case ("begin",):
                opened = {**self.open, self.begun: Open(self.commits, self.values)}
                return replace(self, open=opened, begun=self.begun + 1), self.begun
            case ("read", None, what):
                return self, _read(self.values, what)
            case ("at once", writes, old):
                right = old is None or self.values[COLUMN] == old
                return (self._made(writes), None) if right else (self, "Refused")
            case ("rollback", txid):
                return self._without(txid), txid in self.open
            case ("pause",):
                return self, None
            case (_, txid, *_) if txid not in self.open:
                return self, "Refused"
            case ("read", txid, what):
                return self, _read(self._view(rules, self.open[txid], what), what)
            case ("write", txid, writes, expected):
                return self._write(rules, txid, writes, expected)
            case ("commit", txid):
                return self._commit(rules, txid)
        raise AssertionError(request)

    def _view(self, rules: Rules, one: Open, key: object) -> dict[Any, Any]:
        latest = rules.of(key)[2] == "latest"
        return {**(self.values if latest else one.base), **one.writes}

    def _write(
        self, rules: Rules, txid: int, writes: Sequence[tuple[Any, Any]], expected: object
    ) -> "tuple[Database, Any]":
        key = writes[0][0]
        one = self.open[txid]
        freed, refusal = self._meet(rules, txid, key)
        if refusal is not None:
            return freed, refusal
        if expected is not None and self._view(rules, one, key)[key] != expected:
            return self, "Refused"
        touched = {**one.touched, key: one.touched.get(key, self.commits)}
        wrote = replace(one, writes=one.writes | dict(writes), touched=touched, waits=None)
        return replace(self, open={**self.open, txid: wrote}), None

    def _meet(self, rules: Rules, txid: int, key: object) -> "tuple[Database, Any]":
        """Return what comes of others who have changed the same; None for nothing."""
        rule, committed, _ = rules.of(key)
        if rule in ("none", "commit"):
            return self, None
        one = self.open[txid]
        rivals = [other for other in self.open if other != txid and key in self.open[other].touched]
        if one.waits is not None:
            waited = rule == "waiting" and self.changed.get(key, 0) > one.waits
            return self, WAITS if rivals else "Rival" if waited else None
        if committed and self.changed.get(key, 0) > one.began:
            return self, "Rival"
        if not rivals:
            return self, None
        if rule in ("waiting", "go on"):
            return replace(self, open={**self.open, txid: replace(one, waits=self.commits)}), WAITS
        freed = self
        for ended in [txid, *rivals] if rule == "both" else []:
            freed = freed._without(ended)
        return freed, "Rival"

    def _commit(self, rules: Rules, txid: int) -> "tuple[Database, Any]":
        one = self.open[txid]
        for key, at in one.touched.items():
            rule, committed, _ = rules.of(key)
            since = one.began if committed else at
            if rule == "commit" and self.changed.get(key, 0) > since:
                return self._without(txid), False
        return self._without(txid)._made(one.writes.items()), True

    def _made(self, writes: Collection[tuple[Any, Any]]) -> "Database":
        values = {
            key: value
            for key, value in {**self.values, **dict(writes)}.items()
            if value is not None
        }
        number = self.commits + 1
        changed = {**self.changed, **{key: number for key, _ in writes if key in (COMMITS, COLUMN)}}
        return replace(self, values=values, commits=number, changed=changed)

    def _without(self, txid: int) -> "Database":
        return replace(self, open={one: self.open[one] for one in self.open if one != txid})


def _read(values: dict[Any, Any], what: object) -> object:
    if what in (COMMITS, COLUMN):
        return values[what]
    return frozenset(
        txid for kind, txid in (key for key in values if isinstance(key, tuple)) if kind == what
    )


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


SWITCHES = (
    ("none", "commit", "call", "both", "waiting", "go on"),
    (True, False),
    ("snapshot", "latest"),
)


def of_rows() -> list[Rules]:
    return [
        Rules(rows=rows, rows_committed=committed, rows_isolation=isolation)
        for rows, committed, isolation in itertools.product(*SWITCHES)
    ]


def of_names() -> list[Rules]:
    return [
        Rules(
            names=names,
            names_committed=committed,
            names_isolation=isolation,
            rows_isolation=rows,
        )
        for names, committed, isolation, rows in itertools.product(*SWITCHES, SWITCHES[2])
    ]


HOLDS: Mapping[Name, tuple[list[Rules], Callable[[Rules], bool]]] = {
    "r": (of_rows(), lambda one: one.rows not in ("none", "go on") and one.rows_committed),
    "r+": (of_rows(), lambda one: one.rows != "none"),
    "n": (
        of_names(),
        # Who waited and goes on finds the old name no more, where names are read as they are now.
        lambda one: (
            (one.names_isolation == "latest" or (one.names_committed and one.names != "go on"))
            and one.names != "none"
        ),
    ),
    "n+": (of_names(), lambda one: one.names != "none"),
    "k": ([Rules(), Rules(rows_isolation="latest")], lambda one: True),
    "process": (of_rows()[:4], lambda one: False),
}
"""The rules that matter for each guard, and under which of them it is right."""


@pytest.fixture(autouse=True)
def time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "time", guards.time)


@pytest.mark.parametrize("name", HOLDS)
def test_two_writers_never_decide_on_one_state_where_the_guard_holds(name: Name) -> None:
    """And do elsewhere: so the search finds what is wrong."""
    rules, holds = HOLDS[name]

    assert [one for one in rules if right(name, one) != holds(one)] == []


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("r", Rules(rows="waiting", rows_committed=True)),
        ("r+", Rules(rows="commit")),
        ("n", Rules(names="commit", names_committed=True)),
        ("n+", Rules(names="call")),
    ],
)
def test_nor_do_three(name: Name, rules: Rules) -> None:
    assert right(name, rules, writers=3)


@pytest.mark.parametrize("name", ["n", "n+"])
def test_names_that_another_guard_has_passed_by_are_put_right(name: Name) -> None:
    rules = Rules(names="call", names_isolation="latest", stands="v_7")

    assert right(name, rules)


def right(name: Name, rules: Rules, writers: int = 2) -> bool:
    search = Search(name, rules, writers)
    search.run()
    return search.right()


def test_every_guard_is_searched() -> None:
    assert set(HOLDS) == set(get_args(Name))
