"""`tams-gateway check`: whether the config is good and everything that it names works."""

import os
import sys
from contextlib import closing
from pathlib import Path

import click

from tams_gateway.assembly import Assembly, assemble
from tams_gateway.cli.preflight import check_host, check_server
from tams_gateway.operations import known_backends, sinks
from tams_gateway.plugin.commands import config_option
from tams_gateway.selection import select
from tams_gateway.settings import Settings, load
from tams_gateway.storage.capabilities import SupportsExamination


@click.command()
@config_option
def check(path: Path | None) -> None:
    """Check the config, and one round trip with each plugin.

    Prints what was found and what to do about it. The exit status is 1 if anything fails.
    """
    settings = load(path, os.environ)
    select(settings).check_workers(settings.serve.workers)
    check_server(settings)
    check_host(settings)
    click.echo(f"config: {settings.source} is valid")
    with closing(assemble(settings)) as assembly:
        healthy = _check_opened(assembly) and _check_backends(assembly)
        _tell_sinks(assembly)
    if not settings.auth:
        _tell_open(settings)
    if not healthy:
        sys.exit(1)


def _check_opened(assembly: Assembly) -> bool:
    """Print the health of all that was opened; return whether all of it is well."""
    healthy = True
    for key, opened in assembly.opened.items():
        health = opened.check()
        found = [health]
        if health.ok and isinstance(opened, SupportsExamination):
            found += opened.examine()
        for one in found:
            healthy &= one.ok
            click.echo(f"{key}: {'ok' if one.ok else 'FAILS'}: {one.detail}")
            if one.remedy:
                click.echo(f"{' ' * len(key)}  to do: {one.remedy}")
    return healthy


def _check_backends(assembly: Assembly) -> bool:
    """Print the storage backends that objects lie in and the config lacks."""
    gone = known_backends.missing(assembly.gateway)
    for one in gone:
        click.echo(f"objects.{one.name}: FAILS: objects lie in it, but no section has its id")
        click.echo(f'      to do: say id = "{one.id}" in the section that has its bytes now')
    return not gone


def _tell_sinks(assembly: Assembly) -> None:
    """Print to which sinks deliveries fail, as the gateway that runs, or ran last, noted it."""
    for name, found in sinks.health(assembly.gateway):
        if not found.ok:
            click.echo(f"events.{name}: deliveries fail: {found.detail}")


def _tell_open(settings: Settings) -> None:
    """Print whom a gateway without auth providers serves."""
    if settings.service.auth_open:
        click.echo("auth: none: everybody who reaches the gateway is served, without credentials")
    else:
        click.echo("auth: none: this machine alone is served, without credentials")
        click.echo(
            "      to do: configure [[auth]] before you serve others, or say service.auth_open"
        )
