"""The import as a whole: what is read in which order."""

from collections.abc import Callable, Sequence

import msgspec

from tams_gateway.plugin.commands import Import
from tams_gateway.storage.errors import StoreError
from tams_gateway_vast.legacy.accounts import Accounts
from tams_gateway_vast.legacy.media import Media
from tams_gateway_vast.legacy.places import Places
from tams_gateway_vast.legacy.report import Report
from tams_gateway_vast.legacy.resources import Resources
from tams_gateway_vast.legacy.tables import PIECE, Tables
from tams_gateway_vast.transport.cluster import Cluster


class Wishes(msgspec.Struct, frozen=True):
    """What the operator says of the older server."""

    container: str | None = None
    """The container of flows that have none."""
    templates: tuple[str, ...] = ()
    """Keys to try where nothing says where the bytes are."""
    piece: int = PIECE
    """How many rows are held at once."""


def run(
    cluster: Cluster,
    importer: Import,
    report: Report,
    wishes: Wishes,
    say: Callable[[str], None],
) -> Sequence[str]:
    """Take all over and return a summary. Raises `StoreError`, and OSError for the report.

    It begins from the start each time, and leaves what is here as it is.
    """
    tables = Tables(cluster, wishes.piece)
    if not {"flows", "segments"} & set(tables.names):
        raise StoreError("no tables of the older server are there; check --bucket and --schema")
    say("flows and sources")
    resources = Resources(tables, report, importer, wishes.container)
    resources.run()
    say(f"segments of {len(resources.flows)} flows")
    media = Media(tables, report, importer, resources, Places(wishes.templates))
    media.run()
    say("webhooks, and what is left over")
    Accounts(tables, report, importer).run()
    resources.leftovers()
    media.leftovers()
    return report.summary()
