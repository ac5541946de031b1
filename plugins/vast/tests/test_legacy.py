"""`tams-gateway vast import-legacy`: the older server's tables, with all that is wrong in them."""

import json
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
import structlog
from click.testing import CliRunner
from tams_gateway_s3.store import S3Objects
from tams_gateway_vast.legacy.command import import_legacy
from tams_gateway_vast.legacy.report import Report
from tams_gateway_vast.legacy.run import Wishes, run
from tams_gateway_vast.legacy.tables import Tables
from tams_gateway_vast.legacy.values import fitting, rate
from tams_gateway_vast.settings import Settings
from tams_gateway_vast.transport.cluster import Cluster

from plugins.s3.tests import conftest as s3
from plugins.vast.tests import older, older_rows
from plugins.vast.tests.older_rows import PROBLEMS, STORED, id_
from tams_gateway import wsgi
from tams_gateway.cli.main import main
from tams_gateway.cli.stores import importing
from tams_gateway.plugin import Secret
from tams_gateway.plugin.commands import Import
from tams_gateway.settings import load
from tams_gateway.testing.client import Client
from tams_gateway.testing.transports import Wsgi
from tests.servers.seaweed import seaweed
from tests.servers.vast import Server
from tests.stores import toml

Options = dict[str, Any]


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Options]:
    """The options of a bucket with the bytes of the older server."""
    with seaweed(tmp_path_factory.mktemp("seaweed")) as endpoint:
        options = s3.options(endpoint)
        settings = s3.settings(endpoint, bucket=options["bucket"])
        with closing(S3Objects(settings, s3.LIFETIME, lambda: 0.0)) as store:
            for key, content in STORED.items():
                store.write(key, "video/mp2t", [content.encode()])
        yield options


@pytest.fixture
def database(options: dict[str, str]) -> Options:
    """The options of a new schema, as values."""
    texts = {"access_key", "secret_key", "bucket", "schema", "guard"}
    return {key: one if key in texts else json.loads(one) for key, one in options.items()}


class Site:
    """A config, and the older server's tables that are imported into its stores."""

    def __init__(self, folder: Path, metadata: Options, bucket: Options, database: Options) -> None:
        self.path = folder / "tams.toml"
        self.report = folder / "report.jsonl"
        self._older = {
            **database,
            "endpoint": database["endpoints"][0],
            "schema": f"{database['schema']}_older",
        }
        sections = {
            "metadata": metadata,
            "objects.main": {"plugin": "filesystem", "path": f"{folder}/media", "default": True},
            "objects.older": bucket,
        }
        events = [{"plugin": "webhook", "allow_hosts": ["hooks.example"]}]
        self.path.write_text(toml(sections, {"events": events}))

    def write(self, layout: Mapping[str, str], rows: Mapping[str, list[older.Row]]) -> None:
        """Make the older tables."""
        older.write(self._older, layout, rows)

    def cluster(self) -> Cluster:
        """Connect to the older tables."""
        return connection(self._older)

    def run(self, *more: str) -> tuple[int, str]:
        """Run the import, and return its status and what it printed."""
        names = ("endpoint", "bucket", "schema", "access_key", "secret_key")
        options = [f"--{name.replace('_', '-')}={self._older[name]}" for name in names]
        options += ["--objects=older", f"--config={self.path}", f"--report={self.report}", *more]
        done = CliRunner().invoke(main, ["vast", "import-legacy", *options])
        return done.exit_code, done.output

    def findings(self) -> list[dict[str, Any]]:
        """Return the lines of the report."""
        return [json.loads(line) for line in self.report.read_text().splitlines()]

    @contextmanager
    def gateway(self) -> Iterator[Client]:
        """Run a gateway on what was imported."""
        app = wsgi.create(load(self.path, {}))
        with closing(Client(Wsgi(app))) as client:
            yield client
        app.close()


def connection(where: Mapping[str, Any]) -> Cluster:
    """Connect to a schema."""
    settings = Settings(
        endpoints=(where["endpoint"],),
        access_key=Secret(where["access_key"]),
        secret_key=Secret(where["secret_key"]),
        bucket=where["bucket"],
        schema=where["schema"],
    )
    return Cluster(settings, structlog.get_logger(), lambda: 0.0)


