"""The log of logins, failures and changes of credentials."""

from collections.abc import Callable

import msgspec

from tams_gateway.auth.journal import AuthEntry
from tams_gateway.domain.datetimes import date_time
from tams_gateway.domain.identifiers import new_uuid
from tams_gateway.operations.kinds import AUTH_LOG
from tams_gateway.storage.changes import ABSENT, Put
from tams_gateway.storage.metadata import MetadataStore


def note(metadata: MetadataStore, now_ns: Callable[[], int], entry: AuthEntry) -> None:
    """Add an entry, durably. Raises `StoreError`."""
    at_ns, id_ = now_ns(), new_uuid()
    document = {"id": id_, "at": date_time(at_ns), **msgspec.structs.asdict(entry)}
    fields = {
        "at": at_ns,
        "action": entry.action,
        "who": entry.who,
        "request_id": entry.request_id,
    }
    metadata.apply([Put(AUTH_LOG, id_, msgspec.json.encode(document), fields, ABSENT)])
