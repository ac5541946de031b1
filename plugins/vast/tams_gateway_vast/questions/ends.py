"""Questions 4 to 6: how transactions end, and when others see that."""

import time
from collections.abc import Callable, Iterator
from functools import partial

from tams_gateway_vast.questions.lab import ROWS, Answer, Lab, outcome, update
from tams_gateway_vast.tables.rows import arrow
from tams_gateway_vast.transport.cluster import Transaction

_KEPT = 5.0
"""Seconds between two keep-alives."""
_LOOKS = (10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)
"""Seconds after which an idle transaction is looked at."""


def ends(lab: Lab, idle: int) -> Iterator[Answer]:
    """Yield the answers; `idle` is for how many seconds transactions are left idle."""
    yield Answer(4, "A begin at another endpoint sees a commit that has returned", _seen(lab))
    yield Answer(5, "A transaction that has ended", {**_ended(lab), **_idle(lab, idle)})
    yield Answer(6, "Whose transactions may be ended, and twice", _twice(lab))


def _seen(lab: Lab) -> dict[str, str]:
    key = lab.add(value=0)
    row_id = lab.row_id(key)
    missed = 0
    for value in range(1, lab.rounds + 1):
        writer = lab.begin(0)
        update(row_id, value)(writer)
        lab.commit(writer)
        reader = lab.begin(1)
        missed += lab.values(key, reader) != [value]
        lab.roll_back(reader)
    where = "another endpoint" if len(lab.urls) > 1 else "the only endpoint"
    return {"not seen": f"{missed} of {lab.rounds}, at {where}"}


def _ended(lab: Lab) -> dict[str, str]:
    row = arrow(ROWS, [{"key": 0}])
    calls: dict[str, Callable[[Transaction], object]] = {
        "select": lambda ended: lab.values(0, ended),
        "insert": lambda ended: ended.insert(ROWS, row),
        "list of columns": lambda ended: ended.column_names(ROWS.name),
        "keep-alive": lambda ended: lab.call(ended, lambda api: api.get_transaction(ended.txid)),
        "commit": lab.commit,
        "rollback": lab.roll_back,
    }
    found = {}
    for name, call in calls.items():
        ended = lab.begin()
        lab.roll_back(ended)
        found[f"{name}, after a rollback"] = outcome(partial(call, ended))
    return found


def _idle(lab: Lab, idle: int) -> dict[str, str]:
    looks = [one for one in _LOOKS if one <= idle]
    if not looks:
        return {"idle": "not tried; see --idle"}
    row_id = lab.row_id(lab.add(value=0))
    begun = time.monotonic()
    left = {seconds: lab.begin() for seconds in looks}
    kept, holder = lab.begin(), lab.begin()
    update(row_id, 1)(holder)
    found = {}
    for seconds, transaction in left.items():
        while (rest := begun + seconds - time.monotonic()) > 0:
            time.sleep(min(rest, _KEPT))
            kept.alive()
        rival = lab.begin()
        blocked = outcome(partial(update(row_id, 2), rival))
        lab.cluster.rollback(rival.txid)
        state = "open" if transaction.alive() else "ended"
        kept_so = "open" if kept.alive() else "ended"
        found[f"idle for {seconds} s"] = (
            f"{state}; with keep-alives {kept_so}; the row that one changed and left: {blocked}"
        )
    for transaction in (*left.values(), kept, holder):
        lab.cluster.rollback(transaction.txid)
    return found


def _twice(lab: Lab) -> dict[str, str]:
    key = lab.add(value=0)
    change = update(lab.row_id(key), 1)
    one = lab.begin(0)
    change(one)
    other = lab.same(one.txid, 1)
    found = {
        "rollback from elsewhere of an open one": outcome(lambda: lab.roll_back(other)),
        "its commit after that": outcome(lambda: lab.commit(one)),
        "what it changed": str(lab.values(key)),
    }
    done = lab.begin()
    change(done)
    found["a commit"] = outcome(lambda: lab.commit(done))
    found["again"] = outcome(lambda: lab.commit(done))
    found["rollback after a commit"] = outcome(lambda: lab.roll_back(done))
    found["what that one changed"] = str(lab.values(key))
    return found
