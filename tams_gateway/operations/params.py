"""Query parameters, typed; what is malformed is `Invalid` and names the parameter (R-PAGE-19)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import parse_qsl

import msgspec

from tams_gateway.domain.errors import Invalid
from tams_gateway.domain.identifiers import is_uuid
from tams_gateway.domain.timerange import MAX_NS, TimeRange
from tams_gateway.storage.matching import holds
from tams_gateway.storage.query import Absent, OneOf, Present
from tams_gateway.storage.records import Value

Pair = tuple[str, str]

_MOST_FILTERS = 100
"""How many tag filters a query may hold: stores make one statement of them."""


class TagFilter(msgspec.Struct, frozen=True):
    """`tag.NAME=a,b` (accepted values) or `tag_exists.NAME` (R-PAGE-14, -15)."""

    name: str
    accepted: tuple[str, ...] | None = None
    exists: bool = True

    def condition(self) -> OneOf | Present | Absent:
        """Return the filter as a question to the store."""
        field = f"tag.{self.name}"
        if self.accepted is not None:
            return OneOf(field, self.accepted)
        return Present(field) if self.exists else Absent(field)

    def holds(self, fields: Mapping[str, Value]) -> bool:
        """Judge the fields of a record, or of tags that no store holds (`tag_fields`)."""
        return holds(self.condition(), fields.get(f"tag.{self.name}"))


class Params:
    """The query of one request. Unknown parameters are ignored (R-GEN-09, B12)."""

    def __init__(self, query: str) -> None:
        self.pairs: list[Pair] = []
        if query:
            try:
                self.pairs = parse_qsl(query, keep_blank_values=True, errors="strict")
            except UnicodeDecodeError as error:
                raise Invalid("the query is not percent-encoded UTF-8") from error
        self._values = dict(self.pairs)

    def text(self, name: str) -> str | None:
        """Return the value, None if absent; `""` is a value."""
        value = self._values.get(name)
        if len(self._values) < len(self.pairs) and [key for key, _ in self.pairs].count(name) > 1:
            raise Invalid.parameter(name, "is given more than once")
        return value

    def boolean(self, name: str) -> bool | None:
        """Return `true` or `false`, None if absent (R-PAGE-20)."""
        return _boolean(name, self.text(name))

    def integer(self, name: str, at_least: int) -> int | None:
        """Return an integer that is not below a bound, None if absent."""
        value = self.text(name)
        if value is None:
            return None
        digits = value.removeprefix("-")
        if not (digits.isascii() and digits.isdigit()):
            raise Invalid.parameter(name, f"{value!r} is no integer")
        # What is longer lies beyond 64 bits, where nothing is.
        number = int(digits) if len(digits) <= 18 else MAX_NS
        number = -number if value.startswith("-") else number
        if number < at_least:
            raise Invalid.parameter(name, f"{value!r} is below {at_least}")
        return number

    def choice(self, name: str, allowed: Sequence[str]) -> str | None:
        """Return one of the allowed values, None if absent."""
        value = self.text(name)
        if value is not None and value not in allowed:
            raise Invalid.parameter(name, f"{value!r} is none of {', '.join(allowed)}")
        return value

    def matching(self, name: str, pattern: str, words: str) -> str | None:
        """Return text that matches a pattern, None if absent; `words` says what it is."""
        value = self.text(name)
        if value is not None and re.match(pattern, value) is None:
            raise Invalid.parameter(name, f"{value!r} is not {words}")
        return value

    def uuid(self, name: str) -> str | None:
        """Return a UUID, None if absent."""
        value = self.text(name)
        if value is not None and not is_uuid(value):
            raise Invalid.parameter(name, f"{value!r} is no UUID in lower case")
        return value

    def timerange(self, name: str) -> TimeRange | None:
        """Return a timerange, None if absent; blank is the empty one (R-TIME-09)."""
        value = self.text(name)
        if value is None:
            return None
        try:
            return TimeRange.parse(value)
        except ValueError as error:
            raise Invalid.parameter(name, str(error)) from error

    def listed(self, name: str) -> tuple[str, ...] | None:
        """Return the values between commas, `()` if blank, None if absent.

        The comma may have come as `%2C`, as most clients send it (R-PAGE-16, B5).
        """
        value = self.text(name)
        if value is None:
            return None
        return tuple(value.split(",")) if value else ()

    def uuids(self, name: str) -> tuple[str, ...] | None:
        """Return a list of UUIDs, `()` if blank, None if absent."""
        values = self.listed(name)
        for value in values or ():
            if not is_uuid(value):
                raise Invalid.parameter(name, f"{value!r} is no UUID in lower case")
        return values

    def tag_filters(self, prefix: str = "tag") -> list[TagFilter]:
        """Return the filters of `PREFIX.NAME` and `PREFIX_exists.NAME`, all of which must hold."""
        filters = [
            *(TagFilter(name, tuple(value.split(","))) for name, value in self._named(prefix)),
            *(
                TagFilter(name, exists=_boolean(f"{prefix}_exists.{name}", value) is True)
                for name, value in self._named(f"{prefix}_exists")
            ),
        ]
        if len(filters) > _MOST_FILTERS:
            raise Invalid.parameter(f"{prefix}.*", f"more than {_MOST_FILTERS} filters")
        return filters

    def _named(self, prefix: str) -> Iterator[Pair]:
        start = f"{prefix}."
        for key, value in self.pairs:
            if key.startswith(start):
                yield key[len(start) :], value


def _boolean(name: str, value: str | None) -> bool | None:
    if value not in ("true", "false", None):
        raise Invalid.parameter(name, f"{value!r} is neither true nor false")
    return None if value is None else value == "true"
