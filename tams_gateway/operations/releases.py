"""What becomes of objects when segments go (R-FLW-24, R-OBJ-07 to -10)."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec.structs import replace

from tams_gateway.domain.timerange import SECOND
from tams_gateway.operations import media_objects
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.media_objects import Stored
from tams_gateway.storage.changes import Change
from tams_gateway.storage.records import Segment

_LONG_AGO_NS: Final = 10 * 365 * 24 * 3600 * SECOND
"""Objects go at once, also where the clock is set back before the runner comes. Yet not all of them
have the same time: a million that had would be sorted again for each step of their collection."""


def release(gateway: Gateway, segments: Iterable[Segment]) -> list[Change]:
    """Return the changes of the objects that lose these segments.

    One without any use left is invisible at once; its bytes are deleted by the runner, and
    uncontrolled instances are just forgotten. With the last media object that names it, an init
    object goes as well (R-OBJ-09).
    """
    lost = Counter(segment.object_id for segment in segments)
    changes, unused = _less(gateway, lost)
    inits = Counter(id_ for one in unused if (id_ := one.object.init_object_id) is not None)
    return [*changes, *_less(gateway, inits)[0]]


def _less(gateway: Gateway, lost: Mapping[str, int]) -> tuple[list[Change], list[Stored]]:
    stored = media_objects.load(gateway, lost)
    changes: list[Change] = []
    unused = []
    for object_id, one in stored.items():
        uses = one.object.uses - lost[object_id]
        if uses > 0:
            changes.append(media_objects.put(replace(one.object, uses=uses), one.version))
            continue
        unused.append(one)
        if any(instance.controlled for instance in one.object.instances):
            collected = replace(
                one.object,
                uses=0,
                state="collected",
                expires=gateway.now_ns() - _LONG_AGO_NS,
                due=None,
            )
            changes.append(media_objects.put(collected, one.version))
        else:
            changes.append(media_objects.delete(one))
    return changes, unused
