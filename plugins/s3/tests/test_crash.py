"""A gateway that is killed while it writes to a bucket."""

import json
from pathlib import Path

from plugins.s3.tests.conftest import options
from plugins.s3.tests.gate import gate
from plugins.s3.tests.test_http import backend, copied, send
from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest, seconds
from tams_gateway.testing.transports import Http
from tams_gateway.testing.waiting import eventually
from tests.servers.process import Serve, serving

MIB = 2**20
LARGE = bytes(range(256)) * (20 * MIB // 256)
"""It goes to the bucket in two parts."""


def config(folder: Path, endpoint: str) -> Path:
    lines = [f"{name} = {json.dumps(value)}" for name, value in options(endpoint).items()]
    path = folder / "tams.toml"
    path.write_text(
        "[objects.main]\nplugin = 'filesystem'\ndefault = true\n[objects.hot]\n" + "\n".join(lines)
    )
    return path


def ingest_to(server: Serve) -> Ingest:
    return Ingest(Client(Http(f"http://127.0.0.1:{server.port}")))


def test_a_copy_goes_on_after_the_gateway_was_killed_in_it(endpoint: str, tmp_path: Path) -> None:
    """R-INS-01: half an upload is never seen, and the next process makes the whole of it."""
    with gate(endpoint) as door:
        chosen = ("--config", str(config(tmp_path, door.endpoint)), "--workers", "2")
        with serving(tmp_path, *chosen) as server:
            ingest = ingest_to(server)
            client = ingest.client
            flow_id = ingest.flow()
            [made] = ingest.allocate(flow_id, limit=1, storage_id=backend(client, "main"))
            header = {"Content-Type": made["put_url"]["content-type"]}
            assert client.put(made["put_url"]["url"], body=LARGE, headers=header).status == 200
            object_id = made["object_id"]
            ingest.register(flow_id, object_id, seconds(0, 1))
            door.hold_after = 12 * MIB
            wanted = {"storage_id": backend(client, "hot")}
            assert client.post(f"/objects/{object_id}/instances", json=wanted).status == 201
            assert door.holding.wait(20)
            server.kill()
            client.close()
        door.hold_after = None
        with serving(tmp_path, *chosen) as server:
            client = ingest_to(server).client
            url = eventually(lambda: copied(client, object_id, "hot"), 30)
            assert send("GET", str(url))[2] == LARGE
            client.close()
