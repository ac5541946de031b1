"""Which events a receiver gets, against the rules as the specification words them."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from tams_gateway.events.event import Event
from tams_gateway.events.subscription import Subscription, wants

TYPES = (
    *("flows/created", "flows/updated", "flows/deleted"),
    *("flows/segments_added", "flows/segments_deleted"),
    *("sources/created", "sources/updated", "sources/deleted"),
)
IDS = ("a", "b", "c")

some = st.lists(st.sampled_from(IDS), unique=True, max_size=3)
filters = st.fixed_dictionaries(
    {},
    optional={
        "flow_ids": some,
        "source_ids": some,
        "flow_collected_by_ids": some,
        "source_collected_by_ids": some,
    },
)


@st.composite
def happenings(draw: st.DrawFn) -> Event:
    """Draw an event, with the fields that its type has."""
    type_ = draw(st.sampled_from(TYPES))
    fields: dict[str, str | frozenset[str]] = {
        "source_id": draw(st.sampled_from(IDS)),
        "source_collected_by": frozenset(draw(some)),
    }
    if type_.startswith("flows/"):
        fields["flow_id"] = draw(st.sampled_from(IDS))
        fields["flow_collected_by"] = frozenset(draw(some))
    return Event(type_, 0, b"{}", fields)


def passes(event: Event, name: str, ids: list[str]) -> bool:
    """Say of one filter what the specification says, a sentence for each."""
    fields = event.fields
    about_a_source = event.type in ("sources/created", "sources/updated", "sources/deleted")
    if name == "flow_ids":
        # "Limit Flow and Flow Segment events to Flows in the list."
        return about_a_source or fields["flow_id"] in set(ids)
    if name == "source_ids":
        # "Limit Flow, Flow Segment and Source events to Sources in the list."
        return fields["source_id"] in set(ids)
    if name == "flow_collected_by_ids":
        # "... to a Flow that is collected by ... An empty array: not collected by any."
        return about_a_source or collected(set(fields["flow_collected_by"]), ids)
    return collected(set(fields["source_collected_by"]), ids)


def collected(collectors: set[str], ids: list[str]) -> bool:
    return collectors == set() if ids == [] else any(one in collectors for one in ids)


@given(happenings(), st.lists(st.sampled_from(TYPES), unique=True), filters)
def test_an_event_is_wanted_if_it_is_of_a_type_asked_for_and_passes_every_filter(
    event: Event, events: list[str], asked: Mapping[str, list[str]]
) -> None:
    """R-WHK-13 to -17: an absent filter lets all pass."""
    subscription = Subscription(tuple(events), **{name: tuple(ids) for name, ids in asked.items()})

    expected = event.type in events and all(passes(event, *one) for one in asked.items())

    assert wants(subscription, event) == expected


def test_each_filter_looks_at_its_own_field() -> None:
    """R-WHK-14 to -17: one example each, so that the rules are read here too."""
    event = Event(
        "flows/segments_added",
        0,
        b"{}",
        {
            "flow_id": "flow",
            "source_id": "source",
            "flow_collected_by": frozenset(["whole"]),
            "source_collected_by": frozenset(),
        },
    )

    def asking(**filters: tuple[str, ...]) -> bool:
        return wants(Subscription(("flows/segments_added",), **filters), event)

    assert asking()
    assert asking(flow_ids=("other", "flow"))
    assert not asking(flow_ids=("source",))
    assert asking(source_ids=("source",))
    assert not asking(source_ids=("flow",))
    assert asking(flow_collected_by_ids=("whole",))
    assert not asking(flow_collected_by_ids=())
    assert asking(source_collected_by_ids=())
    assert not asking(source_collected_by_ids=("whole",))
    assert not asking(flow_ids=("flow",), source_ids=("other",))
    assert not wants(Subscription((), flow_ids=UNSET), event)
