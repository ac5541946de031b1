"""The hooks through which plugins are found; each is a factory, called once at start."""

from collections.abc import Sequence

import click
import pluggy

from tams_gateway.auth.provider import AuthProvider
from tams_gateway.events.sink import EventSink
from tams_gateway.plugin.provider import Provider
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.storage.objects import ObjectStore

PROJECT = "tams_gateway"
"""The pluggy project and the entry-point group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def tams_metadata_store() -> Provider[MetadataStore]:
    """Return the provider of a metadata store; `[metadata]` selects exactly one."""
    raise NotImplementedError


@hookspec
def tams_object_store() -> Provider[ObjectStore]:
    """Return the provider of an object store; each `[objects.NAME]` opens one."""
    raise NotImplementedError


@hookspec
def tams_auth_provider() -> Provider[AuthProvider]:
    """Return an auth provider; the `[[auth]]` sections are tried in order."""
    raise NotImplementedError


@hookspec
def tams_event_sink() -> Provider[EventSink]:
    """Return an event sink; each `[[events]]` section gets every event."""
    raise NotImplementedError


@hookspec
def tams_commands() -> Sequence[click.Command]:
    """Return commands to stand below `tams-gateway`."""
    raise NotImplementedError
