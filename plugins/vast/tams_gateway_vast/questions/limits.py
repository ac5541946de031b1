"""Questions 7 to 11: times, sizes, and what the wire allows."""

import hashlib
import secrets
import time
from collections.abc import Callable, Iterator
from functools import partial

import pyarrow as pa  # type: ignore[import-untyped]
import requests
from aws_requests_auth.aws_auth import AWSRequestsAuth  # type: ignore[import-untyped]

from tams_gateway.storage.errors import StoreError
from tams_gateway_vast.questions.lab import (
    ROWS,
    Answer,
    Lab,
    answered,
    milliseconds,
    outcome,
    timed,
    told,
    update,
)
from tams_gateway_vast.tables.columns import Table
from tams_gateway_vast.tables.rows import arrow
from tams_gateway_vast.transport.cluster import Cluster, Transaction
from tams_gateway_vast.transport.predicates import In, Is

_MANY = 1000
_KIB = 1024


def limits(lab: Lab, bucket: str | None) -> Iterator[Answer]:
    """Yield the answers; `bucket` is one for objects, where conditional PUTs may be tried."""
    yield Answer(7, "Times, as medians", {**_transactions(lab), **_of_rows(lab)})
    yield Answer(8, "Row ids", _row_ids(lab))
    yield Answer(9, "Sizes", _sizes(lab))
    yield Answer(10, "Requests without a transaction", _without(lab))
    yield Answer(11, "Conditional PUT on a bucket", _conditional(lab, bucket))


def _transactions(lab: Lab) -> dict[str, str]:
    opened: list[Transaction] = []
    found = {
        "begin": lab.median(lambda: opened.append(lab.begin())),
        "rollback": lab.median(lambda: lab.roll_back(opened.pop())),
    }
    opened += [lab.begin() for _ in range(lab.rounds)]
    found["commit of nothing"] = lab.median(lambda: lab.commit(opened.pop()))

    found["begin on a new connection"] = milliseconds([_connecting(lab) for _ in range(lab.rounds)])
    return found


def _connecting(lab: Lab) -> float:
    """Return how many seconds a begin takes on a new connection."""
    fresh = Cluster(lab.settings, lab.log, time.time)
    opened: list[Transaction] = []
    seconds = timed(lambda: opened.append(fresh.begin()))
    fresh.rollback(opened[0].txid)
    fresh.close()
    return seconds


def _of_rows(lab: Lab) -> dict[str, str]:
    found: dict[str, str] = {}
    for kind, sorted_by in (("", ()), (", sorted by key", ("key",))):
        name = f"rows_{lab.number()}"
        try:
            table = lab.make(name, ROWS.columns, sorted_by)
        except StoreError as error:
            found[f"a table{kind}"] = told(error)
            continue
        found |= {f"{what}{kind}": took for what, took in _of_table(lab, table).items()}
    names = iter([f"a_{number}" for number in range(lab.rounds + 1)])
    table = lab.make(f"names_{lab.number()}", ROWS.columns)
    last = ["name"]

    def rename(transaction: Transaction) -> None:
        last.append(next(names))
        transaction.rename_column(table, last[-2], last[-1])

    return found | _timed(lab, "rename of a column", rename)


def _of_table(lab: Lab, table: Table) -> dict[str, str]:
    def rows(count: int) -> pa.Table:
        return arrow(table, [{"key": lab.number(), "value": 0} for _ in range(count)])

    found = _timed(lab, "insert of a row", lambda one: one.insert(table, rows(1)))
    many = [rows(_MANY) for _ in range(lab.rounds)]
    found |= _timed(lab, f"insert of {_MANY} rows", lambda one: one.insert(table, many.pop()))
    key = lab.add(table, value=0)
    where = (Is("key", key),)
    found |= _timed(
        lab, "select of a row", lambda one: one.select(table, ("$row_id", "value"), where)
    )
    return found


def _timed(lab: Lab, name: str, work: Callable[[Transaction], object]) -> dict[str, str]:
    """Return how long something takes, and the commit after it."""
    works, commits = [], []
    for _ in range(lab.rounds):
        transaction = lab.begin()
        works.append(timed(partial(work, transaction)))
        commits.append(timed(partial(lab.commit, transaction)))
    return {name: milliseconds(works), f"commit after {name}": milliseconds(commits)}


def _row_ids(lab: Lab) -> dict[str, str]:
    key = lab.add(value=1)
    row_id = lab.row_id(key)

    def by_id() -> str:
        where = (Is("$row_id", row_id),)
        found = lab.cluster.read(lambda fresh: fresh.select(ROWS, ("$row_id", "key"), where))
        return str(found.column(1).to_pylist() == [key])

    lab.alone(update(row_id, 2))
    return {
        "a select by $row_id finds the row": answered(by_id),
        "the id is the same after an update": str(lab.row_id(key) == row_id),
        "an id chosen by us": answered(partial(_chosen, lab)),
    }


