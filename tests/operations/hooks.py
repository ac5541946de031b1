"""Webhooks over HTTP for tests, with a sink that delivers nothing."""

from typing import Any, Final

from msgspec.structs import force_setattr, replace

from tams_gateway.storage.webhooks import WEBHOOK, Status, StoredWebhook, WebhookError, read_webhook
from tams_gateway.testing.client import Answer
from tests.deployments import Deployment

PATH: Final = "/service/webhooks"
URL: Final = "https://hook.example.com/events"
EVENTS: Final = ["flows/created", "flows/segments_added"]


class Sink:
    """What a sink does while webhooks are registered: it delivers nothing."""

    def objection(self, url: str) -> str | None:
        return "this sink never goes there" if "forbidden" in url else None

    def seal(self, webhook_id: str, value: str) -> str:
        return f"sealed for {webhook_id}: {value[::-1]}"


class Hooks:
    """Webhooks over HTTP, and as they are kept; `woken` counts calls for the sink."""

    def __init__(self, deployment: Deployment) -> None:
        self.client = deployment.client
        self.metadata = deployment.gateway.metadata
        self.woken = 0
        force_setattr(deployment.gateway, "webhooks", Sink())
        force_setattr(deployment.gateway, "wake", self._wake)

    def _wake(self) -> None:
        self.woken += 1

    def post(self, **members: Any) -> Answer:
        body = {"url": URL, "events": EVENTS, **members}
        return self.client.post(PATH, json=body)

    def made(self, **members: Any) -> dict[str, Any]:
        answer = self.post(**members)
        assert answer.status == 201, answer.body
        document: dict[str, Any] = answer.json
        return document

    def put(self, webhook: dict[str, Any], **members: Any) -> Answer:
        return self.client.put(f"{PATH}/{webhook['id']}", json={**webhook, **members})

    def get(self, webhook: dict[str, Any]) -> Any:
        answer = self.client.get(f"{PATH}/{webhook['id']}")
        assert answer.status == 200, answer.body
        return answer.json

    def stored(self, webhook: dict[str, Any]) -> StoredWebhook:
        return read_webhook(self.metadata.get(WEBHOOK, [webhook["id"]])[webhook["id"]])

    def become(self, webhook: dict[str, Any], status: Status, error: WebhookError | None) -> None:
        """Write the status, as a sink does."""
        record = self.metadata.get(WEBHOOK, [webhook["id"]])[webhook["id"]]
        stored = replace(read_webhook(record), status=status)
        if error is not None:
            stored = replace(stored, error=error)
        self.metadata.apply([stored.put(record.version)])
