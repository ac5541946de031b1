"""API keys: sent in their header, sealed where they are kept, shown to nobody."""

import pytest
from msgspec.structs import replace
from tams_gateway_events.sealing import Seals, Unsealable, configured

from tams_gateway.storage.key_ring import Key
from tams_gateway.storage.webhooks import WEBHOOK, read_webhook
from tams_gateway.testing.waiting import eventually

from .conftest import Open, Site
from .receiver import Receiver

OLD, NEW = "o" * 32, "n" * 40


def test_what_is_sealed_opens_for_its_webhook_alone() -> None:
    seals = Seals(lambda: [Key("a", b"a" * 32)])
    sealed = seals.seal("one", "hush ☂")
    assert sealed != seals.seal("one", "hush ☂")
    assert "hush" not in sealed
    assert seals.open("one", sealed) == "hush ☂"
    for webhook_id, text in (("two", sealed), ("one", sealed[:-4] + "AAA="), ("one", "a:!")):
        with pytest.raises(Unsealable, match="was changed"):
            seals.open(webhook_id, text)


def test_the_first_key_seals_and_all_open() -> None:
    old, new = configured([OLD]), configured([NEW, OLD])
    sealed = Seals(lambda: old).seal("one", "hush")
    assert Seals(lambda: new).open("one", sealed) == "hush"
    assert Seals(lambda: new).seal("one", "hush").startswith(new[0].id)
    with pytest.raises(Unsealable, match="which is gone"):
        Seals(lambda: configured([NEW])).open("one", sealed)
    with pytest.raises(ValueError, match="at least 32 characters"):
        configured(["short"])


def test_a_key_is_sent_and_not_to_be_found_in_the_store(site: Site) -> None:
    """R-WHK-05, R-WHK-22: with the key that the gateway makes for itself."""
    with Receiver() as receiver:
        webhook_id = site.register(receiver.url, api_key_name="X-Key", api_key_value="hush-hush")
        record = site.metadata.get(WEBHOOK, [webhook_id])[webhook_id]
        assert b"hush" not in record.body
        site.add(site.ingest.flow(), 0)
        assert eventually(lambda: receiver.accepted)
    assert receiver.met[0].headers["x-key"] == "hush-hush"


def test_keys_of_the_config_are_exchanged_without_a_pause(open_site: Open) -> None:
    with Receiver() as receiver:
        first = open_site("wsgi", "sqlite", encryption_keys=[OLD])
        webhook_id = first.register(receiver.url, api_key_name="X-Key", api_key_value="hush")
        first.deployment.assembly._runner.stop()
        second = open_site("wsgi", "sqlite", encryption_keys=[NEW, OLD])
        second.add(second.ingest.flow(), 0)
        assert eventually(lambda: receiver.accepted)
        assert receiver.met[0].headers["x-key"] == "hush"
        second.deployment.assembly._runner.stop()

        third = open_site("wsgi", "sqlite", encryption_keys=[NEW])
        third.add(third.ingest.flow(), 1)
        assert eventually(lambda: third.deliveries(webhook_id)[0]["delivered"] is False)
    assert "which is gone" in third.deliveries(webhook_id)[0]["error"]
    assert len(receiver.met) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Key", "hush\r\nX-Evil: 1"),
        ("X-Key", "hush\n\nbody"),
        ("X-Key: 1\r\nX-Evil", "hush"),
        ("X Evil", "hush"),
    ],
)
def test_no_key_adds_a_header_whatever_a_store_holds(
    open_site: Open, name: str, value: str
) -> None:
    """R-WHK-22: registration refuses it; this is the second line."""
    site = open_site()
    with Receiver() as receiver:
        webhook_id = site.register(receiver.url, status="disabled")
        record = site.metadata.get(WEBHOOK, [webhook_id])[webhook_id]
        [sink] = site.deployment.assembly.sinks.values()
        sealed = sink.seal(webhook_id, value)  # type: ignore[attr-defined]
        stored = replace(read_webhook(record), api_key_name=name, sealed=sealed, status="created")
        site.metadata.apply([stored.put(record.version)])
        site.add(site.ingest.flow(), 0)
        assert eventually(lambda: site.deliveries(webhook_id))
    attempt = site.deliveries(webhook_id)[0]
    assert "not fit for a header" in attempt["error"]
    assert "hush" not in attempt["error"]
    assert not receiver.met


def test_a_key_replaces_no_header_of_ours(open_site: Open) -> None:
    site = open_site(signing_secret="whsec_" + "A" * 32)
    with Receiver() as receiver:
        webhook_id = site.register(receiver.url, status="disabled")
        record = site.metadata.get(WEBHOOK, [webhook_id])[webhook_id]
        [sink] = site.deployment.assembly.sinks.values()
        sealed = sink.seal(webhook_id, "forged")  # type: ignore[attr-defined]
        stored = replace(
            read_webhook(record), api_key_name="Webhook-Id", sealed=sealed, status="created"
        )
        site.metadata.apply([stored.put(record.version)])
        site.add(site.ingest.flow(), 0)
        assert eventually(lambda: receiver.accepted)
    assert receiver.met[0].headers["webhook-id"].startswith("msg_")
