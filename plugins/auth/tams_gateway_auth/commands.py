"""What the commands on users and tokens share: their options, and how they print."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import click

from tams_gateway.auth.principal import Scope

F = TypeVar("F", bound=Callable[..., object])


def scope_named(text: str) -> Scope:
    """Return the scope of a name, with or without `tams-api/`; ends the command for another."""
    for scope in Scope:
        if text in (scope.value, _short(scope)):
            return scope
    raise click.BadParameter(f"expected one of {', '.join(map(_short, Scope))}, got {text!r}")


def rights_options(command: F) -> F:
    """Add `--scope` and `--group`: what a principal may do, passed as `scopes` and `groups`."""
    scope = click.option(
        "--scope",
        "scopes",
        type=scope_named,
        metavar="SCOPE",
        multiple=True,
        default=("read",),
        show_default=True,
        help="read, write, delete or admin; may be repeated.",
    )
    group = click.option("--group", "groups", multiple=True, help="A group; may be repeated.")
    return scope(group(command))


def words(items: Iterable[Scope | str]) -> str:
    """Return scopes or texts for a cell of a table, a dash where there are none."""
    names = (_short(one) if isinstance(one, Scope) else one for one in items)
    return ",".join(sorted(names)) or "-"


def time(seconds: float | None) -> str:
    """Return seconds since 1970 for a cell of a table, a dash for None."""
    if seconds is None:
        return "-"
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def print_table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows below a heading, each column as wide as its longest cell."""
    lines = [heading, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heading))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _short(scope: Scope) -> str:
    return scope.value.removeprefix("tams-api/")
