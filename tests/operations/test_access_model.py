"""Who may do what, against a model that reads the rules of `auth_classes` in its own way."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tams_gateway.testing import samples
from tams_gateway.testing.client import Client
from tests.operations.access import GROUPS, Principals, guarded

Classes = frozenset[str]

FLOWS = [f"0000000{number}-0000-4000-8000-00000000000f" for number in range(6)]
SOURCES = [f"0000000{number}-0000-4000-8000-00000000000a" for number in range(4)]
"""The last three flows are of the last source. Of the others the first three collect, each alone of
its source, so that no order can contradict another."""

OBJECTS = ["first", "second"]

NAMES = st.sampled_from(["news", "sport", "news", "sport", "both", "clerk", "nobody", "root"])
CLASSES = st.sampled_from(
    [
        frozenset(classes.split())
        for classes in (
            "news",
            "sport",
            "news sport_ro",
            "sport news_ro",
            "news sport",
            "desk",
            "desk sport",
            "news art",
            "art",
            "",
        )
    ]
)
FLOW = st.integers(0, len(FLOWS) - 1)

GIVEN = {"news": "rwd", "sport": "rwd", "art": "rwd", "news_ro": "r", "sport_ro": "r", "desk": "rw"}
"""What each class gives to somebody."""


def gives(name: str, one: str) -> str:
    """Return what a class gives to a principal."""
    if one == "desk":
        return {"news": "rw", "both": "rw", "clerk": "w"}.get(name, "")
    return GIVEN[one] if one.removesuffix("_ro") in GROUPS[name] else ""


def rights(name: str, classes: Classes) -> set[str]:
    """Return what a principal may do with what has these classes."""
    if name == "root":
        return set("rwd")
    return {right for one in classes for right in gives(name, one)}


def may_change(name: str, before: Classes | None, after: Classes) -> bool:
    if name == "root" or before == after:
        return True
    changed = after ^ (before or frozenset())
    if "w" not in rights(name, after) or any(gives(name, one) != GIVEN[one] for one in changed):
        return False
    return before is None or rights(name, after) <= rights(name, before)


class Model(RuleBasedStateMachine):
    """Flows, sources and objects in a gateway, and the same in dicts, by number."""

    kind = "wsgi-memory"
    patch: pytest.MonkeyPatch

    def __init__(self) -> None:
        super().__init__()
        self.closing = ExitStack()
        folder = Path(self.closing.enter_context(tempfile.TemporaryDirectory()))
        self.principals: Principals = self.closing.enter_context(
            guarded(self.kind, folder, self.patch)
        )
        self.clients = {name: self.principals[name] for name in (*GROUPS, "root")}
        self.flows: dict[int, Classes] = {}
        self.sources: dict[int, Classes] = {}
        self.members: dict[int, list[int]] = {}
        self.segments: dict[int, list[str]] = {}
        self.slot = 0

    def teardown(self) -> None:
        self.closing.close()

    def source_of(self, flow: int) -> int:
        return min(flow, len(SOURCES) - 1)

    def refused(self, name: str, classes: Classes | None, right: str) -> int | None:
        """Return the status of a refusal, None where there is none."""
        if classes is None or not rights(name, classes):
            return 404
        return None if right in rights(name, classes) else 403

    def readable(self, name: str, flow: int) -> bool:
        return flow in self.flows and "r" in rights(name, self.flows[flow])

    @initialize(classes=st.lists(CLASSES, min_size=4, max_size=4), data=st.data())
    def begin(self, classes: list[Classes], data: st.DataObject) -> None:
        """Begin with some flows, of which the first collects others."""
        for flow, one in enumerate(classes):
            self.put(name="root", flow=flow, classes=one)
        self.collect(name="root", flow=0, members=[1, 3, 2])
        for flow in (1, 2):
            self.post(name="root", flow=flow, at=0)

    @rule(name=NAMES, flow=FLOW, classes=CLASSES)
    def put(self, name: str, flow: int, classes: Classes) -> None:
        """Make or replace a flow, without a collection."""
        source = self.source_of(flow)
        document = samples.flow(
            id=FLOWS[flow], source_id=SOURCES[source], tags={"auth_classes": sorted(classes)}
        )
        answer = self.clients[name].put(f"/flows/{FLOWS[flow]}", json=document)
        assert answer.status == self.put_status(name, flow, source, classes)
        if answer.status > 204:
            return
        if flow not in self.flows:
            self.members[flow], self.segments[flow] = [], []
            self.sources.setdefault(source, classes)
        self.flows[flow] = classes
        self.keep_hidden(name, flow, [])

    def put_status(self, name: str, flow: int, source: int, classes: Classes) -> int:
        before = self.flows.get(flow)
        if before is None or not rights(name, before):
            if not may_change(name, None, classes):
                return 403
            if before is not None:
                return 404
            refused = self.refused(name, self.sources[source], "w") if source in self.sources else 0
            return refused or 201
        if "w" not in rights(name, before):
            return 403
        return 204 if may_change(name, before, classes) else 403

    def keep_hidden(self, name: str, flow: int, sent: list[int]) -> None:
        hidden = [one for one in self.members[flow] if not self.readable(name, one)]
        self.members[flow] = [*sent, *hidden]
        self.check_document("root", flow, self.clients["root"].get(f"/flows/{FLOWS[flow]}").json)

    @rule(
        name=NAMES, flow=st.integers(0, 2), members=st.permutations([1, 2, 3, 4, 5]), data=st.data()
    )
    def put_collection(self, name: str, flow: int, members: list[int], data: st.DataObject) -> None:
        size = data.draw(st.integers(0, 3))
        self.collect(name, flow, [one for one in members if one > flow][:size])

    def collect(self, name: str, flow: int, members: list[int]) -> None:
        body = [{"id": FLOWS[one]} for one in members]
        answer = self.clients[name].put(f"/flows/{FLOWS[flow]}/flow_collection", json=body)
        expected = self.refused(name, self.flows.get(flow), "w") or (
            204 if all(self.readable(name, one) for one in members) else 400
        )
        assert answer.status == expected
        if answer.status == 204:
            self.keep_hidden(name, flow, members)

    @rule(name=NAMES, flow=FLOW, classes=CLASSES, of_source=st.booleans(), unset=st.booleans())
    def tag(self, name: str, flow: int, classes: Classes, of_source: bool, unset: bool) -> None:
        """Change the classes of a flow or of its source by themselves."""
        number = self.source_of(flow) if of_source else flow
        known = self.sources if of_source else self.flows
        path = f"/sources/{SOURCES[number]}" if of_source else f"/flows/{FLOWS[number]}"
        path += "/tags/auth_classes"
        client, before = self.clients[name], known.get(number)
        if unset:
            classes = frozenset()
            answer = client.delete(path)
        else:
            answer = client.put(path, json=sorted(classes))
        expected = self.refused(name, before, "w")
        if expected is None:
            assert before is not None
            expected = 204 if may_change(name, before, classes) else 403
        if unset and expected == 204:
            # The tag may be gone already.
            assert answer.status in (204, 404)
        elif unset and before == frozenset():
            assert answer.status in (expected, 404)
        else:
            assert answer.status == expected
        if answer.status == 204:
            known[number] = classes

    @rule(name=NAMES, flow=FLOW, at=st.integers(0, len(OBJECTS) - 1))
    def post(self, name: str, flow: int, at: int) -> None:
        """Add a segment of an object, which may be that of others."""
        object_id = OBJECTS[at]
        self.slot += 1
        segment = samples.segment(
            f"[{self.slot}:0_{self.slot + 1}:0)",
            object_id,
            ts_offset=f"{self.slot}:0",
            get_urls=[{"label": "elsewhere", "url": f"https://example.com/{object_id}"}],
        )
        answer = self.clients[name].post(f"/flows/{FLOWS[flow]}/segments", json=segment)
        users = self.users(object_id)
        known = not users or flow in users or any(self.readable(name, one) for one in users)
        assert answer.status == (
            self.refused(name, self.flows.get(flow), "w") or (201 if known else 400)
        )
        if answer.status == 201:
            self.segments[flow].append(object_id)

    def users(self, object_id: str) -> list[int]:
        return [flow for flow, objects in self.segments.items() if object_id in objects]

    @rule(name=NAMES, flow=FLOW)
    def delete(self, name: str, flow: int) -> None:
        answer = self.clients[name].delete(f"/flows/{FLOWS[flow]}")
        assert answer.status == (self.refused(name, self.flows.get(flow), "d") or 204)
        if answer.status != 204:
            return
        source = self.source_of(flow)
        for kept in (self.flows, self.members, self.segments):
            del kept[flow]  # type: ignore[attr-defined]
        if not any(self.source_of(one) == source for one in self.flows):
            del self.sources[source]
        for members in self.members.values():
            members[:] = [one for one in members if one != flow]

    @rule(name=NAMES, flow=FLOW)
    def look(self, name: str, flow: int) -> None:
        """Read a flow, its source and its segments."""
        client, classes = self.clients[name], self.flows.get(flow)
        answer = client.get(f"/flows/{FLOWS[flow]}")
        refused = self.refused(name, classes, "r")
        assert answer.status == (refused or 200)
        if refused is None:
            self.check_document(name, flow, answer.json)
        source = self.source_of(flow)
        answer = client.get(f"/sources/{SOURCES[source]}")
        assert answer.status == (self.refused(name, self.sources.get(source), "r") or 200)
        answer = client.get(f"/flows/{FLOWS[flow]}/segments")
        if refused is None:
            assert [one["object_id"] for one in answer.json] == self.segments[flow]
        else:
            assert answer.status == (200 if refused == 404 else 403)
            assert refused != 404 or answer.json == []

    def check_document(self, name: str, flow: int, document: dict[str, Any]) -> None:
        shown = [one["id"] for one in document.get("flow_collection", [])]
        seen = [FLOWS[one] for one in self.members[flow] if self.readable(name, one)]
        # Where a hidden member stands among others is another test's matter.
        assert sorted(shown) == sorted(seen)
        collectors = [FLOWS[one] for one, members in self.members.items() if flow in members]
        seen = [one for one in collectors if self.readable(name, FLOWS.index(one))]
        assert sorted(document.get("collected_by", [])) == sorted(seen)

    @rule(name=NAMES, at=st.integers(0, len(OBJECTS) - 1))
    def look_at_object(self, name: str, at: int) -> None:
        users = self.users(OBJECTS[at])
        answer = self.clients[name].get(f"/objects/{OBJECTS[at]}")
        seen = [FLOWS[one] for one in users if self.readable(name, one)]
        known = any(rights(name, self.flows[one]) for one in users)
        assert answer.status == (200 if seen else 403 if known else 404)
        if seen:
            assert sorted(answer.json["referenced_by_flows"]) == sorted(seen)
            assert answer.json.get("first_referenced_by_flow", seen[0]) in seen or name == "root"
        answer = self.clients[name].delete(f"/objects/{OBJECTS[at]}/instances?label=elsewhere")
        every = all("w" in rights(name, self.flows[one]) for one in users)
        # 400: it is the last instance.
        assert answer.status == (404 if not known else 400 if every else 403)

    @rule(name=NAMES, limit=st.integers(1, 4), reverse=st.booleans(), collector=st.integers(-1, 3))
    def look_at_listings(self, name: str, limit: int, reverse: bool, collector: int) -> None:
        client = self.clients[name]
        query = {"limit": limit, "reverse_order": reverse}
        readable = [one for one in self.flows if self.readable(name, one)]
        assert same(client, "/flows", query, [FLOWS[one] for one in readable], limit)
        sources = [SOURCES[one] for one, held in self.sources.items() if "r" in rights(name, held)]
        assert same(client, "/sources", query, sources, limit)
        told = "" if collector < 0 else FLOWS[collector]
        collected = {one: {by for by in readable if one in self.members[by]} for one in readable}
        expected = [
            FLOWS[one]
            for one, by in collected.items()
            if (collector in by if collector >= 0 else not by)
        ]
        assert same(client, "/flows", {**query, "collected_by_ids": told}, expected, limit)

    @invariant()
    def every_source_has_a_flow(self) -> None:
        assert set(self.sources) == {self.source_of(flow) for flow in self.flows}


def same(client: Client, path: str, query: dict[str, Any], expected: list[str], limit: int) -> bool:
    """Whether the pages have these ids, and are full but for the last."""
    pages = [[one["id"] for one in page.json] for page in client.pages(path, query=query)]
    assert all(len(page) == limit for page in pages[:-1])
    assert len(pages) == max(-(-len(expected) // limit), 1)
    return sorted(id_ for page in pages for id_ in page) == sorted(expected)


@pytest.mark.parametrize(("kind", "examples"), [("wsgi-memory", 80), ("asgi-sqlite", 8)])
def test_every_principal_reads_and_changes_what_the_model_says(
    kind: str, examples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-AUTH-06, R-AUTH-07, R-AUTH-08, R-AUTH-09: statuses, documents, listings in full pages."""

    class Machine(Model):
        pass

    Machine.kind, Machine.patch = kind, monkeypatch
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples, stateful_step_count=25, deadline=None, database=None
        ),
    )
