"""Which flow collects which, from column and table, without what no collection may have."""

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from tams_gateway_vast.legacy.documents import Document
from tams_gateway_vast.legacy.report import Report
from tams_gateway_vast.legacy.tables import Tables
from tams_gateway_vast.legacy.values import Row, fitting, items, nanoseconds, text


class Collections:
    """The flows by the ids that they get here, and what each collects.

    Holds the ids of all flows, and of the members, but nothing else of them.
    """

    def __init__(self, tables: Tables, report: Report) -> None:
        self._tables = tables
        self._report = report
        self.older_ids: dict[str, set[str]] = {}
        """How a flow's id is written in the tables, by the id that it gets."""
        self._members: dict[str, dict[str, Document]] = {}
        self._read_columns()
        self._read_table()
        self._check()

    def of(self, flow_id: str) -> Sequence[Document]:
        """Return the collection of a flow, in its order."""
        return list(self._members.get(flow_id, {}).values())

    def order(self) -> Sequence[str]:
        """Return the ids of all flows, members before what collects them."""
        graph: dict[str, Mapping[str, Document]] = {
            flow_id: self._members.get(flow_id, {}) for flow_id in self.older_ids
        }
        while True:
            try:
                return list(TopologicalSorter(graph).static_order())
            except CycleError as error:
                # The ring goes against the arrows: each is a member of the one behind it.
                member_id, flow_id = error.args[1][:2]
                self._drop(flow_id, member_id, "collection in a circle", "the member is left out")

    def _read_columns(self) -> None:
        read: dict[str, int] = {}
        columns = ("flow_collection", "metadata_updated")
        for rows in self._tables.groups("flows", "id", columns=["id", *columns]):
            for row in rows:
                if "id" not in row:
                    self._report.tell("row without id", "left out", "flows", "", row)
                    continue
                flow_id, changed = fitting(text(row, "id")), nanoseconds(row, "metadata_updated")
                self.older_ids.setdefault(flow_id, set()).add(text(row, "id"))
                if flow_id in read and (changed or 0) <= read[flow_id]:
                    continue
                read[flow_id] = changed or 0
                self._members[flow_id] = self._read(row)

    def _read(self, row: Row) -> dict[str, Document]:
        members: dict[str, Document] = {}
        try:
            found = items(row, "flow_collection")
        except ValueError as error:
            self._report.tell("JSON that is none", "mended", "flows", f"{error}; left away", row)
            return members
        for one in found:
            item: Document = {"id": one} if isinstance(one, str) else {}
            if isinstance(one, dict):
                item = {name: one[name] for name in ("role", "container_mapping") if one.get(name)}
                item["id"] = one.get("id") or one.get("flow_id")
            if isinstance(item.get("id"), str):
                member_id = fitting(item["id"])
                members.setdefault(member_id, {**item, "id": member_id})
            else:
                told = f"an item without an id is left away: {one!r}"
                self._report.tell("collection of what is not there", "mended", "flows", told, row)
        return members

    def _read_table(self) -> None:
        table = "flow_collections"
        for rows in self._tables.groups(table, "collection_id"):
            for row in sorted(rows, key=lambda one: nanoseconds(one, "created") or 0):
                flow_id, member = fitting(text(row, "collection_id")), text(row, "flow_id")
                if flow_id not in self.older_ids or not member:
                    told = "the flow that collects is not there"
                    self._report.tell(
                        "collection of what is not there", "left out", table, told, row
                    )
                    continue
                item = {"id": fitting(member)}
                if text(row, "label"):
                    item["role"] = text(row, "label")
                self._members.setdefault(flow_id, {}).setdefault(item["id"], item)

    def _check(self) -> None:
        for flow_id, members in self._members.items():
            for member_id in list(members):
                if member_id == flow_id:
                    problem, told = "collection in a circle", "a flow does not collect itself"
                elif member_id not in self.older_ids:
                    problem, told = "collection of what is not there", f"no flow {member_id}"
                else:
                    continue
                self._drop(flow_id, member_id, problem, told)

    def _drop(self, flow_id: str, member_id: str, problem: str, told: str) -> None:
        item = self._members[flow_id].pop(member_id)
        row = {"id": flow_id, "flow_collection": item}
        self._report.tell(problem, "mended", "flows", told, row)
