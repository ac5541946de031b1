"""Whatever the body of a webhook is, nothing breaks, and what is refused changes nothing."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tams_gateway.storage.query import Query
from tams_gateway.storage.webhooks import WEBHOOK
from tams_gateway.testing.samples import new_id
from tests.deployments import Deployment
from tests.operations.hooks import EVENTS, PATH, URL, Hooks
from tests.spec.traffic import FUZZ, TEXTS, VALUES, changed, places

BODY = {
    "url": URL,
    "events": EVENTS,
    "status": "created",
    "api_key_name": "X-Key",
    "api_key_value": "secret",
    "flow_ids": [new_id(), new_id()],
    "source_ids": [new_id()],
    "flow_collected_by_ids": [],
    "source_collected_by_ids": [new_id()],
    "accept_get_urls": ["main"],
    "accept_storage_ids": [new_id()],
    "presigned": True,
    "verbose_storage": True,
    "include_object_timerange": True,
    "tags": {"a": "b", "c": ["d", "e"]},
}


@pytest.mark.deployments("wsgi-memory", "asgi-memory")
def test_no_body_of_a_webhook_breaks_anything(deployment: Deployment) -> None:
    """R-WHK-03, R-WHK-09, R-GEN-08: 201 or 400; the document judges what is shown."""
    hooks = Hooks(deployment)
    made = hooks.made()
    whole = {**BODY, "id": made["id"]}
    statuses = set()

    @settings(FUZZ, max_examples=150)
    @given(
        st.sampled_from(list(places(whole))),
        VALUES | TEXTS,
        st.sampled_from(["replace", "remove", "add"]),
    )
    def fuzz(place: tuple[str | int, ...], value: object, how: str) -> None:
        body = json.dumps(changed(whole, place, value, how)).encode()
        for method, path in (("POST", PATH), ("PUT", f"{PATH}/{made['id']}")):
            before = hooks.metadata.find(Query(WEBHOOK, limit=1000)).items
            answer = hooks.client.request(method, path, body=body)
            assert answer.status in (201, 400), (method, body, answer.body)
            if answer.status == 400:
                assert hooks.metadata.find(Query(WEBHOOK, limit=1000)).items == before
            statuses.add((method, answer.status))

    fuzz()

    assert len(statuses) == 4
    listed = hooks.client.listed(PATH)
    assert [(one["url"], one["id"]) for one in listed] == sorted(
        (one["url"], one["id"]) for one in listed
    )
