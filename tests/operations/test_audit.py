"""The audit trail (beside the spec): one entry for each write, in the same commit."""

from typing import Any

import pytest

from tams_gateway.auth.journal import AuthEntry
from tams_gateway.jobs import journals
from tams_gateway.jobs.lease import Lease
from tams_gateway.operations import auth_log
from tams_gateway.storage.capabilities import SupportsJoin
from tams_gateway.storage.errors import StoreError
from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest, seconds
from tams_gateway.testing.samples import UNKNOWN
from tests.deployments import Clock, Deployment

audited = pytest.mark.config(service={"audit": True})


def trail(client: Client, **query: str) -> list[dict[str, Any]]:
    """Return the entries, oldest first."""
    found: list[dict[str, Any]] = client.get("/audit", query=query).json
    return found[::-1]


@audited
def test_each_write_has_an_entry_with_what_changed(client: Client, ingest: Ingest) -> None:
    flow_id = ingest.flow(label="first")
    ingest.add(flow_id, seconds(0, 1))
    headers = {"x-request-id": "abc"}
    client.put(f"/flows/{flow_id}/label", json="second", headers=headers)
    client.delete(f"/flows/{flow_id}")

    made, added, labelled, deleted = trail(client)

    assert made["operation"] == "PUT /flows/{flowId}"
    assert made["resource"] == f"/flows/{flow_id}"
    assert {"label", "source_id", "codec"} <= set(made["changed"])
    assert added["changed"] == ["segments"]
    assert labelled["changed"] == ["label"]
    assert (labelled["request_id"], labelled["who"]) == ("abc", "anonymous")
    assert deleted["changed"] == ["flow", "source"]
    assert {one["result"] for one in (made, added, labelled, deleted)} == {"done"}


@audited
def test_what_is_refused_has_one_too_and_what_changes_nothing_has_none(
    client: Client, ingest: Ingest
) -> None:
    flow_id = ingest.flow(label="same")
    client.put(f"/flows/{flow_id}/label", json=1)
    client.delete(f"/flows/{UNKNOWN}")
    client.put(f"/flows/{flow_id}/label", json="same")
    client.get(f"/flows/{flow_id}")

    entries = trail(client)

    assert [one["result"] for one in entries] == ["done", "bad_request", "not_found"]
    assert entries[1]["changed"] == []


@audited
def test_entries_are_found_by_what_they_are_about(client: Client, ingest: Ingest) -> None:
    first, second = ingest.flow(), ingest.flow()

    assert len(trail(client, who="anonymous")) == 2
    assert len(trail(client, who="nobody")) == 0
    (entry,) = trail(client, resource=f"/flows/{second}")
    (same,) = trail(client, request_id=entry["request_id"])
    assert same == entry
    assert entry["resource"] != f"/flows/{first}"


@audited
@pytest.mark.deployments("wsgi-memory", "wsgi-sqlite")
def test_listings_are_as_fast_as_without(deployment: Deployment) -> None:
    """What the store can do beyond its contract, requests find in what stands before it, too."""
    audit = deployment.gateway.audit
    assert audit is not None
    plain = isinstance(audit.store._metadata, SupportsJoin)
    assert isinstance(deployment.gateway.metadata, SupportsJoin) is plain


def test_without_providers_there_is_no_trail(client: Client, ingest: Ingest) -> None:
    ingest.flow()
    assert trail(client) == []


@audited
@pytest.mark.deployments("wsgi-memory", "wsgi-sqlite")
def test_a_write_that_is_not_committed_leaves_no_entry(
    client: Client, ingest: Ingest, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow_id = ingest.flow()
    audit = deployment.gateway.audit
    assert audit is not None

    def fail(_changes: object) -> None:
        raise StoreError("the disk is away")

    with monkeypatch.context() as broken:
        broken.setattr(audit.store, "_metadata", _Failing(audit.store._metadata, fail))
        assert client.put(f"/flows/{flow_id}/label", json="lost").status == 503

    assert len(trail(client)) == 1


class _Failing:
    def __init__(self, store: Any, fail: Any) -> None:
        self.get = store.get
        self.apply = fail


@audited
def test_entries_are_kept_for_a_set_time(
    client: Client, ingest: Ingest, deployment: Deployment, clock: Clock
) -> None:
    gateway = deployment.gateway
    ingest.flow()
    auth_log.note(gateway.metadata, gateway.now_ns, AuthEntry("login", "alice", "10.0.0.1", "r"))
    (entry,) = client.get("/auth-log", query={"who": "alice"}).json
    assert (entry["action"], entry["peer"], entry["request_id"]) == ("login", "10.0.0.1", "r")
    lease = Lease("test", gateway.metadata, gateway.now_ns)
    assert lease.acquire()
    assert not journals.expire(gateway, lease, None)

    clock.advance(gateway.limits.auth_log_lifetime + 1)
    lease.acquire()
    while journals.expire(gateway, lease, None):
        pass

    assert client.get("/audit").json == client.get("/auth-log").json == []
