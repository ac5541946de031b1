"""A model of a database of a few lines, of whose conflicts all that is unknown is a switch."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

COMMITS, COLUMN = "commits", "column"
"""The row of a shard, and the name of its column."""


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