@pytest.fixture(params=["sqlite", "vast"])
def site(
    request: pytest.FixtureRequest, tmp_path: Path, bucket: Options, database: Options
) -> Site:
    metadata = {
        "sqlite": {"plugin": "sqlite", "path": f"{tmp_path}/tams.db", "durability": "process"},
        "vast": {"plugin": "vast", **database},
    }[request.param]
    return Site(tmp_path, metadata, bucket, database)


def played(client: Client, flow_id: str, query: str = "") -> dict[str, str]:
    """Return the bytes of each segment of a flow, read where its URL leads."""
    found = {}
    for segment in client.get(f"/flows/{flow_id}/segments?presigned=true{query}").json:
        for item in segment["get_urls"]:
            with urllib.request.urlopen(item["url"], timeout=20) as answer:
                found[segment["timerange"]] = answer.read().decode()
    return found


def test_all_that_can_be_taken_is_here_and_the_rest_is_told(site: Site) -> None:
    site.write(older.NEWER, older_rows.NEWER)

    status, output = site.run("--container=video/mp2t")

    assert status == 0, output
    found = site.findings()
    assert Counter((one["problem"], one["done"], one["table"]) for one in found) == PROBLEMS
    assert all(one["row"] for one in found if one["problem"] != "table that is not read")
    for secret in ("open sesame", "h4sh", "t0ken", "X-Amz-Signature"):
        assert secret not in site.report.read_text()
    assert "segments overlap: 1 left out\n" in output
    with site.gateway() as client:
        check_resources(client)
        check_segments(client)
        before = snapshot(client)

    first = site.findings()
    assert site.run("--container=video/mp2t") == (0, output)

    assert site.findings() == first
    with site.gateway() as client:
        assert snapshot(client) == before


def check_resources(client: Client) -> None:
    one = client.get(f"/flows/{id_('f', 1)}").json
    essence = one.pop("essence_parameters")
    assert essence == {
        "frame_width": 1920,
        "frame_height": 1080,
        "frame_rate": {"numerator": 30000, "denominator": 1001},
        "interlace_mode": "progressive",
        "colorspace": "BT709",
        "transfer_characteristic": "SDR",
        "component_type": "YCbCr",
        "horiz_chroma_subs": 2,
        "vert_chroma_subs": 2,
    }
    assert one == {
        "id": id_("f", 1),
        "source_id": id_("a", 1),
        "format": "urn:x-nmos:format:video",
        "codec": "video/h264",
        "container": "video/mp2t",
        "label": "flow 1",
        "created": "2025-03-01T10:00:01Z",
        "created_by": "ada",
        "updated_by": "bob",
        "metadata_updated": "2025-03-01T10:01:41Z",
        "segments_updated": "2025-03-01T10:03:21Z",
        "metadata_version": "v7",
        "max_bit_rate": 5_000_000,
        "segment_duration": {"numerator": 2},
        "read_only": True,
        "tags": {"a": ["x", "y"], "l": ["p"], "legacy.color_primaries": "bt709"},
        "collected_by": [id_("f", 3)],
    }
    assert client.get(f"/sources/{id_('a', 1)}").json == {
        "id": id_("a", 1),
        "format": "urn:x-nmos:format:video",
        "label": "the studio",
        "created_by": "cy",
        "created": "2025-03-01T09:59:55Z",
        "updated": "2025-03-01T09:59:59Z",
        "tags": {"s": "v"},
        "collected_by": [id_("a", 3)],
    }
    collecting = client.get(f"/flows/{id_('f', 3)}").json
    assert collecting["flow_collection"] == [
        {"id": id_("f", 1), "role": "picture"},
        {"id": id_("f", 2), "role": "sound"},
    ]
    derived = client.get(f"/sources/{id_('a', 3)}").json
    assert derived["source_collection"] == [
        {"id": id_("a", 1), "role": "picture"},
        {"id": id_("a", 2), "role": "sound"},
    ]
    assert client.get(f"/flows/{id_('f', 4)}").status == 404
    assert client.get(f"/flows/{id_('f', 5)}").json["source_id"] == id_("a", 1)
    renamed = client.get(f"/flows/{fitting('camera-6')}").json
    assert (renamed["tags"], renamed["source_id"]) == (
        {"legacy.id": "camera-6"},
        fitting("studio"),
    )
    assert client.get(f"/flows/{id_('f', 7)}").json["label"] == "newer"
    assert client.get(f"/flows/{id_('f', 8)}").json["essence_parameters"]["vfr"] is True
    assert client.get(f"/flows/{id_('f', 11)}").json["tags"]["legacy.label"] == "l" * 300
    [webhook] = client.get("/service/webhooks").json
    assert (webhook["id"], webhook["flow_ids"]) == (id_("b", 1), [fitting("camera-6")])


