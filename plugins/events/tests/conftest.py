"""A gateway with the sink `webhook`, on which a test registers receivers of its own."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tams_gateway.settings import load
from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest
from tams_gateway.testing.samples import segment
from tests.deployments import Deployment, in_process

QUICK = {"retry_first": 0.05, "retry_longest": 0.2, "timeout": 1}
"""Options with which failures cost a test little time."""


def config(folder: Path, store: str, options: Mapping[str, object], more: str = "") -> Path:
    """Write a config with the sink, whose receivers may be on this machine."""
    metadata = objects = 'plugin = "memory"'
    if store == "sqlite":
        metadata = f'plugin = "sqlite"\npath = "{folder}/tams.db"\ndurability = "process"'
        objects = f'plugin = "filesystem"\npath = "{folder}/objects"'
    chosen = {"allow_networks": ["127.0.0.0/8"], **QUICK, **options}
    lines = "\n".join(f"{name} = {json.dumps(value)}" for name, value in chosen.items())
    path = folder / "gateway.toml"
    path.write_text(
        f"[metadata]\n{metadata}\n[objects.main]\n{objects}\n"
        f'[[events]]\nplugin = "webhook"\n{lines}\n{more}'
    )
    return path


class Site:
    """A gateway at work; `client` and `ingest` call it."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.client: Client = deployment.client
        self.ingest = Ingest(deployment.client)
        self.metadata = deployment.gateway.metadata

    def register(self, url: str, headers: Mapping[str, str] = {}, **members: object) -> str:
        """Register a webhook for added segments, unless `events` says otherwise."""
        body = {"url": url, "events": ["flows/segments_added"], **members}
        answer = self.client.post("/service/webhooks", json=body, headers=headers)
        assert answer.status == 201, answer.body
        return str(answer.json["id"])

    def webhook(self, webhook_id: str) -> Any:
        """Return the document of a webhook."""
        return self.client.get(f"/service/webhooks/{webhook_id}").json

    def put(self, webhook_id: str, **members: object) -> None:
        """Change a webhook; without a `status` it is enabled."""
        body = {**self.webhook(webhook_id), "status": "created", **members}
        body.pop("error", None)
        answer = self.client.put(f"/service/webhooks/{webhook_id}", json=body)
        assert answer.status == 201, answer.body

    def add(self, flow_id: str, first: int, count: int = 1) -> None:
        """Add segments of a second, each by a request of its own."""
        for at in range(first, first + count):
            self.ingest.add_many(flow_id, [segment(f"[{at}:0_{at + 1}:0)")])

    def deliveries(self, webhook_id: str) -> Any:
        """Return the last attempts, the newest first."""
        return self.client.get(f"/webhooks/{webhook_id}/deliveries").json


Open = Callable[..., Site]


@pytest.fixture
def open_site(tmp_path: Path) -> Iterator[Open]:
    """Opens gateways on the data of this test, with options of the sink."""
    with ExitStack() as closing:

        def open_one(
            kind: str = "wsgi", store: str = "memory", more: str = "", **options: object
        ) -> Site:
            settings = load(config(tmp_path, store, options, more), {})
            return Site(closing.enter_context(in_process(kind, settings, [])))

        yield open_one


@pytest.fixture(params=[("wsgi", "memory"), ("asgi", "sqlite")], ids=["wsgi-memory", "asgi-sqlite"])
def site(request: pytest.FixtureRequest, open_site: Open) -> Site:
    """A gateway of either app type."""
    return open_site(*request.param)
