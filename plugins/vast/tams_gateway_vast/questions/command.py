"""The options of `tams-gateway vast probe`."""

from pathlib import Path

import click
import msgspec

from tams_gateway.plugin.commands import bench, config_option
from tams_gateway_vast.settings import Settings


@click.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of Markdown.")
@click.option(
    "--rounds",
    default=20,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="How often what is timed is done.",
)
@click.option(
    "--idle",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    metavar="SECONDS",
    help="For how long transactions are left idle, to see when the cluster ends them.",
)
@click.option(
    "--bucket", metavar="NAME", help="A bucket of objects, to try conditional PUTs of one object."
)
def probe(path: Path | None, as_json: bool, rounds: int, idle: int, bucket: str | None) -> None:
    """Find out what the cluster does that VAST does not write down, and print it.

    Works in a new schema beside that of the config, and drops it. The report has no credentials and
    no names of hosts; please send it to us.
    """
    from tams_gateway_vast.questions.report import Asked, ask, markdown

    with bench(path, "vast", store=False) as opened:
        if not opened.options:
            raise click.ClickException('[metadata] of the config has no plugin = "vast"')
        [settings] = opened.options
        assert isinstance(settings, Settings)
        asked = Asked(rounds, idle, bucket)
        report = ask(settings, opened.context.log, asked, lambda one: click.echo(one, err=True))
    click.echo(msgspec.json.encode(report) if as_json else markdown(report), nl=False)
