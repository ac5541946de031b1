"""`tams-gateway verify`: whether all bytes are there and as they were uploaded."""

import sys
from pathlib import Path

import click
import msgspec

from tams_gateway.backup.checking import faults_of
from tams_gateway.backup.folder import Folder
from tams_gateway.backup.verifying import Pace, Report
from tams_gateway.backup.verifying import verify as verified
from tams_gateway.cli.stores import failures, opened, track
from tams_gateway.plugin.commands import config_option


@click.command()
@click.argument("directory", metavar="[DIR]", type=click.Path(path_type=Path), required=False)
@click.option("--rate", metavar="MB", type=click.IntRange(1), help="Megabytes a second to read.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@config_option
def verify(directory: Path | None, rate: int | None, as_json: bool, path: Path | None) -> None:
    """Read every object of the store, or of the backup in DIR, and compare size and SHA-256.

    The exit status is 1 if anything is missing or differs.
    """
    if directory is not None:
        _verify_backup(directory, as_json)
        return
    pace = Pace(None if rate is None else rate * 1_000_000)
    with opened(path) as gateway:
        report = verified(gateway, track, pace)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(report)).decode())
    else:
        _tell(report)
    if report.faults:
        sys.exit(1)


def _tell(report: Report) -> None:
    for one in report.faults:
        click.echo(f"{one.kind.upper()}: object {one.object_id!r} in {one.place}: {one.detail}")
    click.echo(
        f"{report.instances} objects of {report.bytes} bytes were read, {report.unproven} of them "
        f"without a known checksum; {report.segments} segments; {len(report.faults)} faults"
    )


def _verify_backup(directory: Path, as_json: bool) -> None:
    folder = Folder(directory)
    with failures():
        manifest = folder.manifest()
        faults = faults_of(folder, manifest, track)
    if as_json:
        document = {"instances": manifest.instances, "faults": faults}
        click.echo(msgspec.json.format(msgspec.json.encode(document)).decode())
    else:
        for fault in faults:
            click.echo(f"DAMAGED: {fault}")
        click.echo(f"{manifest.instances} objects of {manifest.created}; {len(faults)} faults")
    if faults:
        sys.exit(1)
