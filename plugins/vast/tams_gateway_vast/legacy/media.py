"""Segments and their objects: what is when, and where its bytes are."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Final

import msgspec

from tams_gateway.domain.errors import NotFound, Refusal
from tams_gateway.domain.timerange import Span, TimeRange, parse_timestamp
from tams_gateway.plugin.commands import Import
from tams_gateway_vast.legacy.documents import Document
from tams_gateway_vast.legacy.places import Places
from tams_gateway_vast.legacy.report import Report
from tams_gateway_vast.legacy.resources import Resources
from tams_gateway_vast.legacy.tables import Tables
from tams_gateway_vast.legacy.values import Row, created, fitting, items, nanoseconds, text

_TEXTS: Final = ("object_id", "timerange", "ts_offset", "last_duration")
_NUMBERS: Final = ("sample_offset", "sample_count", "key_frame_count")
_READ: Final = frozenset(
    {
        *("id", "flow_id", "created", "storage_path", "get_urls"),
        *("start_time", "end_time", "duration_seconds", *_TEXTS, *_NUMBERS),
    }
)


class _Objects(msgspec.Struct, frozen=True):
    """What the tables know of some objects, by their ids.

    `spans` has those of several segments, with all the time that any of these shows.
    """

    rows: Mapping[str, Sequence[Row]]
    spans: Mapping[str, TimeRange]


class Media:
    """Takes segments and their objects over, and tells of objects that nothing uses."""

    def __init__(
        self,
        tables: Tables,
        report: Report,
        importer: Import,
        resources: Resources,
        places: Places,
    ) -> None:
        self._tables = tables
        self._report = report
        self._importer = importer
        self._resources = resources
        self._places = places

    def run(self) -> None:
        """Take all segments over, flow by flow. Raises `StoreError`."""
        for name in set(self._tables.columns("segments")) - _READ:
            told = "the column is not read"
            self._report.tell("value without a place", "left out", "segments", told, {"name": name})
        for rows in self._tables.groups("segments", "flow_id", within="object_id"):
            objects = self._objects({text(row, "object_id") for row in rows})
            for flow_id, same in groupby(rows, key=lambda row: text(row, "flow_id")):
                self._flow(fitting(flow_id), list(same), objects)

    def _flow(self, flow_id: str, rows: Sequence[Row], objects: _Objects) -> None:
        if flow_id not in self._resources.flows:
            refused = flow_id in self._resources.refused
            problem = "segment of a flow that was left out" if refused else "segment of no flow"
            for row in rows:
                self._tell(problem, row, f"no flow {flow_id}")
            return
        taken: dict[tuple[str, str], Row] = {}
        for row in sorted(rows, key=created):
            self._sort_out(row, taken)
        self._add(flow_id, list(taken.values()), objects)

    def _sort_out(self, row: Row, taken: dict[tuple[str, str], Row]) -> None:
        if not text(row, "object_id"):
            self._tell("segment without an object", row, "")
            return
        try:
            TimeRange.parse(text(row, "timerange")).bounded_span()
        except ValueError as error:
            self._tell("timerange that is none", row, str(error))
            return
        try:
            items(row, "get_urls")
        except ValueError as error:
            told = f"{error}; left away"
            self._report.tell("JSON that is none", "mended", "segments", told, row)
        key = text(row, "object_id"), text(row, "timerange")
        if key in taken:
            self._tell("segment given twice", row, "the oldest is taken")
        else:
            taken[key] = row

    def _add(self, flow_id: str, rows: Sequence[Row], objects: _Objects) -> None:
        documents = []
        keys: dict[str, list[str]] = {}
        for row in rows:
            object_id = text(row, "object_id")
            where, urls = self._places.of(row, objects.rows.get(object_id, ()))
            keys.setdefault(object_id, []).extend(where)
            documents.append(
                msgspec.json.encode(_document(row, objects.spans.get(object_id), urls))
            )
        at_ns = self._resources.flows[flow_id]
        if at_ns is None:
            at_ns = max((nanoseconds(row, "created") or 0 for row in rows), default=0)
        outcomes = self._importer.segments(flow_id, documents, keys, at_ns)
        for row, outcome in zip(rows, outcomes, strict=True):
            if outcome is not None:
                self._tell(_problem(outcome), row, outcome.summary)
                continue
            self._report.taken["segments"] += 1
            if text(row, "object_id") not in objects.rows:
                told = "made as the segment says"
                self._report.tell("object without a row", "mended", "segments", told, row)

    def _objects(self, ids: set[str]) -> _Objects:
        found = {}
        uses = self._tables.of("segments", "object_id", ids, ("timerange", "ts_offset"))
        for object_id, rows in uses.items():
            spans = {span for row in rows if (span := _on_object(row)) is not None}
            if len(spans) > 1:
                first, last = min(one.start for one in spans), max(one.end for one in spans)
                found[object_id] = TimeRange.of(Span(first, last))
        return _Objects(self._tables.of("objects", "id", ids), found)

    def leftovers(self) -> None:
        """Tell of objects and references that no segment stands for."""
        for rows in self._tables.groups("objects", "id"):
            used = self._uses({text(row, "id") for row in rows})
            before = ""
            for row in rows:
                if text(row, "id") == before:
                    told = "an object is what its segments say"
                    self._report.tell("id given twice", "left out", "objects", told, row)
                elif text(row, "id") not in used:
                    told = "allocated and never used; bytes, if there are any, stay where they are"
                    self._report.tell("object without segments", "left out", "objects", told, row)
                before = text(row, "id")
        table = "flow_object_references"
        for rows in self._tables.groups(table, "object_id"):
            used = self._uses({text(row, "object_id") for row in rows})
            for row in rows:
                if text(row, "flow_id") not in used.get(text(row, "object_id"), ()):
                    told = "references follow from segments, and there is none"
                    self._report.tell("reference without segment", "left out", table, told, row)

    def _uses(self, ids: set[str]) -> Mapping[str, set[str]]:
        """Return for each object the flows that have segments of it."""
        uses: dict[str, set[str]] = defaultdict(set)
        for object_id, rows in self._tables.of("segments", "object_id", ids, ("flow_id",)).items():
            uses[object_id].update(text(row, "flow_id") for row in rows)
        return uses

    def _tell(self, problem: str, row: Row, detail: str) -> None:
        self._report.tell(problem, "left out", "segments", detail, row)


def _document(row: Row, span: TimeRange | None, urls: Sequence[Document]) -> Document:
    document: Document = {name: text(row, name) for name in _TEXTS if text(row, name)}
    document |= {name: row[name] for name in _NUMBERS if isinstance(row.get(name), int)}
    if span is not None:
        document["object_timerange"] = str(span)
    if urls:
        document["get_urls"] = list(urls)
    return document


def _on_object(row: Row) -> Span | None:
    """Return the time of a segment on its object, None where the row does not tell."""
    try:
        span = TimeRange.parse(text(row, "timerange")).bounded_span()
        offset = parse_timestamp(text(row, "ts_offset") or "0:0")
    except ValueError:
        return None
    return Span(span.start - offset, span.end - offset)


def _problem(refusal: Refusal) -> str:
    if isinstance(refusal, NotFound):
        return "bytes that are not there"
    return "segments overlap" if " overlaps " in refusal.summary else "segment refused"
