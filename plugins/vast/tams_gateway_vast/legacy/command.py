"""The options of `tams-gateway vast import-legacy`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import msgspec

from tams_gateway.plugin import Secret
from tams_gateway.plugin.commands import bench, config_option, importing
from tams_gateway_vast.settings import Settings


@click.command("import-legacy")
@config_option
@click.option(
    "--objects", required=True, metavar="NAME", help="The [objects.NAME] that has the bytes."
)
@click.option("--schema", required=True, help="The schema with the older server's tables.")
@click.option("--bucket", help="The database that has it. Default: that of [metadata].")
@click.option(
    "--endpoint",
    "endpoints",
    multiple=True,
    metavar="URL",
    help="Of the cluster; may be repeated. Default: those of [metadata].",
)
@click.option(
    "--access-key",
    envvar="TAMS_LEGACY_ACCESS_KEY",
    show_envvar=True,
    help="Of a user who may read the tables. Default: that of [metadata].",
)
@click.option("--secret-key", envvar="TAMS_LEGACY_SECRET_KEY", show_envvar=True, help="Likewise.")
@click.option("--container", metavar="TYPE", help="What flows without a container have.")
@click.option(
    "--key",
    "templates",
    multiple=True,
    metavar="TEMPLATE",
    help="Where to look for bytes as well: {yyyy}, {mm}, {dd}, {object_id} and {flow_id}; may be "
    "repeated.",
)
@click.option(
    "--report",
    default="import-legacy.jsonl",
    show_default=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="A new file with a line of JSON for whatever was wrong.",
)
def import_legacy(
    path: Path | None,
    objects: str,
    schema: str,
    bucket: str | None,
    endpoints: tuple[str, ...],
    access_key: str | None,
    secret_key: str | None,
    container: str | None,
    templates: tuple[str, ...],
    report: Path,
) -> None:
    """Take over what the older server kept in VAST, whatever the metadata store of the config.

    Nobody may write to the older server meanwhile. What is here already stays as it is, so that an
    import may be run again. The older tables, and the bytes, are only read.
    """
    from tams_gateway_vast.legacy.report import Report
    from tams_gateway_vast.legacy.run import Wishes, run
    from tams_gateway_vast.transport.cluster import Cluster

    wishes = Wishes(container, _checked(templates))
    with bench(path, "vast", store=False) as opened:
        named = {
            "endpoints": endpoints,
            "access_key": access_key and Secret(access_key),
            "secret_key": secret_key and Secret(secret_key),
            "bucket": bucket,
            "schema": schema,
        }
        settings = _settings(opened.options, {name: one for name, one in named.items() if one})
        cluster = Cluster(settings, opened.context.log, opened.context.now)
    try:
        with importing(path, objects) as importer, Report(report) as findings:
            stage = "{} ...".format
            for line in run(cluster, importer, findings, wishes, lambda it: click.echo(stage(it))):
                click.echo(line)
    except OSError as error:
        raise click.FileError(str(report), error.strerror or str(error)) from error
    finally:
        cluster.close()
    click.echo(f"{report} has a line for each row with a problem")


def _settings(options: Sequence[msgspec.Struct], named: Mapping[str, object]) -> Settings:
    """Return how to reach the older tables: as `[metadata]` says, but for what is named."""
    own = next((one for one in options if isinstance(one, Settings)), None)
    try:
        if own is None:
            return Settings(**named)  # type: ignore[arg-type]
        found = msgspec.structs.replace(own, **named)
    except TypeError as error:
        told = "[metadata] is no VAST: say --endpoint, --bucket, --access-key and --secret-key"
        raise click.UsageError(told) from error
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if found.place == own.place and set(found.endpoints) & set(own.endpoints):
        raise click.UsageError(f"--schema: {found.place} has the tables of this gateway")
    return found


def _checked(templates: tuple[str, ...]) -> tuple[str, ...]:
    for template in templates:
        try:
            template.format(yyyy="", mm="", dd="", object_id="", flow_id="")
        except (LookupError, ValueError) as error:
            raise click.UsageError(f"--key: {template!r} is no template ({error!r})") from error
    return templates
