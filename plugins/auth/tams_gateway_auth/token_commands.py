"""`tams-gateway token`: API tokens, beside a gateway that may run on the metadata store."""

import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from tams_gateway.auth.principal import Scope
from tams_gateway.plugin.commands import bench, config_option
from tams_gateway_auth import tokens
from tams_gateway_auth.commands import print_table, rights_options, time, words
from tams_gateway_auth.users import check_name

_DAY: Final = 24 * 3600


@click.group()
def token() -> None:
    """Manage API tokens."""


@token.command()
@config_option
@click.argument("name")
@rights_options
@click.option("--days", type=click.IntRange(1), help="Days until it expires.  [default: never]")
@click.option(
    "--network",
    "networks",
    multiple=True,
    help="Where it may come from, as 10.0.0.0/8; may be repeated.  [default: everywhere]",
)
def create(
    path: Path | None,
    name: str,
    scopes: Sequence[Scope],
    groups: Sequence[str],
    days: int | None,
    networks: Sequence[str],
) -> None:
    """Create a token and print it, once.

    NAME stands in `created_by` of what is made with it; several tokens may have one name.
    """
    try:
        check_name(name)
        for network in networks:
            ipaddress.ip_network(network, strict=False)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    with bench(path, "url_token") as opened:
        now = int(opened.context.now())
        made = tokens.ApiToken(
            name,
            frozenset(scopes),
            frozenset(groups),
            tuple(networks),
            now,
            None if days is None else now + days * _DAY,
        )
        click.echo(tokens.create(opened.context, made))
    click.echo("Keep it: it is not shown again.", err=True)


@token.command(name="list")
@config_option
def list_tokens(path: Path | None) -> None:
    """List tokens; the first column is what `revoke` takes."""
    with bench(path, "url_token") as opened:
        rows = [
            (
                id_[: tokens.SHOWN],
                one.name,
                words(one.scopes),
                words(one.groups),
                words(one.networks),
                time(one.created),
                time(one.expires),
                time(one.used),
            )
            for id_, one in tokens.every(opened.context)
        ]
    heading = ("ID", "NAME", "SCOPES", "GROUPS", "NETWORKS", "CREATED", "EXPIRES", "LAST USE")
    print_table(heading, rows)


@token.command()
@config_option
@click.argument("which")
def revoke(path: Path | None, which: str) -> None:
    """Revoke the token of an id, or all tokens of a name: WHICH is one or the other."""
    with bench(path, "url_token") as opened:
        found = [
            (id_, one)
            for id_, one in tokens.every(opened.context)
            if which in (one.name, id_, id_[: tokens.SHOWN])
        ]
        if not found:
            raise click.ClickException(f"no token {which}")
        for id_, one in found:
            tokens.revoke(opened.context, id_, one)
            click.echo(f"revoked {id_[: tokens.SHOWN]} {one.name}")
