"""Registers the metadata store `vast`, and `tams-gateway vast`."""

from collections.abc import Sequence

import click

from tams_gateway.plugin import Context, Provider, hookimpl
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway_vast.commands import vast
from tams_gateway_vast.settings import Settings


def _open(settings: Settings, context: Context) -> MetadataStore:
    # The SDK takes a second to import, so that `tams-gateway plugins` does without.
    from tams_gateway_vast.metadata import VastMetadata

    return VastMetadata(settings, context.log, context.now)


def _is_shared(settings: Settings) -> bool:
    return settings.guard != "process"


@hookimpl
def tams_metadata_store() -> Provider[MetadataStore]:
    """Return the provider of the store."""
    return Provider(
        name="vast",
        settings=Settings,
        open=_open,
        summary="metadata in a VAST Database, for any number of machines",
        api=1,
        shared=_is_shared,
    )


@hookimpl
def tams_commands() -> Sequence[click.Command]:
    """Return `tams-gateway vast`."""
    return [vast]
