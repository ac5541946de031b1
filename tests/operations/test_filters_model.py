"""Listings of flows against a model: plain lists, filtered and sorted in Python."""

import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tams_gateway.testing.client import Client
from tams_gateway.testing.samples import TECHNICAL, flow, segment
from tests.deployments import Deployment

Document = dict[str, Any]
Filter = tuple[str, str, Callable[[Document], bool]]

LABELS = ["a", "b", "B", "", "é", None]
TAGS: list[object] = ["x", "y", ["x", "z"], [], "", None]
STATUSES = ["ingesting", "closed_complete", None]
SPANS: list[list[tuple[int, int]]] = [[], [(0, 5)], [(5, 10)], [(0, 2), (8, 10)], [(3, 4)]]


class Shelf:
    """Flows in a gateway, and the same in a list: `spans` holds their segments in seconds."""

    def __init__(self, deployment: Deployment) -> None:
        self.client = deployment.client
        chance = random.Random(8)
        self.flows: list[Document] = []
        for number in range(40):
            document = flow(
                chance.choice(list(TECHNICAL)),
                label=chance.choice(LABELS),
                status=chance.choice(STATUSES),
                tags={"t": tag} if (tag := chance.choice(TAGS)) is not None else None,
                container="video/mp2t",
            )
            deployment.clock.advance(1)
            assert self.client.put(f"/flows/{document['id']}", json=document).status == 201
            spans = chance.choice(SPANS)
            if spans:
                body = [segment(f"[{start}:0_{end}:0)") for start, end in spans]
                path = f"/flows/{document['id']}/segments"
                assert self.client.post(path, json=body).status == 201
            self.flows.append({**document, "spans": spans, "created": number})


def tagged(document: Document) -> list[str]:
    value = document.get("tags", {}).get("t", [])
    return [value] if isinstance(value, str) else value


def equal(name: str, values: list[str]) -> st.SearchStrategy[Filter]:
    return st.sampled_from(values).map(
        lambda value: (name, value, lambda document: document.get(name) == value)
    )


def by_tag(values: list[str]) -> Filter:
    return "tag.t", ",".join(values), lambda one: not set(tagged(one)).isdisjoint(values)


def by_presence(exists: bool) -> Filter:
    return "tag_exists.t", str(exists).lower(), lambda one: ("tags" in one) == exists


def by_time(bounds: tuple[int, int]) -> Filter:
    start, end = sorted(bounds)

    def meets(document: Document) -> bool:
        if start == end:
            return not document["spans"]
        return any(max(start, first) < min(end, last) for first, last in document["spans"])

    return "timerange", f"[{start}:0_{end}:0)", meets


FILTERS = st.one_of(
    equal("label", ["a", "b", "B", "", "é", "c"]),
    equal("status", ["ingesting", "closed_complete", "awaiting_content"]),
    equal("format", [part["format"] for part in TECHNICAL.values()]),
    equal("codec", ["video/h264", "audio/aac", "video/vp9"]),
    st.lists(st.sampled_from(["x", "y", "z", "", "q"]), min_size=1, max_size=3).map(by_tag),
    st.booleans().map(by_presence),
    st.tuples(st.integers(-1, 12), st.integers(-1, 12)).map(by_time),
)
CHOSEN = st.lists(FILTERS, max_size=3, unique_by=lambda one: one[0])


def ordered(flows: list[Document], key: str, reverse: bool) -> list[str]:
    """Return the ids in order: dates newest first, labels from A; those without a label last."""
    with_key = [one for one in flows if one.get(key) is not None]
    without = sorted(one["id"] for one in flows if one.get(key) is None)
    if key == "label":
        with_key.sort(key=lambda one: (one["label"], one["id"]))
    else:
        with_key.sort(key=lambda one: -one["created"])
    ids = [one["id"] for one in with_key] + without
    return ids[::-1] if reverse else ids


def listed(client: Client, query: dict[str, str]) -> list[str]:
    return [one["id"] for one in client.listed("/flows", query=query)]


@pytest.mark.deployments("wsgi-memory", "wsgi-sqlite")
def test_any_filters_in_any_order_give_what_the_model_gives(deployment: Deployment) -> None:
    """R-PAGE-06, R-PAGE-11 to R-PAGE-18, R-FLW-19, R-FLW-22: all ANDed, in pages of any size."""
    shelf = Shelf(deployment)

    @settings(
        max_examples=120,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(CHOSEN, st.sampled_from(["created", "label"]), st.booleans(), st.integers(1, 50))
    def check(filters: list[Filter], key: str, reverse: bool, limit: int) -> None:
        query = {name: value for name, value, _ in filters}
        query |= {"sort_by": key, "reverse_order": str(reverse).lower(), "limit": str(limit)}
        expected = [one for one in shelf.flows if all(meets(one) for _, _, meets in filters)]

        assert ordered(expected, key, reverse) == listed(deployment.client, query)

    check()


@pytest.mark.deployments("wsgi-memory", "wsgi-sqlite")
def test_pages_of_any_size_hold_the_same_flows(deployment: Deployment) -> None:
    """R-PAGE-03, R-PAGE-06, R-PAGE-12: whatever the order."""
    shelf = Shelf(deployment)
    for key, reverse in itertools.product(("created", "label"), ("true", "false")):
        whole = ordered(shelf.flows, key, reverse == "true")
        for limit in ("1", "7", "39", "40", "41"):
            query = {"sort_by": key, "reverse_order": reverse, "limit": limit}
            assert listed(deployment.client, query) == whole
