"""What a store, a provider or a sink says of itself."""

import msgspec


class Health(msgspec.Struct, frozen=True):
    """What was found in one round trip, for `check` and `/ready`; `remedy` says what to do."""

    ok: bool
    detail: str
    remedy: str = ""
