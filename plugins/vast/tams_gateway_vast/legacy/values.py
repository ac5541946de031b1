"""Values of the older server's columns as ours are: ids, times, rates, JSON."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Final, TypeAlias

import msgspec

from tams_gateway.domain.identifiers import is_uuid

Row: TypeAlias = Mapping[str, object]
"""A row by the names of its columns; what is null is not there."""

_IDS: Final = uuid.UUID("5a7c9d34-6c0e-5b43-9d0f-6f7b0f1f0b5e")
"""The namespace in which ids that are no UUIDs of ours get one, always the same."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_LATEST: Final = datetime.max.replace(tzinfo=UTC)

_ROUNDED: Final = Fraction(1, 1000)
"""How far a decimal may lie from the rate that it stands for."""


def fitting(id_: str) -> str:
    """Return an id that the API takes: the same in lower case, or a UUID made of it."""
    lower = id_.strip().lower()
    return lower if is_uuid(lower) else str(uuid.uuid5(_IDS, id_))


def text(row: Row, name: str) -> str:
    """Return a text of a row, empty where there is none."""
    value = row.get(name)
    return value if isinstance(value, str) else ""


def moment(row: Row, name: str) -> datetime | None:
    """Return a time of a row, which may be a text; without a zone it is UTC."""
    value = row.get(name)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


def created(row: Row) -> datetime:
    """Return when a row was made, for sorting: one that does not say it comes last."""
    return moment(row, "created") or _LATEST


def nanoseconds(row: Row, name: str) -> int | None:
    """Return a time of a row, in nanoseconds since 1970."""
    value = moment(row, name)
    return None if value is None else (value - _EPOCH) // timedelta(microseconds=1) * 1000


def decoded(row: Row, name: str) -> object:
    """Return what the JSON of a column says, None for none. Raises ValueError for other text."""
    value = text(row, name)
    if not value.strip():
        return None
    try:
        found: object = msgspec.json.decode(value)
    except msgspec.DecodeError as error:
        raise ValueError(f"{name} is no JSON: {error}") from error
    return found


def items(row: Row, name: str) -> list[object]:
    """Return the list that a column has as JSON. Raises ValueError for anything else."""
    found = decoded(row, name)
    if found is None:
        return []
    if not isinstance(found, list):
        raise ValueError(f"{name} is no list")
    return found


def rate(value: object) -> dict[str, int]:
    """Return a rate written as `25`, `30000/1001`, `29.97` or JSON. Raises ValueError."""
    if isinstance(value, str):
        try:
            return _rate(_meant(Fraction(value)))
        except (ValueError, ZeroDivisionError):
            try:
                value = msgspec.json.decode(value)
            except msgspec.DecodeError as error:
                raise ValueError(f"{value!r} is no rate") from error
    if isinstance(value, Mapping):
        numerator, denominator = value.get("numerator"), value.get("denominator", 1)
        if isinstance(numerator, int) and isinstance(denominator, int) and denominator:
            return _rate(Fraction(numerator, denominator))
    raise ValueError(f"{value!r} is no rate")


def _meant(written: Fraction) -> Fraction:
    """Return what is meant by a decimal: 29.97 and 23.976 stand for rates over 1001."""
    exact = Fraction(round(written * 1001 / 1000) * 1000, 1001)
    return exact if abs(exact - written) < _ROUNDED else written


def _rate(value: Fraction) -> dict[str, int]:
    if value <= 0:
        raise ValueError(f"{value} is no rate")
    if value.denominator == 1:
        return {"numerator": value.numerator}
    return {"numerator": value.numerator, "denominator": value.denominator}


def newest(rows: Sequence[Row], *names: str) -> tuple[Row, Sequence[Row]]:
    """Return the row that was changed last, and the others; `names` are times, the best first."""

    def changed(row: Row) -> tuple[int, str]:
        # Of equal ones always the same, whatever the order in which they come.
        return max(nanoseconds(row, name) or 0 for name in names), repr(sorted(row.items()))

    ordered = sorted(rows, key=changed)
    return ordered[-1], ordered[:-1]
