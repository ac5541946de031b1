"""Questions 1 to 3, and 12: what two transactions make of each other."""

import itertools
from collections.abc import Callable, Iterator
from functools import partial

from tams_gateway_vast.questions.lab import (
    ROWS,
    WAITS,
    Answer,
    Call,
    Lab,
    Work,
    answered,
    outcome,
    timed,
    update,
)
from tams_gateway_vast.tables.columns import Table, number
from tams_gateway_vast.transport.cluster import Transaction


def conflicts(lab: Lab) -> Iterator[Answer]:
    """Yield the answers."""
    yield Answer(1, "Two transactions change one row", _rows(lab))
    yield Answer(2, "Two transactions change one name", _names(lab))
    yield Answer(3, "What reads see that another has committed since the begin", _isolation(lab))
    yield Answer(12, "Guard tables: many, or one of many columns", _guard_tables(lab))


def _meet(lab: Lab, first: Work, second: Work, late: bool) -> str:
    """Let two transactions change something, the second one late: after the first's commit."""
    one, other = lab.begin(0), lab.begin(1)
    # A snapshot may be taken at the first read.
    other.select(ROWS, ("key",), limit=1)
    told = [f"first {outcome(lambda: first(one))}"]
    if late:
        told.append(f"first's commit {outcome(lambda: lab.commit(one))}")
    call = Call(lambda: second(other))
    met = call.outcome(WAITS)
    told.append(f"second {met}")
    if not late:
        told.append(f"first's commit {outcome(lambda: lab.commit(one))}")
    if met == "waits":
        told.append(f"then {call.outcome(lab.settings.timeout + WAITS)}")
    told.append(f"second's commit {outcome(lambda: lab.commit(other))}")
    for transaction in (one, other):
        lab.cluster.rollback(transaction.txid)
    return "; ".join(told)


def _rows(lab: Lab) -> dict[str, str]:
    found = {}
    for first, second, late in itertools.product(("update", "delete"), ("update", "delete"), _LATE):
        key = lab.add(value=0)
        row_id = lab.row_id(key)
        works: dict[str, tuple[Work, Work]] = {
            "update": (update(row_id, 1), update(row_id, 2)),
            "delete": (_deletion(row_id), _deletion(row_id)),
        }
        met = _meet(lab, works[first][0], works[second][1], late)
        found[f"{first}, {second}, {_LATE[late]}"] = f"{met}; value {lab.values(key)}"
    return found


_LATE = {False: "both open", True: "the second after the first's commit"}


def _deletion(row_id: int) -> Work:
    return lambda transaction: transaction.delete(ROWS, (row_id,))


def _names(lab: Lab) -> dict[str, str]:
    found = {}
    for late in _LATE:
        for question, ask in _NAME_QUESTIONS.items():
            found[f"{question}, {_LATE[late]}"] = answered(partial(ask, lab, late))
    return found


def _renames(lab: Lab, late: bool, *names: str) -> str:
    table = lab.make(_new_name(lab), (number("a"),))
    first, second = (_rename(table, "a", name) for name in names)
    met = _meet(lab, first, second, late)
    return f"{met}; columns {lab.cluster.read(lambda fresh: fresh.column_names(table.name))}"


def _rename(table: Table, old: str, new: str) -> Work:
    return lambda transaction: transaction.rename_column(table, old, new)


def _tables(lab: Lab, late: bool) -> str:
    name = _new_name(lab)
    one, other = Table(name, (number("a"),)), Table(name, (number("b"),))
    met = _meet(
        lab,
        lambda transaction: transaction.create_table(one, sorting=False),
        lambda transaction: transaction.create_table(other, sorting=False),
        late,
    )
    return f"{met}; columns {lab.cluster.read(lambda fresh: fresh.column_names(name))}"


def _schemas(lab: Lab, late: bool) -> str:
    bucket, name = lab.settings.bucket, f"{lab.settings.schema}_{_new_name(lab)}"

    def make(transaction: Transaction) -> None:
        lab.call(transaction, lambda api: api.create_schema(bucket, name, transaction.txid))

    def drop(transaction: Transaction) -> None:
        lab.call(transaction, lambda api: api.drop_schema(bucket, name, transaction.txid))

    met = _meet(lab, make, make, late)
    return f"{met}; dropped: {outcome(lambda: lab.alone(drop))}"


_NAME_QUESTIONS: dict[str, Callable[[Lab, bool], str]] = {
    "a column renamed to two names": lambda lab, late: _renames(lab, late, "b", "c"),
    "a column renamed to one name": lambda lab, late: _renames(lab, late, "b", "b"),
    "a table made": _tables,
    "a schema made": _schemas,
}


def _isolation(lab: Lab) -> dict[str, str]:
    key = lab.add(value=0)
    row_id = lab.row_id(key)
    table = lab.make(_new_name(lab), (number("a"),))
    reader, early = lab.begin(0), lab.begin(0)
    seen = [f"rows: {lab.values(key, reader)}"]
    names = [f"names: {reader.column_names(table.name)}"]
    lab.alone(update(row_id, 1))
    lab.alone(_rename(table, "a", "b"))
    seen += [str(lab.values(key, reader)), f"first read after it {lab.values(key, early)}"]
    names += [
        str(reader.column_names(table.name)),
        f"first read after it {early.column_names(table.name)}",
    ]
    for transaction in (reader, early):
        lab.cluster.rollback(transaction.txid)
    return {
        "a row, before and after another's commit": ", ".join(seen),
        "a column, before and after another's commit": ", ".join(names),
    }


def _guard_tables(lab: Lab) -> dict[str, str]:
    count = lab.rounds
    columns = [number(f"c{one}") for one in range(count)]
    wide = [Table(_new_name(lab), tuple(columns))]
    tables = [Table(_new_name(lab), (number("a"),)) for _ in range(count)]

    def make(some: list[Table], fresh: Transaction) -> None:
        for one in some:
            fresh.create_table(one, sorting=False)

    def rename_all(fresh: Transaction) -> None:
        for one in tables:
            fresh.rename_column(one, "a", "b")

    def rename_columns(fresh: Transaction) -> None:
        for one in columns:
            fresh.rename_column(wide[0], one.name, f"{one.name}_b")

    works = {
        f"making {count} tables": partial(make, tables),
        f"making a table of {count} columns": partial(make, wide),
        f"renaming a column in each of {count} tables": rename_all,
        f"renaming {count} columns of a table": rename_columns,
    }
    found = {
        name: f"{timed(lambda work=work: lab.alone(work)) * 1000:.1f} ms"  # type: ignore[misc]
        for name, work in works.items()
    }
    both = lab.make(_new_name(lab), (number("a"), number("b")))
    met = _meet(lab, _rename(both, "a", "c"), _rename(both, "b", "d"), False)
    return {**found, "two columns of one table, both open": met}


def _new_name(lab: Lab) -> str:
    return f"names_{lab.number()}"
