"""Columns of our tables, and how a member of a JSON body becomes the value of one."""

import enum
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Final, TypeAlias

import msgspec
import pyarrow as pa  # type: ignore[import-untyped]

from tams_gateway_vast.tables.texts import LONGEST

Scalar: TypeAlias = int | bool | str | bytes | None
"""The value of one column in one row."""

_PYTHON: Final = {pa.string(): str, pa.int64(): int, pa.bool_(): bool, pa.binary(): bytes}

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = 1_000_000_000
_INT64: Final = range(-(2**63), 2**63)


class Form(enum.Enum):
    """How a member of a body becomes a value."""

    PLAIN = "plain"
    """As it is."""
    DATE_TIME = "date-time"
    """A text as `2026-05-01T12:00:00Z`, as nanoseconds since 1970."""
    SECONDS = "seconds"
    """A number of seconds since 1970, as nanoseconds; 0 stands for never."""
    RATE = "rate"
    """An object with `numerator` and perhaps `denominator`, as `30000/1001` or `25`."""
    JSON = "json"
    """A list or object, as JSON text."""


class Column(msgspec.Struct, frozen=True, dict=True):
    """A column of a table.

    It is filled from a field of the record, or else from the member of the body at `path`, where
    `default` is what the member means that is left out; one with neither is the writer's own.
    """

    name: str
    type: pa.DataType
    field: str | None = None
    path: tuple[str, ...] = ()
    form: Form = Form.PLAIN
    default: Scalar = None

    def read(self, document: Mapping[str, object]) -> Scalar:
        """Return what the document of a body has at the path; None for nothing of the type."""
        found: object = document
        for name in self.path:
            if not isinstance(found, dict):
                return None
            found = found.get(name)
        if found is None:
            return self.default
        return self.accept(_FORMS[self.form](found))

    def accept(self, value: object) -> Scalar:
        """Return the value if it is of the column's type, None for another."""
        if type(value) is not self._python or (type(value) is int and value not in _INT64):
            return None
        return value  # type: ignore[return-value]

    @cached_property
    def _python(self) -> object:
        """The type of its values. Comparing those of Arrow takes a microsecond each."""
        return _PYTHON[self.type]


class Table(msgspec.Struct, frozen=True, dict=True):
    """A table: its columns in order, and those that it is sorted by where the cluster sorts.

    What a table is sorted by can never be updated, only inserted and deleted.
    """

    name: str
    columns: tuple[Column, ...]
    sorted_by: tuple[str, ...] = ()

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns as Arrow has them, without `$row_id`."""
        return pa.schema([(column.name, column.type) for column in self.columns])


def text(name: str, *path: str, form: Form = Form.PLAIN) -> Column:
    """Return a column of text, of the body where a path is given."""
    return Column(name, pa.string(), path=path, form=form)


def number(name: str, *path: str, form: Form = Form.PLAIN) -> Column:
    """Return a column of int64."""
    return Column(name, pa.int64(), path=path, form=form)


def flag(name: str, *path: str) -> Column:
    """Return a column of bool."""
    return Column(name, pa.bool_(), path=path)


def binary(name: str) -> Column:
    """Return a column of bytes."""
    return Column(name, pa.binary())


def time(name: str, *path: str) -> Column:
    """Return a column of nanoseconds since 1970 from a date-time of the body."""
    return number(name, *path, form=Form.DATE_TIME)


def of_field(column: Column, field: str) -> Column:
    """Return the column filled from a field of the record."""
    return msgspec.structs.replace(column, field=field)


def or_else(column: Column, default: Scalar) -> Column:
    """Return the column with what a member means that bodies leave out."""
    return msgspec.structs.replace(column, default=default)


def _plain(value: object) -> object:
    return value


def _date_time(value: object) -> int | None:
    try:
        moment = msgspec.convert(value, datetime)
    except msgspec.ValidationError:
        return None
    if moment.tzinfo is None:
        return None
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def _seconds(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value:
        return None
    whole, part = divmod(value, 1)
    return int(whole) * _SECOND + round(part * _SECOND)


def _rate(value: object) -> str | None:
    if not isinstance(value, Mapping):
        return None
    numerator, denominator = value.get("numerator"), value.get("denominator", 1)
    if not (isinstance(numerator, int) and isinstance(denominator, int)):
        return None
    return str(numerator) if denominator == 1 else f"{numerator}/{denominator}"


def _json(value: object) -> str | None:
    """Return JSON text, None for one that would have to be cut."""
    if not isinstance(value, list | dict):
        return None
    encoded = msgspec.json.encode(value)
    return encoded.decode() if len(encoded) <= LONGEST else None


_FORMS: Final = {
    Form.PLAIN: _plain,
    Form.DATE_TIME: _date_time,
    Form.SECONDS: _seconds,
    Form.RATE: _rate,
    Form.JSON: _json,
}
