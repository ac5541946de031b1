"""What the server is told to be like: answers to what is unknown of a real cluster, and faults."""

from typing import Literal

import msgspec

Rows = Literal["none", "commit", "call", "waiting"]
Names = Literal["none", "commit", "call", "both"]
Kind = Literal[
    "slow down",
    "unavailable",
    "bad gateway",
    "error",
    "closed before",
    "closed after",
    "cut",
    "hang",
    "ended",
]


class Switches(msgspec.Struct, frozen=True, kw_only=True):
    """How the server behaves; replace the whole struct to change it while it runs."""

    rows: Rows = "call"
    """What happens when two transactions update or delete one row. `none`: the last commit wins.
    `commit`: the second commit gets 409. `call`: the second update gets 409 while the first is
    open. `waiting`: the second update waits until the first transaction has ended."""

    after_waiting: Literal["conflict", "go on"] = "conflict"
    """What the one who waited gets when the other has committed: 409, or its update is done."""

    rows_conflict_with_committed: bool = True
    """Whether a row that another changed and committed since our begin is a conflict too. It is
    found where `rows` finds conflicts: at the call, or at the commit."""

    names: Names = "call"
    """The same for two transactions that change one name of the catalogue: a column renamed, a
    table or schema created, renamed, dropped. `both`: 409 at the call, and both are rolled back."""

    names_conflict_with_committed: bool = True
    """Whether a name that another changed and committed since our begin is a conflict too."""

    isolation: Literal["snapshot", "latest"] = "snapshot"
    """Whether reads see what was committed at our begin, or at the call."""

    ended: Literal[400, 404] = 400
    """The status of any call with the id of a transaction that has ended or never was."""

    idle: float = 300.0
    """Seconds without a call after which a transaction is rolled back."""

    version: str = "5.4.0.0"
    """The version of VAST that it says it has; the SDK does some things by it."""

    signature: Literal["full", "headers", "off"] = "full"
    """Whether signatures are checked: with the hash of the body, with the hash that the client
    tells (cheaper), or not at all."""

    latency: float = 0.0
    """Seconds that pass before each request is executed."""

    announced: bool = True
    """Whether the statistics of a table name the addresses of the endpoints."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that goes wrong, at the `at`-th to `at + times - 1`-th request that matches.

    `slow down`, `unavailable` (503), `bad gateway` (502, HTML) and `error` (500) answer without
    executing the request. `closed before` and `closed after` close the connection without an
    answer, before or after the request was executed. `cut` executes it and sends half of the
    answer. `hang` waits for `seconds` first. `ended` first rolls the transaction back.
    """

    kind: Kind
    method: str | None = None
    command: str | None = None
    """As in the query: `transaction`, `rows`, `data`, `table`, `column`, ... ("" for `HEAD`)."""
    table: str | None = None
    endpoint: int | None = None
    at: int = 1
    times: int = 1
    seconds: float = 0.0