def _chosen(lab: Lab) -> str:
    """Make a table whose row ids we choose; insert twice at one, update it."""
    bucket, schema, name = lab.settings.bucket, lab.settings.schema, f"chosen_{lab.number()}"
    columns = pa.schema([("vastdb_rowid", pa.int64()), ("value", pa.int64())])

    def make(fresh: Transaction) -> None:
        lab.call(
            fresh,
            lambda api: api.create_table(
                bucket, schema, name, columns, fresh.txid, use_external_row_ids_allocation=True
            ),
        )

    def insert(value: int, fresh: Transaction) -> None:
        rows = pa.table({"vastdb_rowid": [7], "value": [value]}, schema=columns)
        body = _stream(rows)
        lab.call(fresh, lambda api: api.insert_rows(bucket, schema, name, body, fresh.txid))

    lab.alone(make)
    told = [outcome(partial(lab.alone, partial(insert, value))) for value in (1, 2)]
    values = Table(name, tuple(one for one in ROWS.columns if one.name == "value"))
    found = lab.cluster.read(lambda fresh: fresh.select(values, ("$row_id", "value")))
    return f"first {told[0]}, second {told[1]}; rows {found.to_pylist()}"


def _stream(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    body: bytes = sink.getvalue().to_pybytes()
    return body


def _sizes(lab: Lab) -> dict[str, str]:
    found = {
        f"a value of {size} bytes": outcome(partial(lab.add, data=bytes(size)))
        for size in (120_000, 128 * _KIB, 128 * _KIB + 1, 1024 * _KIB)
    }
    table = lab.make(f"rows_{lab.number()}", ROWS.columns)
    count = lab.settings.batch_rows
    rows = arrow(table, [{"key": one, "value": 0} for one in range(count)])
    found[f"insert of {count} rows"] = outcome(
        lambda: lab.alone(lambda one: one.insert(table, rows))
    )
    ids = lab.cluster.read(lambda fresh: fresh.select(table, ("$row_id",)))
    changed = ids.append_column("value", pa.array([1] * len(ids), pa.int64()))
    found[f"update of {len(ids)} rows"] = outcome(
        lambda: lab.alone(lambda one: one.update(table, changed))
    )
    for many in (1000, 10_000, 30_000):
        found[f"select by {many} ids of 36 characters"] = answered(partial(_select_by, lab, many))
    return found


def _select_by(lab: Lab, count: int) -> str:
    where = (In("name", [f"{number:036}" for number in range(count)]),)
    return lab.median(lambda: lab.cluster.read(lambda fresh: fresh.select(ROWS, ("key",), where)))


def _without(lab: Lab) -> dict[str, str]:
    key = lab.add(value=1)
    bare = lab.same(0, 0)
    found = {"a select": answered(lambda: str(lab.values(key, bare)))}
    lab.alone(update(lab.row_id(key), 2))
    found["after another's commit"] = answered(lambda: str(lab.values(key, bare)))
    return found


def _conditional(lab: Lab, bucket: str | None) -> dict[str, str]:
    if bucket is None:
        return {"not tried": "see --bucket"}
    url = f"{lab.urls[0].rstrip('/')}/{bucket}/tams-probe-{secrets.token_hex(8)}"
    found = {}
    for name, headers in (
        ("first PUT with If-None-Match: *", {"If-None-Match": "*"}),
        ("second", {"If-None-Match": "*"}),
        ("PUT with If-Match of another", {"If-Match": '"0"'}),
    ):
        found[name] = _object(lab, "PUT", url, headers)
    return {**found, "DELETE": _object(lab, "DELETE", url, {})}


def _object(lab: Lab, method: str, url: str, headers: dict[str, str]) -> str:
    auth = AWSRequestsAuth(
        aws_access_key=lab.settings.access_key.value,
        aws_secret_access_key=lab.settings.secret_key.value,
        aws_host=url.split("/")[2],
        aws_region="us-east-1",
        aws_service="s3",
    )
    body = b"tams" if method == "PUT" else b""
    headers = {**headers, "x-amz-content-sha256": hashlib.sha256(body).hexdigest()}
    try:
        answer = requests.request(
            method,
            url,
            data=body,
            headers=headers,
            auth=auth,
            timeout=lab.settings.timeout,
            verify=lab.settings.trust,
        )
    except requests.RequestException as error:
        return str(error)
    return f"{answer.status_code} {answer.reason}"
