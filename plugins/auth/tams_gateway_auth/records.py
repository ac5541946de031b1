"""What the providers of this package share: their records, their health, their realm."""

import re
from collections.abc import Iterator

import msgspec

from tams_gateway.domain.health import Health
from tams_gateway.plugin import Context
from tams_gateway.storage.errors import StoreError
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.storage.query import After, Query
from tams_gateway.storage.records import Kind, Record


def store(context: Context) -> MetadataStore:
    """Return the metadata store, which every context of an auth provider has."""
    if context.metadata is None:
        raise RuntimeError("an auth provider is opened with a metadata store")
    return context.metadata


def every(metadata: MetadataStore, kind: Kind) -> Iterator[Record]:
    """Go through all records of a kind, by id. Raises `StoreError`."""
    query = Query(kind)
    while True:
        page = metadata.find(query)
        yield from page.items
        if not page.more:
            return
        query = msgspec.structs.replace(query, after=After(None, page.items[-1].id))


def health(context: Context, kind: Kind, what: str, command: str) -> Health:
    """Say whether there are records of a kind, and which command makes one; does not raise."""
    try:
        found = store(context).find(Query(kind, limit=1)).items
    except StoreError as error:
        return Health(False, str(error), "see what `check` says of the metadata store")
    return Health(True, f"{what} in the metadata store" if found else f"no {what} yet: {command}")


def check_realm(realm: str) -> None:
    """Check what stands in quotes in a challenge. Raises ValueError."""
    if re.fullmatch(r"[ !#-\[\]-~]*", realm) is None:
        raise ValueError(f"realm: expected ASCII without quotes and backslashes, got {realm!r}")
