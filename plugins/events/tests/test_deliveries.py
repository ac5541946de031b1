"""`/webhooks/{id}/deliveries`: who sees which attempts, and what can be sent again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tams_gateway.storage.changes import Forget
from tams_gateway.testing.waiting import eventually

from .conftest import Open, Site
from .receiver import Answer, Receiver, numbers

GUEST = Path(__file__).parents[3] / "tests" / "plugins" / "guest_auth"
PEOPLE = """
[[auth]]
plugin = "guest-auth"
keys = { alice = "a", bob = "b" }
scopes = ["tams-api/read", "tams-api/write"]
[[auth]]
plugin = "guest-auth"
header = "x-reader"
keys = { alice = "r" }
scopes = ["tams-api/read"]
[[auth]]
plugin = "guest-auth"
header = "x-admin"
keys = { root = "r" }
"""
ALICE, BOB, READER, ADMIN = (
    {"x-api-key": "a"},
    {"x-api-key": "b"},
    {"x-reader": "r"},
    {"x-admin": "r"},
)


def redeliver(site: Site, webhook_id: str, number: str) -> str:
    return f"/webhooks/{webhook_id}/deliveries/{number}/redeliver"


def test_the_last_hundred_attempts_are_listed(open_site: Open) -> None:
    site = open_site("asgi", "sqlite")
    with Receiver() as receiver:
        webhook_id = site.register(receiver.url)
        assert site.deliveries(webhook_id) == []
        site.add(site.ingest.flow(), 0, 120)
        assert eventually(lambda: len(receiver.accepted) == 120)
        assert eventually(lambda: (site.deliveries(webhook_id) or [{"id": ""}])[0]["id"] == "120")

    listed = site.deliveries(webhook_id)
    assert [one["id"] for one in listed] == [str(number) for number in range(120, 20, -1)]
    assert listed[0].keys() == {
        *("id", "message_id", "event_type", "time", "attempt"),
        *("milliseconds", "delivered", "status"),
    }
    assert listed[0]["event_type"] == "flows/segments_added"


def test_an_event_is_sent_again_on_demand(site: Site) -> None:
    """Whatever became of it, and whatever the webhook's status."""
    with Receiver() as receiver:
        webhook_id = site.register(receiver.url, api_key_name="X-Key", api_key_value="hush")
        site.add(site.ingest.flow(), 0, 3)
        assert eventually(lambda: len(site.deliveries(webhook_id)) == 3)
        site.put(webhook_id, status="disabled")

        answer = site.client.post(redeliver(site, webhook_id, "2"))
        assert answer.status == 200
        assert answer.json["redelivery"]["delivered"] is True
        assert site.deliveries(webhook_id)[1] == answer.json
        assert receiver.met[3].body == receiver.met[1].body
        assert receiver.met[3].headers["x-key"] == "hush"

        receiver.behaviour = lambda _: Answer(500)
        again = site.client.post(redeliver(site, webhook_id, "2")).json
        assert again["redelivery"]["delivered"] is False
        assert again["redelivery"]["status"] == 500
        for number in ("4", "0", "-1", "x", "102"):
            assert site.client.post(redeliver(site, webhook_id, number)).status == 404
    assert numbers(receiver.met) == [0, 1, 2, 1, 1]


def test_what_is_forgotten_is_not_sent_again(site: Site) -> None:
    flow_id = site.ingest.flow()
    with Receiver() as receiver:
        webhook_id = site.register(receiver.url)
        site.add(flow_id, 0, 3)
        assert eventually(lambda: len(site.deliveries(webhook_id)) == 3)
        site.metadata.apply([Forget(site.metadata.tip())])
        site.add(flow_id, 3, 5)
        assert eventually(lambda: len(receiver.accepted) == 8)

        assert site.client.post(redeliver(site, webhook_id, "2")).status == 404
    assert numbers(receiver.met) == list(range(8))


@pytest.fixture
def guarded(open_site: Open, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.syspath_prepend(GUEST)
    return open_site(more=PEOPLE)  # type: ignore[return-value]


def test_attempts_are_for_the_owner_and_for_admins(guarded: Site) -> None:
    """R-WHK-11: to others the webhook is not there."""
    client = guarded.client
    with Receiver() as receiver:
        webhook_id = guarded.register(receiver.url, ALICE, events=["flows/created"])
        path = f"/webhooks/{webhook_id}/deliveries"
        again = redeliver(guarded, webhook_id, "1")
        flow_id = "10000000-0000-4000-8000-000000000001"
        flow = {
            "id": flow_id,
            "source_id": flow_id,
            "format": "urn:x-nmos:format:data",
            "codec": "application/json",
            "essence_parameters": {"data_type": "urn:x-tams:data-type:any"},
        }
        assert client.put(f"/flows/{flow_id}", json=flow, headers=ALICE).status == 201
        assert eventually(lambda: client.get(path, headers=ALICE).json)

        for headers, read, write in ((ALICE, 200, 200), (ADMIN, 200, 200), (BOB, 404, 404)):
            assert client.get(path, headers=headers).status == read
            assert client.post(again, headers=headers).status == write
        assert client.get(path, headers=READER).status == 200
        assert client.post(again, headers=READER).status == 403
        assert client.get(path).status == 401
    for unknown in ("x", "20000000-0000-4000-8000-000000000001"):
        assert client.get(f"/webhooks/{unknown}/deliveries", headers=ADMIN).status == 404
