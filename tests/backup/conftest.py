"""A gateway in process, the command line beside it, and all that a client sees of it."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tams_gateway.cli.main import main
from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest, seconds
from tests.deployments import Deployment, config, in_process

HEADERS = {"content-type": "video/mp2t"}


class Site:
    """A config of its own folder, a gateway on it, and the commands of an operator."""

    def __init__(self, folder: Path, closing: ExitStack) -> None:
        folder.mkdir()
        self.folder = folder
        self.config = folder / "gateway.toml"
        settings = config("wsgi-sqlite", folder, {"objects.main": {}, "objects.second": {}})
        self.deployment: Deployment = closing.enter_context(in_process("wsgi", settings, []))
        self.client: Client = self.deployment.client
        self.ingest = Ingest(self.client)

    def run(self, *command: str) -> Result:
        done = CliRunner().invoke(main, [*command, "--config", str(self.config)])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    def upload(self, flow_id: str, content: bytes, at: int) -> str:
        """Upload an object and register it; return its id."""
        (made,) = self.ingest.allocate(flow_id)
        url = made["put_url"]["url"]
        assert self.client.put(url, body=content, headers=HEADERS).status == 200
        self.ingest.register(flow_id, made["object_id"], seconds(at, at + 1))
        return str(made["object_id"])


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Callable[[str], Site]]:
    """Makes sites of a name."""
    with ExitStack() as closing:
        yield lambda name: Site(tmp_path / name, closing)


def shown(client: Client) -> dict[str, Any]:
    """Return all that a client can see, bytes by their checksum, URLs without signatures."""
    found: dict[str, Any] = {"service": client.get("/service").json}
    for listing in ("/sources", "/flows", "/flow-delete-requests"):
        found[listing] = client.listed(listing, query="limit=1000")
    for flow in found["/flows"]:
        path = f"/flows/{flow['id']}/segments"
        segments = client.listed(path, query="limit=1000")
        for segment in segments:
            own = [one for one in segment["get_urls"] if one["url"].startswith(client.base)]
            media = [client.get(one["url"]) for one in own]
            assert {200} >= {one.status for one in media}
            segment["get_urls"] = sorted(one["label"] for one in segment["get_urls"])
            segment["bytes"] = sorted({hashlib.sha256(one.body).hexdigest() for one in media})
        found[path] = segments
    return found
