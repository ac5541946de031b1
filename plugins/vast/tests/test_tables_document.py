"""`docs/vast-tables.md`: it tells of the tables as they are, and its queries answer."""

import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

from tams_gateway_auth.passwords import Passwords
from tams_gateway_vast.projections import SECOND_ORDERS
from tams_gateway_vast.tables.columns import Table
from tams_gateway_vast.tables.kind_tables import OBJECTS, RECORDS
from tams_gateway_vast.tables.layout import LAYOUTS

from tams_gateway.auth.principal import Scope
from tams_gateway.testing.ingest import Ingest
from tests.deployments import Deployment, config, in_process
from tests.servers.vast import Server

DOCUMENT = (Path(__file__).parents[3] / "docs" / "vast-tables.md").read_text()
COMMON = OBJECTS.columns[:5]


def section(title: str) -> str:
    found = re.search(rf"^(##+) {title}\n(.*?)(?=^##|\Z)", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[2]


def columns(text: str) -> list[tuple[str, str]]:
    return re.findall(r"^\| `(\w+)` \| (\w+) \| .*\|$", text, re.MULTILINE)


def own(table: Table) -> list[tuple[str, str]]:
    """Return the columns of a table but those that are common to all records."""
    shared = COMMON if {*COMMON} <= {*table.columns} else ()
    return [(one.name, str(one.type)) for one in table.columns if one not in shared]


def test_every_table_is_documented_with_its_columns_types_and_order() -> None:
    documented = re.findall(r"^### `(\w+)`$", DOCUMENT, re.MULTILINE)
    assert sorted(documented) == sorted(table.name for table in LAYOUTS.tables)
    for table in LAYOUTS.tables:
        text = section(f"`{table.name}`")
        assert columns(text) == own(table), table.name
        told = re.search(r"[Ss]orted by ((?:`\w+`(?:, )?)+)", text)
        order = tuple(re.findall(r"`(\w+)`", told[1])) if told else None
        if {*COMMON} <= {*table.columns} and table is not RECORDS:
            assert order is None, table.name
            assert table.sorted_by == ("id",), table.name
        else:
            assert (order or ()) == table.sorted_by, table.name


def test_the_columns_of_all_records_are_documented() -> None:
    assert columns(section("Records")) == [(one.name, str(one.type)) for one in COMMON]


def test_the_second_orders_are_documented() -> None:
    text = " ".join(section("Projections").split())
    for table, sorted_by in SECOND_ORDERS:
        assert f"`{table.name}` by {', '.join(f'`{one}`' for one in sorted_by)}" in text


def test_every_query_of_the_document_answers_what_was_written_through_the_api(
    server: Server, tmp_path: Path
) -> None:
    with gateway(server, tmp_path) as deployment:
        written = write(deployment)

    code, queries = blocks("python"), blocks("sql")
    assert (len(code), len(queries)) == (1, 5)
    names = {
        "ENDPOINT": server.endpoints[0],
        "ACCESS_KEY": server.access,
        "SECRET_KEY": server.secret,
        "BUCKET": server.bucket,
        "SCHEMA": "tams",
    }
    exec(code[0], names)
    ask: Callable[..., list[tuple[object, ...]]] = names["ask"]  # type: ignore[assignment]

    answers = [ask(query, *re.findall(r"(?:FROM|JOIN) (\w+)", query)) for query in queries]

    first, second = written.days
    assert answers[0] == [
        ("camera 1", first, 2.0),
        ("camera 1", second, 1.0),
        ("camera 2", second, 1.0),
    ]
    assert answers[1] == [("news", 2, 4), ("sport", 1, 3)]
    assert answers[2] == [(written.object_id, len(MEDIA), 2)]
    assert answers[3] == [("camera 1", 7200.0, 3600.0)]
    assert [(kind, times) for _, kind, times in answers[4]] == [("failure", 1), ("login", 1)]


MEDIA = b"an hour of pictures"


class Written(NamedTuple):
    """What a client wrote: over which days, and the object that two flows use."""

    days: tuple[date, date]
    object_id: str


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)


@contextmanager
def gateway(server: Server, folder: Path) -> Iterator[Deployment]:
    """Run a gateway whose metadata are on the server, and of whose users one is known."""
    password = Passwords(32, 1, 1).hash("right")
    user = {"password": password, "scopes": [scope.value for scope in Scope]}
    sections = {
        "metadata": {
            "plugin": "vast",
            "endpoints": server.endpoints,
            "access_key": server.access,
            "secret_key": server.secret,
            "bucket": server.bucket,
            "shards": 4,
            "guard": "r",
        },
        "auth": [{"plugin": "basic", "users": {"ann": user}, "memory_kib": 32, "passes": 1}],
    }
    settings = config("wsgi-memory", folder, sections)
    with in_process("wsgi-memory", settings, []) as deployment:
        yield deployment


def write(deployment: Deployment) -> Written:
    """Log in, and bring media in on two days."""
    client, clock = deployment.client, deployment.clock
    client.headers["Authorization"] = basic("wrong")
    assert client.get("/flows").status == 401
    client.headers["Authorization"] = basic("right")
    # At ten o'clock of tomorrow, so that the two days begin at no moment of the test.
    day = 24 * 3600
    clock.advance(day - clock() // 10**9 % day + 10 * 3600)
    days = [datetime.fromtimestamp(clock() / 1e9 + after, UTC).date() for after in (0, day)]
    ingest = Ingest(client)
    one = ingest.flow(label="camera 1", tags={"genre": ["news", "sport"]})
    two = ingest.flow(label="camera 2", tags={"genre": "news"})
    [made] = ingest.allocate(one)
    url, kind = made["put_url"]["url"], made["put_url"]["content-type"]
    assert client.put(url, body=MEDIA, headers={"Content-Type": kind}).status in (200, 201)
    ingest.register(one, made["object_id"], "[0:0_3600:0)")
    ingest.add(one, "[3600:0_7200:0)")
    clock.advance(day)
    ingest.add(one, "[10800:0_14400:0)")
    ingest.register(two, made["object_id"], "[0:0_3600:0)")
    return Written((days[0], days[1]), made["object_id"])


def basic(password: str) -> str:
    return f"Basic {b64encode(f'ann:{password}'.encode()).decode()}"
