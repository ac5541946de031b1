"""What changes expect, in plain Python, for stores that read a record before they write it.

Such a store goes through `in_order(changes)` inside one transaction, calls `require` with what is
there, makes the change, and undoes all of them when it meets an error.
"""

from collections.abc import Sequence
from typing import Final

from tams_gateway.storage.changes import (
    ABSENT,
    ANY,
    AddSegments,
    Change,
    Delete,
    DropSegments,
    Emit,
    Expect,
    ExpectTouched,
    Forget,
    Put,
)
from tams_gateway.storage.errors import ConflictError
from tams_gateway.storage.records import Record

_ORDER: Final = (ExpectTouched, Expect, Put, Delete, DropSegments, AddSegments, Emit, Forget)


def in_order(changes: Sequence[Change]) -> list[Change]:
    """Return the changes such that each may be made before the next is looked at.

    What can conflict comes before what can overlap, and records before the segments that touch
    them.
    """
    return sorted(changes, key=lambda change: _ORDER.index(type(change)))


def require(change: Put | Delete | Expect | ExpectTouched, record: Record | None) -> None:
    """Raise `ConflictError` unless the record is as the change expects; None: it is not there."""
    if isinstance(change, ExpectTouched):
        if record is None or record.touched != change.touched:
            raise ConflictError(f"{change.kind.name} {change.id!r} was touched meanwhile")
        return
    expected = change.version if isinstance(change, Expect) else change.expect
    version = ABSENT if record is None else record.version
    if expected not in (ANY, version):
        raise ConflictError(
            f"{change.kind.name} {change.id!r} has version {version}, not {expected}"
        )