def check_segments(client: Client) -> None:
    assert played(client, id_("f", 1), "&accept_get_urls=older") == {
        "[0:0_1:0)": "one",
        "[1:0_2:0)": "two",
        "[5:0_6:0)": "shared",
        "[40:0_41:0)": "by-url",
        "[50:0_51:0)": "by-date",
        "[60:0_61:0)": "no-row",
    }
    assert played(client, id_("f", 7)) == {"[10:0_12:0)": "shared"}
    assert played(client, id_("f", 8)) == {"[0:0_1:0)": "many"}
    shared = client.get("/objects/shared").json
    assert shared["timerange"] == "[0:0_2:0)"
    assert sorted(shared["referenced_by_flows"]) == [id_("f", 1), id_("f", 7)]
    by_url = client.get(f"/flows/{id_('f', 1)}/segments?object_id=by-url").json[0]["get_urls"]
    assert {one["label"] for one in by_url} == {"older", "cdn"}
    [elsewhere] = client.get(f"/flows/{id_('f', 1)}/segments?object_id=elsewhere").json
    assert [one["label"] for one in elsewhere["get_urls"]] == ["cdn.example", "cdn.example 1"]


def snapshot(client: Client) -> list[object]:
    """Return all that clients see, but for URLs, which are signed anew each time."""
    flows = client.get("/flows").json
    paths = ["/sources", *(f"/flows/{one['id']}/segments?accept_get_urls=" for one in flows)]
    return [flows, *(client.get(path).json for path in paths)]


class Killed(Exception):
    """What ends an import in the middle."""


class Mortal:
    """An `Import` that dies behind so many calls."""

    def __init__(self, importer: Import, calls: int) -> None:
        self._importer = importer
        self._calls = calls

    def __getattr__(self, name: str) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            done: object = getattr(self._importer, name)(*arguments)
            self._calls -= 1
            if not self._calls:
                raise Killed
            return done

        return call


@pytest.mark.parametrize("site", ["sqlite"], indirect=True)
def test_an_import_that_was_killed_goes_on(site: Site) -> None:
    site.write(older.NEWER, older_rows.NEWER)
    wishes = Wishes("video/mp2t", piece=2)

    def imported(calls: int) -> None:
        with Report(site.report) as report, importing(site.path, "older") as importer:
            mortal = cast(Import, Mortal(importer, calls))
            run(cluster, mortal, report, wishes, lambda _: None)

    with closing(site.cluster()) as cluster:
        for calls in (3, 14):
            with pytest.raises(Killed):
                imported(calls)
        imported(1000)

    found = Counter((one["problem"], one["done"], one["table"]) for one in site.findings())
    assert found == PROBLEMS
    with site.gateway() as client:
        check_resources(client)
        check_segments(client)


