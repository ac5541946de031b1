"""How writers are kept from deciding on a state that another changes before they commit.

Every transaction that writes reads the rows of its shards first and all else after them, and last
of all adds 1 to `commits` in each of them. So what it has read is true at its commit if `commits`
still is. VAST does not tell which conflicts of two transactions it finds: each guard makes sure of
that by another kind of conflict, or by none at all.
"""

import random
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Final, Literal, Protocol, TypeAlias

import pyarrow as pa  # type: ignore[import-untyped]

from tams_gateway.storage.errors import StoreError
from tams_gateway_vast.tables.columns import Table, number
from tams_gateway_vast.tables.layout import CLAIMS, SHARDS
from tams_gateway_vast.transport.border import Absent, Refused, Rival
from tams_gateway_vast.transport.cluster import Cluster, Transaction
from tams_gateway_vast.transport.predicates import In

Name: TypeAlias = Literal["r", "r+", "n", "n+", "k", "process"]
"""The guards; docs/vast.md tells what each costs and when it holds."""

_TURN: Final = 3.0
"""Seconds that an older transaction gets to end before a rival ends it."""
_PAUSE: Final = 0.2
"""Seconds between two looks whether it has, at most; the first is a tenth of that."""


class Guard(Protocol):
    """Keeps two writers of one shard from both committing on the same state.

    `shards` has `commits` of each shard as the transaction has read it.
    """

    name: Name

    def enter(self, transaction: Transaction, shards: Mapping[int, int]) -> None:
        """Do what comes before the first read behind the shards. Raises `Rival`."""

    def seal(self, transaction: Transaction, shards: Mapping[int, int], token: int) -> None:
        """Do what comes between the update of the shards and the commit. Raises `Rival`."""

    def leave(self, transaction: Transaction, shards: Collection[int]) -> None:
        """Do what comes after the end of the transaction, whatever that was. Raises nothing."""


def guard(name: Name, cluster: Cluster, shards: Table = SHARDS) -> Guard:
    """Return the guard of that name for the transactions that write to a table of shards."""
    match name:
        case "r" | "process":
            return _Rows(name)
        case "r+":
            return _RowsAgain(name, cluster, shards)
        case "n" | "n+":
            return _Names(name, cluster, shards)
        case "k":
            return _Claims(name, cluster, shards)


class _Rows:
    """The update of the shards alone: it conflicts, or there is one process and its locks do."""

    def __init__(self, name: Name) -> None:
        self.name = name

    def enter(self, transaction: Transaction, shards: Mapping[int, int]) -> None:
        """Nothing: the shards are updated in any case."""

    def seal(self, transaction: Transaction, shards: Mapping[int, int], token: int) -> None:
        """Nothing."""

    def leave(self, transaction: Transaction, shards: Collection[int]) -> None:
        """Nothing."""


class _Checked(_Rows):
    """What looks at the shards from outside the transaction."""

    def __init__(self, name: Name, cluster: Cluster, shards: Table) -> None:
        super().__init__(name)
        self._cluster = cluster
        self._shards = shards

    def _check(self, shards: Mapping[int, int]) -> None:
        """Raise `Rival` where others have committed to a shard since it was read."""
        if (found := self._cluster.read(lambda fresh: self._commits(fresh, shards))) != shards:
            changed = sorted(
                shard for shard, commits in shards.items() if found.get(shard) != commits
            )
            raise Rival(f"others wrote to the shards {changed} meanwhile; it is tried again")

    def _commits(self, fresh: Transaction, shards: Collection[int]) -> Mapping[int, int]:
        rows = fresh.select(self._shards, ("shard", "commits"), (In("shard", tuple(shards)),))
        return dict(zip(*(column.to_pylist() for column in rows.columns), strict=True))


class _RowsAgain(_Checked):
    """The update of the shards, where only open transactions conflict.

    After it no rival can commit; so whoever committed since the shards were read is seen now.
    """

    def seal(self, transaction: Transaction, shards: Mapping[int, int], token: int) -> None:
        """Read the shards again."""
        self._check(shards)


