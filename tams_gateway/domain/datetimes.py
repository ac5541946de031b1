"""Date-times in documents: whole seconds with `Z`, as deployed clients parse them (B9)."""

import functools
from datetime import UTC, datetime

from tams_gateway.domain.timerange import SECOND


def date_time(ns: int) -> str:
    """Return nanoseconds since 1970 as `YYYY-MM-DDTHH:MM:SSZ`."""
    return _whole(ns // SECOND)


@functools.lru_cache(maxsize=4096)
def _whole(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