@pytest.mark.parametrize("site", ["sqlite"], indirect=True)
def test_older_tables_with_fewer_columns_are_read_as_well(site: Site) -> None:
    """A segment's text is its time, whatever other columns say."""
    site.write(older.MAIN, older_rows.MAIN)

    status, output = site.run("--key={yyyy}/{mm}/{dd}/{object_id}")

    assert status == 0, output
    found = Counter((one["problem"], one["done"]) for one in site.findings())
    assert found == {("JSON that is none", "mended"): 1, ("flow of a missing source", "mended"): 1}
    with site.gateway() as client:
        flow = client.get(f"/flows/{id_('f', 1)}").json
        assert flow["tags"] == {"a": "x", "n": "5", "l": ["p", "q"]}
        assert flow["essence_parameters"]["frame_rate"] == {"numerator": 50}
        assert client.get(f"/flows/{id_('f', 2)}").json["tags"] == {"legacy.tags": "{broken"}
        assert client.get(f"/sources/{id_('a', 1)}").json["tags"] == {"s": "v"}
        assert played(client, id_("f", 1)) == {"[0:0_1:999999999]": "plain"}


@pytest.mark.parametrize("site", ["sqlite"], indirect=True)
def test_what_is_said_wrong_is_told_in_one_line(site: Site) -> None:
    for option, told in (
        ("--objects=none", "no [objects.none] in the config, which has [objects.main]"),
        ("--key={month}", "--key: '{month}' is no template"),
        ("--schema=a/b", "schema: expected letters, digits"),
        ("--endpoint=", "endpoints: '' is no URL as http://vast.example.com"),
        ("--report=no/such/folder", "no/such/folder"),
        ("--objects=older", "no tables of the older server are there; check --bucket and --schema"),
    ):
        status, output = site.run(option)
        assert status != 0
        assert told in output


@pytest.mark.parametrize("site", ["vast"], indirect=True)
def test_the_schema_of_the_gateway_itself_is_refused(site: Site, database: Options) -> None:
    status, output = site.run(f"--schema={database['schema']}")
    assert status == 2
    assert f"{database['bucket']}/{database['schema']} has the tables of this gateway" in output


def test_tables_are_read_in_small_pieces(server: Server) -> None:
    """So memory does not grow with them: each list is a piece, or of one key."""
    flows = ["big" if n % 2 else f"f{n % 7}" for n in range(200)]
    rows = [
        {"flow_id": flow, "object_id": f"o{n // 2:03}", "created": older.at(-n)}
        for n, flow in enumerate(flows)
    ]
    where = {
        "endpoint": server.endpoints[0],
        "access_key": server.access,
        "secret_key": server.secret,
        "bucket": server.bucket,
        "schema": "older",
    }
    older.write(where, older.MAIN | {"segments": older.NEWER["segments"]}, {"segments": rows})
    with closing(connection(where)) as cluster:
        tables = Tables(cluster, piece=20)
        lists = list(tables.groups("segments", "flow_id", within="object_id"))

    assert max(map(len, lists)) == 20
    read = [(row["flow_id"], row["object_id"]) for list_ in lists for row in list_]
    assert sorted(read) == sorted((row["flow_id"], row["object_id"]) for row in rows)
    assert [flow for flow, _ in read] == sorted(flows)
    # Where one flow needs several lists, those that were made first come first.
    ages = [sorted(row["object_id"] for row in one) for one in lists if one[0]["flow_id"] == "big"]
    assert ages == sorted(ages, reverse=True)
    assert len(ages) == 5


def test_each_problem_and_option_is_documented() -> None:
    told = (Path(__file__).parents[3] / "docs" / "vast.md").read_text()
    problems = {problem for problem, *_ in PROBLEMS}
    options = {name for one in import_legacy.params for name in one.opts} - {"--config"}
    assert [one for one in sorted(problems | options) if f"`{one}" not in told] == []


@pytest.mark.parametrize(
    ("written", "rate_"),
    [
        ("25", (25, 1)),
        ("50/2", (25, 1)),
        ("30000/1001", (30000, 1001)),
        ("29.97", (30000, 1001)),
        ("23.976", (24000, 1001)),
        ("12.5", (25, 2)),
        ('{"numerator": 50}', (50, 1)),
    ],
)
def test_rates_are_read_in_each_form(written: str, rate_: tuple[int, int]) -> None:
    found = rate(written)
    assert (found["numerator"], found.get("denominator", 1)) == rate_


@pytest.mark.parametrize("written", ["", "fast", "0", "-25", "1/0", "[]", '{"numerator": "x"}'])
def test_what_is_no_rate_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="is no rate"):
        rate(written)
