"""What changes expect, decided in Python for stores that read before they write."""

import itertools

import pytest

from tams_gateway.storage.changes import (
    ABSENT,
    ANY,
    AddSegments,
    Delete,
    DropSegments,
    Emit,
    Expect,
    ExpectTouched,
    Forget,
    Put,
)
from tams_gateway.storage.errors import ConflictError
from tams_gateway.storage.expectations import in_order, require
from tams_gateway.storage.records import Kind, Record

KIND = Kind("flow", {}, segments=True)
THERE = Record("a", 7, b"{}", touched=5)


@pytest.mark.parametrize("expected", [ANY, ABSENT, 7, 6])
@pytest.mark.parametrize("record", [THERE, None], ids=["there", "absent"])
def test_a_version_is_the_one_that_is_there_or_none_or_any(
    expected: int, record: Record | None
) -> None:
    holds = expected in ((ANY, 7) if record else (ANY, ABSENT))
    for change in (Put(KIND, "a", b"", {}, expected), Delete(KIND, "a", expected)):
        if holds:
            require(change, record)
        else:
            with pytest.raises(ConflictError, match=f"flow 'a' has version .*, not {expected}"):
                require(change, record)


def test_an_expectation_changes_nothing_and_holds_alike() -> None:
    require(Expect(KIND, "a", 7), THERE)
    require(Expect(KIND, "a", ABSENT), None)
    for version, record in ((6, THERE), (ABSENT, THERE), (7, None)):
        with pytest.raises(ConflictError):
            require(Expect(KIND, "a", version), record)


def test_a_touch_is_that_of_a_record_that_is_there() -> None:
    require(ExpectTouched(KIND, "a", 5), THERE)
    require(ExpectTouched(KIND, "a", None), Record("a", 7, b""))
    for touched, record in ((4, THERE), (None, THERE), (None, None)):
        with pytest.raises(ConflictError, match="flow 'a' was touched meanwhile"):
            require(ExpectTouched(KIND, "a", touched), record)


def test_conflicts_come_before_overlaps_and_records_before_segments() -> None:
    looked_at = [ExpectTouched(KIND, "a", 5), Expect(KIND, "b", 7)]
    records = [Put(KIND, "a", b""), Delete(KIND, "c")]
    segments = [DropSegments("c", 0, [], 1), AddSegments("a", 0, [], 1)]
    events = [Emit([]), Forget("1")]
    expected = [*looked_at, *records, *segments, *events]
    for given in itertools.islice(itertools.permutations(expected), 0, None, 997):
        assert expected == in_order(given)
