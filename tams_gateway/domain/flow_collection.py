"""What flow collections mean for their sources (R-SRC-08, -09; ADR 0012, 0056)."""

from collections.abc import Iterable, Mapping

from msgspec import UNSET

from tams_gateway.domain.errors import Invalid
from tams_gateway.domain.flow import CollectionItem, Flow
from tams_gateway.domain.source import SourceItem


def derive_collection(
    flows: Iterable[Flow], source_of: Mapping[str, str]
) -> tuple[SourceItem, ...]:
    """Return the collection of the source whose flows these are, in their order.

    `source_of` names the source of each member flow. Each source stands once; where several
    flows give it a role, the first counts.
    """
    items: dict[str, SourceItem] = {}
    for flow in flows:
        for item in _items(flow):
            source_id = source_of[item.id]
            known = items.get(source_id)
            if known is None or known.role is UNSET:
                items[source_id] = SourceItem(source_id, item.role)
    return tuple(items.values())


def check_siblings(
    flow: Flow, siblings: Iterable[Flow], source_of: Mapping[str, str], at: str
) -> None:
    """Refuse a collection whose roles or order contradict the source's other flows (R-SRC-09).

    A member that a sibling lacks, or a role that one of the two leaves out, is no contradiction.
    `at` points to the collection in the body.
    """
    mine = {source_of[item.id]: item for item in _items(flow)}
    for sibling in siblings:
        theirs = {source_of[item.id]: item for item in _items(sibling)}
        for source_id in mine.keys() & theirs.keys():
            roles = mine[source_id].role, theirs[source_id].role
            if UNSET not in roles and roles[0] != roles[1]:
                raise Invalid.at(
                    at,
                    f"gives source {source_id} the role {roles[0]!r}, but flow {sibling.id} "
                    f"of the same source gives it {roles[1]!r}",
                )
        if [one for one in mine if one in theirs] != [one for one in theirs if one in mine]:
            raise Invalid.at(
                at,
                f"orders the collected sources unlike flow {sibling.id} of the same source",
            )


def check_members(flow_id: str, items: Iterable[CollectionItem], at: str) -> None:
    """Refuse a flow that collects itself, or one flow twice (R-COL-04).

    `at` points to the collection in the body.
    """
    seen = set()
    for index, item in enumerate(items):
        if item.id == flow_id:
            raise Invalid.at(f"{at}/{index}/id", "is the flow itself")
        if item.id in seen:
            raise Invalid.at(f"{at}/{index}/id", f"{item.id} is listed twice")
        seen.add(item.id)


def _items(flow: Flow) -> tuple[CollectionItem, ...]:
    return () if flow.flow_collection is UNSET else flow.flow_collection
