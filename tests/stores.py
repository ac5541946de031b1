"""The stores that tests run on, as sections of a config, and the servers of some of them."""

import functools
import hashlib
import json
import os
import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple

from tams_gateway_sqlite.metadata import SqliteMetadata

from tams_gateway.operations import kinds
from tams_gateway.plugin import Secret
from tams_gateway.settings import Settings
from tams_gateway.storage.query import Query
from tams_gateway.testing.transports import Http
from tests.servers.seaweed import ACCESS, SECRET, seaweed

Table = Mapping[str, Any]

BUCKET: Final = "tests"
"""Every test has a prefix of its own in it: a bucket for each would take a second each."""


class Servers:
    """The servers that some stores need, each started when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started = ExitStack()
        self._s3: str | None = None
        self._vast: Table | None = None

    def __enter__(self) -> "Servers":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._started.close()

    def s3(self) -> str:
        """Return the endpoint of an S3 server."""
        if self._s3 is None:
            folder = self._folder / "s3"
            folder.mkdir(parents=True)
            self._s3 = self._started.enter_context(seaweed(folder))
        return self._s3

    def vast(self) -> Table:
        """Return the options for a VAST Database, less the schema: the test server or a real one.

        A real cluster is named by `TAMS_TEST_VAST_ENDPOINT`, `_ACCESS_KEY`, `_SECRET_KEY` and
        `_BUCKET`.
        """
        if self._vast is None:
            real = os.environ.get("TAMS_TEST_VAST_ENDPOINT")
            names = ("access_key", "secret_key", "bucket")
            if real is not None:
                given = {name: os.environ[f"TAMS_TEST_VAST_{name.upper()}"] for name in names}
                self._vast = {"endpoints": [real], **given}
            else:
                self._vast = self._vast_here()
        return self._vast

    def _vast_here(self) -> Table:
        from tests.servers.vast.process import vast_process
        from tests.servers.vast.switches import Switches

        # What a killed gateway left open holds up others for so long.
        switches = Switches(signature="off", idle=5.0)
        server = self._started.enter_context(vast_process(switches=switches))
        return {
            "endpoints": server.endpoints,
            "access_key": server.access,
            "secret_key": server.secret,
            "bucket": server.bucket,
            "guard": "r",
        }


class Stores(NamedTuple):
    """The options of a metadata store and of two object stores, all of them empty."""

    metadata: Table
    main: Table
    second: Table


def stores(name: str, folder: Path, servers: Servers | None = None) -> Stores:
    """Return the stores of a name: `METADATA-OBJECTS`, or `METADATA` with what is usual for it.

    Metadata: `memory`, `sqlite`, `vast`, `guest` (the stores of `tests/plugins`). Objects:
    `memory`, `filesystem`, `s3`, `guest`.
    """
    metadata, _, objects = name.partition("-")
    usual = {"sqlite": "filesystem", "vast": "filesystem"}
    objects = objects or usual.get(metadata, metadata)
    main, second = _OBJECTS[objects](folder, servers)
    return Stores(_METADATA[metadata](folder, servers), main, second)


def make_tables(settings: Settings) -> None:
    """Make the database of a gateway that never started, if it is SQLite, with its tables.

    The gateway would make them one by one, which took a third of many a test.
    """
    if settings.metadata.plugin == "sqlite":
        path = Path(settings.metadata.options["path"])
        path.touch(0o600, exist_ok=False)
        path.write_bytes(_database())


def toml(tables: Mapping[str, Table], lists: Mapping[str, Sequence[Table]] = {}) -> str:
    """Return a config of these sections, and of those of which there may be several."""
    text = "".join(f"[{name}]\n{_members(table)}\n" for name, table in tables.items())
    for name, list_ in lists.items():
        text += "".join(f"[[{name}]]\n{_members(table)}\n" for table in list_)
    return text


def past_the_gateway(settings: Settings) -> list[Http]:
    """Return ways to the object stores that clients reach without the gateway."""
    endpoints = {one.options["endpoint"] for one in settings.objects if one.plugin == "s3"}
    return [Http(endpoint) for endpoint in endpoints]


def digests(objects: Table) -> set[str]:
    """Return the SHA-256 of all that is in an object store, `filesystem` or `s3`.

    Whatever the gateway knows of it, and while some of it is being deleted.
    """
    return _in_bucket(objects) if objects["plugin"] == "s3" else _in_folder(Path(objects["path"]))


def _sqlite(folder: Path, servers: Servers | None) -> Table:
    return {"plugin": "sqlite", "path": str(folder / "tams.db"), "durability": "process"}


@functools.cache
def _database() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "tams.db")
        with closing(SqliteMetadata(path, "process")) as store:
            for kind in kinds.ALL:
                store.find(Query(kind))
        return path.read_bytes()


def _vast(folder: Path, servers: Servers | None) -> Table:
    assert servers is not None, "a VAST Database is needed"
    schema = f"tests_{uuid.uuid4().hex[:12]}"
    return {"plugin": "vast", **servers.vast(), "schema": schema, "shards": 8}


def _filesystem(folder: Path, servers: Servers | None) -> list[Table]:
    options = {"plugin": "filesystem", "durability": "process"}
    return [{**options, "path": str(folder / name)} for name in ("main", "second")]


def _guests(folder: Path, servers: Servers | None) -> list[Table]:
    paths = [folder / f"{name}.db" for name in ("main", "second")]
    return [{"plugin": "guest-objects", "path": str(path)} for path in paths]


def _s3(folder: Path, servers: Servers | None) -> list[Table]:
    assert servers is not None, "an S3 server is needed"
    options = {
        "plugin": "s3",
        "endpoint": servers.s3(),
        "bucket": BUCKET,
        "access_key": ACCESS,
        "secret_key": SECRET,
        "create_bucket": True,
    }
    place = uuid.uuid4().hex
    return [{**options, "prefix": f"{place}/{name}"} for name in ("main", "second")]


_METADATA: Final[Mapping[str, Callable[[Path, Servers | None], Table]]] = {
    "memory": lambda folder, servers: {"plugin": "memory"},
    "sqlite": _sqlite,
    "vast": _vast,
    "guest": lambda folder, servers: {
        "plugin": "guest-metadata",
        "path": str(folder / "tams.db"),
    },
}

_OBJECTS: Final[Mapping[str, Callable[[Path, Servers | None], list[Table]]]] = {
    "memory": lambda folder, servers: [{"plugin": "memory"}] * 2,
    "filesystem": _filesystem,
    "guest": _guests,
    "s3": _s3,
}


def _in_folder(folder: Path) -> set[str]:
    found = set()
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                found.add(hashlib.sha256(Path(parent, name).read_bytes()).hexdigest())
    return found


def _in_bucket(options: Table) -> set[str]:
    from tams_gateway_s3.settings import Settings as Options
    from tams_gateway_s3.store import S3Objects

    keys = {name: Secret(options[name]) for name in ("access_key", "secret_key")}
    chosen = Options(options["bucket"], endpoint=options["endpoint"], **keys)
    found = set()
    with closing(S3Objects(chosen, 3600, lambda: 0.0)) as store:
        client = store.connection.client
        pages = client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=options["bucket"], Prefix=options["prefix"]):
            for one in page.get("Contents", []):
                with suppress(client.exceptions.NoSuchKey):
                    answer = client.get_object(Bucket=options["bucket"], Key=one["Key"])
                    found.add(hashlib.sha256(answer["Body"].read()).hexdigest())
    return found


def _members(table: Table) -> str:
    return "".join(f"{json.dumps(name)} = {_value(value)}\n" for name, value in table.items())


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        inner = ", ".join(f"{json.dumps(name)} = {_value(one)}" for name, one in value.items())
        return f"{{{inner}}}"
    return json.dumps(value)
