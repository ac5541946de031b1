"""Which lives of flows have a segment in a span, by their bounds as far as these tell."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from tams_gateway.domain.timerange import Span
from tams_gateway.storage.query import Touches
from tams_gateway_vast.reading.conditions import OfTime
from tams_gateway_vast.reading.records import Bounds, batches
from tams_gateway_vast.tables.layout import SEGMENTS
from tams_gateway_vast.tables.texts import loaded, stored
from tams_gateway_vast.transport.predicates import In, Over, Term, Under

if TYPE_CHECKING:
    from tams_gateway_vast.transport.cluster import Transaction

_BATCH: Final = 2000
"""The most flows of one select, which names as many times beside them."""


class Life(msgspec.Struct, frozen=True):
    """The life of a record, None if it has none, and what is known of its segments."""

    number: int | None
    bounds: Bounds


Lives = Mapping[str, Life]
"""By the id of the record."""


def meeting(transaction: "Transaction", lives: Lives, times: Sequence[OfTime]) -> list[str]:
    """Return the ids whose lives meet all conditions, in their order."""
    left = dict(lives)
    for condition in times:
        if isinstance(condition, Touches):
            touching = _touching(transaction, left, condition.span)
            left = {record_id: left[record_id] for record_id in left if record_id in touching}
        else:
            left = {record_id: life for record_id, life in left.items() if not _count(life)}
    return list(left)


def _count(life: Life) -> int:
    return 0 if life.number is None else life.bounds.count


def _touching(transaction: "Transaction", lives: Lives, span: Span) -> set[str]:
    found = set[str]()
    doubtful: dict[str, Life] = {}
    for record_id, life in lives.items():
        between = Span(life.bounds.first_ns, life.bounds.last_ns)
        if _count(life) and span.overlaps(between):
            if span.covers(between):
                found.add(record_id)
            else:
                doubtful[record_id] = life
    for ids in batches(list(doubtful), _BATCH):
        found |= _looked_up(transaction, {one: doubtful[one] for one in ids}, span)
    return found


def _looked_up(transaction: "Transaction", lives: Lives, span: Span) -> set[str]:
    """Return the lives that touch the span, of those whose bounds do not tell."""
    found = set[str]()
    # Bounds may be wider than the segments, but most often one begins or ends there.
    heads = {one: life for one, life in lives.items() if span.start <= life.bounds.first_ns}
    tails = {one: life for one, life in lives.items() if life.bounds.last_ns <= span.end}
    for column, ends in (
        ("start_ns", {one: life.bounds.first_ns for one, life in heads.items()}),
        ("end_ns", {one: life.bounds.last_ns for one, life in tails.items()}),
    ):
        if ends:
            found |= _with(transaction, lives, ends, [In(column, sorted(set(ends.values())))])
    return found | _inside(
        transaction, {one: life for one, life in lives.items() if one not in found}, span
    )


def _inside(transaction: "Transaction", lives: Lives, span: Span) -> set[str]:
    """Look through the span from its start by windows that grow."""
    found = set[str]()
    left = dict(lives)
    start, width = span.start, 0
    while left:
        start = max(start, min(life.bounds.first_ns for life in left.values()))
        if start >= span.end:
            break
        width = 4 * width or 2 * min(_pitch(life.bounds) for life in left.values())
        end = min(start + width, span.end)
        found |= _with(transaction, left, left, [Over("end_ns", start), Under("start_ns", end)])
        left = {
            one: life
            for one, life in left.items()
            if one not in found and life.bounds.last_ns > end
        }
        start = end
    return found


def _pitch(bounds: Bounds) -> int:
    """Return about how long a segment takes, in nanoseconds."""
    return max((bounds.last_ns - bounds.first_ns) // bounds.count, 1)


def _with(
    transaction: "Transaction", lives: Lives, ids: Iterable[str], terms: Sequence[Term]
) -> set[str]:
    """Return which of the ids have a segment of their life that fulfils the terms."""
    where = [In("flow_id", sorted(stored(one) for one in ids)), *terms]
    rows = transaction.select(SEGMENTS, ("flow_id", "life"), where)
    pairs = rows.group_by(["flow_id", "life"]).aggregate([])
    named = zip(*(pairs.column(name).to_pylist() for name in ("flow_id", "life")), strict=True)
    met = ((loaded(flow_id), number) for flow_id, number in named)
    return {one for one, number in met if lives[one].number == number}
