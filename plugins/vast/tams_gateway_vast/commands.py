"""`tams-gateway vast`: prepare and look at the database of the config.

What is heavy is imported inside the commands, so that `tams-gateway plugins` does without.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tams_gateway.plugin.commands import bench, config_option
from tams_gateway_vast.legacy.command import import_legacy
from tams_gateway_vast.questions.command import probe
from tams_gateway_vast.settings import Settings

if TYPE_CHECKING:
    from tams_gateway_vast.projections import Projection
    from tams_gateway_vast.transport.cluster import Cluster, Transaction


@click.group()
def vast() -> None:
    """Prepare and look at the database of the config."""


vast.add_command(import_legacy)
vast.add_command(probe)


@contextmanager
def connected(path: Path | None) -> "Iterator[tuple[Cluster, Settings]]":
    """Connect to the cluster of a config; neither needs nor makes any table of ours."""
    from tams_gateway_vast.transport.cluster import Cluster

    with bench(path, "vast", store=False) as opened:
        if not opened.options:
            raise click.ClickException('[metadata] of the config has no plugin = "vast"')
        [settings] = opened.options
        assert isinstance(settings, Settings)
        cluster = Cluster(settings, opened.context.log, opened.context.now)
        try:
            yield cluster, settings
        finally:
            cluster.close()


@vast.command()
@config_option
def init(path: Path | None) -> None:
    """Make the schema and its tables; what is there already stays."""
    from tams_gateway_vast.schema import Schema

    with connected(path) as (cluster, settings):
        schema = Schema(cluster, settings)
        made = schema.look().version is None and schema.make()
        found = schema.look()
        schema.check(found)
        state = "made" if made else "is there"
        click.echo(f"{settings.place}: {state}, version {found.version} of the tables")
        if settings.projections:
            _create(cluster, settings)


@vast.command()
@config_option
def migrate(path: Path | None) -> None:
    """Bring older tables to the version of this plugin, in one transaction."""
    from tams_gateway_vast.schema import Schema

    with connected(path) as (cluster, settings):
        schema = Schema(cluster, settings)
        before = schema.look().version
        done = before is not None and schema.migrate()
        found = schema.look()
        schema.check(found)
        state = f"migrated from version {before} to" if done else "is of"
        click.echo(f"{settings.place}: {state} version {found.version}")


@vast.command()
@config_option
def status(path: Path | None) -> None:
    """Show endpoints, version, guard, and what the cluster says of each table.

    Rows and sizes lag behind.
    """
    from tams_gateway_vast.schema import Schema
    from tams_gateway_vast.tables.layout import LAYOUTS

    with connected(path) as (cluster, settings):
        for one in cluster.health():
            click.echo(f"endpoint {one.url}: {one.detail}")
        schema = Schema(cluster, settings)
        found = schema.look()
        click.echo(f"{settings.place}: guard {settings.guard}, {found.shards} shards")
        click.echo(f"version {found.version} of the tables; this plugin takes {schema.version}")
        schema.check(found)
        ours = {table.name: table for table in LAYOUTS.tables}
        stats = cluster.read(lambda transaction: transaction.stats())
        rows = [
            (
                one.name,
                str(one.rows),
                str(one.bytes),
                _sorting(one.sorted, one.sorting_done, one.sorting_score),
            )
            for one in stats
            if one.name in ours
        ]
        _print_table(("table", "rows", "bytes", "sorting"), sorted(rows))


def _sorting(is_sorted: bool, done: bool, score: int) -> str:
    if not is_sorted:
        return "-"
    return "done" if done else f"score {score}"


@vast.group()
def projections() -> None:
    """Make copies of some columns in another order, for clusters that do not sort tables.

    `projections = true` in the config makes them at the start.
    """


@projections.command(name="list")
@config_option
def list_(path: Path | None) -> None:
    """Show the projections that serve the reads, with their columns."""
    from tams_gateway_vast.projections import wanted
    from tams_gateway_vast.tables.layout import LAYOUTS

    with connected(path) as (cluster, _):
        for one in cluster.read(lambda transaction: wanted(transaction, LAYOUTS)):
            projection = one.projection
            click.echo(
                f"{projection.table.name}: {projection.name} "
                f"({'missing' if one.stats is None else 'there'}), "
                f"sorted by {', '.join(projection.sorted_by)}; "
                f"with {', '.join(projection.others)}"
            )


@projections.command(name="status")
@config_option
def status_(path: Path | None) -> None:
    """Show how many rows the projections hold; fewer than the table where some are to come."""
    from tams_gateway_vast.projections import wanted
    from tams_gateway_vast.tables.layout import LAYOUTS

    with connected(path) as (cluster, _):
        tables = {one.name: one for one in cluster.read(lambda transaction: transaction.stats())}
        rows = [
            (
                one.projection.table.name,
                one.projection.name,
                "missing" if one.stats is None else str(one.stats.rows),
                str(tables[one.projection.table.name].rows),
                "-" if one.stats is None else str(one.stats.bytes),
            )
            for one in cluster.read(lambda transaction: wanted(transaction, LAYOUTS))
        ]
        _print_table(("table", "projection", "rows", "of", "bytes"), rows)


@projections.command()
@config_option
def create(path: Path | None) -> None:
    """Make the projections that are missing."""
    with connected(path) as (cluster, settings):
        _create(cluster, settings)


@projections.command()
@config_option
def drop(path: Path | None) -> None:
    """Drop all projections of ours; the tables stay as they are."""
    from tams_gateway_vast.projections import drop_all
    from tams_gateway_vast.tables.layout import LAYOUTS

    with connected(path) as (cluster, settings):
        _change(cluster, settings, lambda one: drop_all(one, LAYOUTS), "dropped")


def _create(cluster: "Cluster", settings: Settings) -> None:
    from tams_gateway_vast.projections import create_missing
    from tams_gateway_vast.tables.layout import LAYOUTS

    _change(cluster, settings, lambda one: create_missing(one, LAYOUTS), "made")


def _change(
    cluster: "Cluster",
    settings: Settings,
    work: "Callable[[Transaction], Sequence[Projection]]",
    done: str,
) -> None:
    """Change projections, and say of each what was done."""
    from tams_gateway_vast.schema import Schema

    schema = Schema(cluster, settings)
    schema.check(schema.look())
    changed: Sequence[Projection] = ()

    def attempt(transaction: "Transaction") -> bool:
        nonlocal changed
        found = work(transaction)
        changed = found or changed
        return bool(found)

    schema.settle(attempt)
    for one in changed:
        click.echo(f"{one.table.name}: {one.name} {done}")
    click.echo(f"{len(changed)} projections {done}")


def _print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print columns as wide as what stands in them."""
    lines = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
