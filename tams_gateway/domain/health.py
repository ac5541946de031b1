"""What a store, a provider or a sink says of itself."""

from collections.abc import Mapping

import msgspec


class Health(msgspec.Struct, frozen=True):
    """What was found in one round trip, for `check` and `/ready`; `remedy` says what to do.

    `parts` says of what works in place of one another, such as endpoints, whether each does.
    """

    ok: bool
    detail: str
    remedy: str = ""
    parts: Mapping[str, bool] = {}
