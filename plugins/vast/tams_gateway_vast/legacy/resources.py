"""Flows with their sources, in an order in which members are there before what collects them."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Final

import msgspec

from tams_gateway.domain.errors import Refusal
from tams_gateway.plugin.commands import Births, Import, Origin
from tams_gateway_vast.legacy.collections import Collections
from tams_gateway_vast.legacy.documents import (
    Document,
    Note,
    flow_document,
    origin,
    source_document,
)
from tams_gateway_vast.legacy.report import Report
from tams_gateway_vast.legacy.tables import Tables
from tams_gateway_vast.legacy.values import Row, fitting, items, nanoseconds, newest, text

_AT_ONCE: Final = 500
"""Flows whose rows are read at once."""


class _Source(msgspec.Struct, frozen=True):
    """A source as its row has it."""

    row: Row
    document: Document
    origin: Origin
    notes: Sequence[Note]


class Resources:
    """Takes flows and sources over, and keeps in mind which of them are here."""

    def __init__(
        self, tables: Tables, report: Report, importer: Import, container: str | None
    ) -> None:
        self._tables = tables
        self._report = report
        self._importer = importer
        self._container = container
        self.flows: dict[str, int | None] = {}
        """The flows that are here, and when their segments changed last, in nanoseconds."""
        self.refused: set[str] = set()
        """The flows that had to be left out."""
        self.sources: set[str] = set()
        """The sources that are here."""

    def run(self) -> None:
        """Take all flows over. Raises `StoreError`."""
        collections = Collections(self._tables, self._report)
        ids = collections.order()
        for start in range(0, len(ids), _AT_ONCE):
            self._some(ids[start : start + _AT_ONCE], collections)

    def _some(self, flow_ids: Sequence[str], collections: Collections) -> None:
        older = {flow_id: collections.older_ids[flow_id] for flow_id in flow_ids}
        written = [one for names in older.values() for one in names]
        found = self._tables.of("flows", "id", written)
        tags = tags_of(self._tables, "flow", written)
        rows = {}
        for flow_id, names in older.items():
            candidates = [row for name in names for row in found.get(name, ())]
            rows[flow_id], others = newest(candidates, "metadata_updated", "created")
            for other in others:
                told = f"the one changed last is taken, as {flow_id}"
                self._report.tell("id given twice", "left out", "flows", told, other)
        sources = self._sources({text(row, "source_id") for row in rows.values()})
        for flow_id, row in rows.items():
            source = sources.get(text(row, "source_id"))
            own = [tag for name in sorted(older[flow_id]) for tag in tags.get(name, ())]
            self._flow(flow_id, row, own, source, collections)

    def _sources(self, ids: set[str]) -> dict[str, _Source]:
        """Return sources by the ids that flows name them with."""
        found = self._tables.of("sources", "id", {*ids, *map(fitting, ids)})
        tags = tags_of(self._tables, "source", found)
        sources = {}
        for id_ in ids:
            candidates = [row for name in {id_, fitting(id_)} for row in found.get(name, ())]
            if candidates:
                row, _ = newest(candidates, "updated", "created")
                document, notes = source_document(row, tags.get(text(row, "id"), ()))
                sources[id_] = _Source(row, document, origin(row, "updated"), notes)
        return sources

    def _flow(
        self,
        flow_id: str,
        row: Row,
        tags: Sequence[Row],
        source: _Source | None,
        collections: Collections,
    ) -> None:
        members = collections.of(flow_id)
        collection = [one for one in members if one["id"] not in self.refused]
        document, notes = flow_document(row, tags, collection, self._container)
        if len(collection) < len(members):
            notes.append(("collection of what is not there", "members that were left out"))
        born = origin(row, "metadata_updated")
        if not born.created_ns:
            notes.append(("flow without a time", "taken as made in 1970"))
        births = Births(born, born if source is None else source.origin)
        described = b"{}" if source is None else msgspec.json.encode(source.document)
        try:
            try:
                self._importer.flow(msgspec.json.encode(document), births, described)
            except Refusal as refusal:
                if not refusal.summary.startswith("/flow_collection"):
                    raise
                notes.append(("collection refused", refusal.summary))
                del document["flow_collection"]
                self._importer.flow(msgspec.json.encode(document), births, described)
        except Refusal as refusal:
            self.refused.add(flow_id)
            self._report.tell("flow refused", "left out", "flows", refusal.summary, row)
            return
        for problem, told in notes:
            self._report.tell(problem, "mended", "flows", told, row)
        self._keep(flow_id, row, document, source)

    def _keep(self, flow_id: str, row: Row, document: Document, source: _Source | None) -> None:
        self.flows[flow_id] = nanoseconds(row, "segments_updated")
        self._report.taken["flows"] += 1
        source_id = str(document["source_id"])
        if source_id in self.sources:
            return
        self.sources.add(source_id)
        self._report.taken["sources"] += 1
        if source is None:
            told = f"source {source_id} is made as its first flow says"
            self._report.tell("flow of a missing source", "mended", "flows", told, row)
            return
        for problem, told in source.notes:
            self._report.tell(problem, "mended", "sources", told, source.row)
        if text(source.row, "format") != document["format"]:
            told = f"taken as {document['format']}, which its flow {flow_id} is"
            self._report.tell("source of another format", "mended", "sources", told, source.row)

    def leftovers(self) -> None:
        """Tell of sources that are not here, and of what their flows' collections do not give."""
        for rows in self._tables.groups("sources", "id"):
            for _, same in groupby(rows, key=lambda row: text(row, "id")):
                row, others = newest(list(same), "updated", "created")
                for other in others:
                    told = "the one changed last is taken"
                    self._report.tell("id given twice", "left out", "sources", told, other)
                self._source(row, self._collected(row))
        for rows in self._tables.groups("source_collections", "collection_id"):
            for row in rows:
                self._member(text(row, "collection_id"), text(row, "source_id"), row)
        for rows in self._tables.groups("tags", "entity_id"):
            for row in rows:
                self._tag(row)

    def _tag(self, row: Row) -> None:
        here = {"flow": self.flows, "source": self.sources}.get(entity(row), ())
        if fitting(text(row, "entity_id")) not in here:
            told = f"no {text(row, 'entity_type')} of that id is here"
            self._report.tell("tag of what is not here", "left out", "tags", told, row)

    def _collected(self, row: Row) -> Sequence[str]:
        try:
            found = items(row, "source_collection")
        except ValueError as error:
            self._report.tell("JSON that is none", "mended", "sources", f"{error}; left away", row)
            return ()
        ids = [one.get("id") if isinstance(one, Mapping) else one for one in found]
        return [one for one in ids if isinstance(one, str)]

    def _source(self, row: Row, members: Sequence[str]) -> None:
        if fitting(text(row, "id")) not in self.sources:
            told = "a source is here as long as it has flows"
            self._report.tell("source without flows", "left out", "sources", told, row)
            return
        for member in members:
            self._member(text(row, "id"), member, row)

    def _member(self, older_id: str, member: str, row: Row) -> None:
        source = self._importer.source(fitting(older_id))
        if source is None or fitting(member) not in source.members:
            told = f"no flow of the source collects one of {member}, from which this would follow"
            self._report.tell("source collection", "left out", "sources", told, row)


def entity(row: Row) -> str:
    """Return what a row of the table of tags is for: `flow`, `source` or another word."""
    return text(row, "entity_type").lower().rstrip("s")


def tags_of(tables: Tables, what: str, ids: Iterable[str]) -> dict[str, list[Row]]:
    """Return the rows of the table of tags, by the id of the flow or source that has them."""
    found = tables.of("tags", "entity_id", ids)
    return {id_: [row for row in rows if entity(row) == what] for id_, rows in found.items()}