class _Names(_Checked):
    """A column for each shard, named after `commits`, which each writer renames to the next.

    A rival finds that name no more, or conflicts with the one who took it away. With `n+` only open
    transactions have to conflict, as `r+` does with rows.
    """

    def __init__(self, name: Name, cluster: Cluster, shards: Table) -> None:
        super().__init__(name, cluster, shards)
        self._ready: set[int] = set()

    def enter(self, transaction: Transaction, shards: Mapping[int, int]) -> None:
        """Make tables that are missing, and right such as other guards have passed by."""
        for shard in shards.keys() - self._ready:
            self._prepare(shard)
            self._ready.add(shard)

    def seal(self, transaction: Transaction, shards: Mapping[int, int], token: int) -> None:
        """Rename, in order: where the cluster lets rivals wait, none waits for one behind."""
        for shard, commits in sorted(shards.items()):
            try:
                table = name_table(shard, commits)
                transaction.rename_column(table, _column(commits), _column(commits + 1))
            except Refused as error:
                self._ready.discard(shard)
                raise Rival(f"shard {shard} is named anew; it is tried again") from error
        if self.name == "n+":
            self._check(shards)

    def _prepare(self, shard: int) -> None:
        """See that the column of a shard is named after its `commits`.

        Where it is not, nobody can commit to the shard; so it is safe to rename it.
        """

        def work(fresh: Transaction) -> None:
            before = _names(fresh, shard)
            commits = self._commits(fresh, (shard,))[shard]
            table, column = name_table(shard, commits), _column(commits)
            if not before:
                fresh.create_table(table, sorting=False)
            # Names that change between two looks are in use: where reads see what was committed
            # last, `commits` may be younger than the first look.
            elif before != [column] and before == _names(fresh, shard):
                fresh.rename_column(table, before[0], column)

        try:
            commit_alone(self._cluster, work)
        except Refused as error:
            raise Rival(f"shard {shard} is named anew; it is tried again") from error


class _Claims(_Checked):
    """Rows that say which transactions are about to write: needs no conflict of any kind.

    Of two rivals the one whose claim is committed later sees the other's. It ends the other's
    transaction, or waits for its end, and looks at the shards only then. The older ends the
    younger, and the younger waits for the older: so no two wait for each other. After some seconds
    it ends that too, whose process may have died.
    """

    def enter(self, transaction: Transaction, shards: Mapping[int, int]) -> None:
        """Claim the shards, see the rivals ended, and read the shards again."""
        own = transaction.txid
        rows = {"shard": list(shards), "txid": [own] * len(shards)}
        claims = pa.table(rows, schema=CLAIMS.schema)
        commit_alone(self._cluster, lambda fresh: fresh.insert(CLAIMS, claims))
        self._settle(own, shards)
        self._check(shards)

    def leave(self, transaction: Transaction, shards: Collection[int]) -> None:
        """Take the claims back. One that stays costs the next writer a wait, and is gone then."""
        with suppress(StoreError):
            if shards:
                self._remove({transaction.txid})

    def _settle(self, own: int, shards: Collection[int]) -> None:
        """Return when every transaction has ended that claimed one of the shards before."""
        patience = time.monotonic() + _TURN
        pause = _PAUSE / 10
        ended: set[int] = set()
        while rivals := self._rivals(own, shards) - ended:
            late = time.monotonic() > patience
            for rival in rivals:
                if rival > own or late:
                    self._cluster.rollback(rival)
                    ended.add(rival)
            if not rivals <= ended:
                time.sleep(random.uniform(0.5, 1.0) * pause)
                pause = min(2 * pause, _PAUSE)
        if ended:
            self._remove(ended)

    def _rivals(self, own: int, shards: Collection[int]) -> set[int]:
        """Return the other transactions that claim the shards. Raises `Rival` if `own` does not."""
        where = (In("shard", tuple(shards)),)
        rows = self._cluster.read(lambda fresh: fresh.select(CLAIMS, ("txid",), where))
        found: set[int] = set(rows.column(0).to_pylist())
        if own not in found:
            raise Rival("an older transaction was waited for too long; it is tried again")
        return found - {own}

    def _remove(self, ended: Collection[int]) -> None:
        """Delete the claims of transactions that have ended; a rival may be doing the same."""

        def work(fresh: Transaction) -> None:
            where = (In("txid", tuple(ended)),)
            rows = fresh.select(CLAIMS, ("$row_id",), where).column(0).to_pylist()
            fresh.delete(CLAIMS, rows)

        with suppress(Rival, Refused):
            commit_alone(self._cluster, work)


def commit_alone(cluster: Cluster, work: Callable[[Transaction], None]) -> None:
    """Do and commit work in a transaction of its own. Raises `Rival` where that may have failed."""
    fresh = cluster.begin()
    try:
        work(fresh)
    except StoreError:
        cluster.rollback(fresh.txid)
        raise
    if not cluster.commit(fresh):
        raise Rival("another transaction was faster; it is tried again")


def name_table(shard: int, commits: int) -> Table:
    """Return the table of a shard that the guards `n` and `n+` rename the only column of."""
    return Table(f"guard_{shard:03}", (number(_column(commits)),))


def _column(commits: int) -> str:
    return f"v_{commits}"


def _names(fresh: Transaction, shard: int) -> list[str]:
    """Return the names of the columns of a guard table; none where it is missing."""
    try:
        return fresh.column_names(name_table(shard, 0).name)
    except Absent:
        return []
