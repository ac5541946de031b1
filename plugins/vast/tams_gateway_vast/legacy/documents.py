"""Rows of flows and sources as the bodies of requests; what has no place in them becomes a tag."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias, get_type_hints

import msgspec

from tams_gateway.domain import technical
from tams_gateway.plugin.commands import Origin
from tams_gateway_vast.legacy.values import Row, decoded, fitting, nanoseconds, rate, text

Document: TypeAlias = dict[str, Any]

Note: TypeAlias = tuple[str, str]
"""A problem that was mended, and in what way."""

_VIDEO: Final = "urn:x-nmos:format:video"
_FORMATS: Final = {"urn:x-nmos:format:image": "urn:x-tam:format:image"}

_ESSENCES: Final[Mapping[str, type[msgspec.Struct]]] = {
    _VIDEO: technical.VideoEssence,
    "urn:x-nmos:format:audio": technical.AudioEssence,
    "urn:x-tam:format:image": technical.ImageEssence,
    "urn:x-nmos:format:data": technical.DataEssence,
    "urn:x-nmos:format:multi": technical.MultiEssence,
}

_OWN: Final = frozenset(
    {
        *("id", "source_id", "format", "codec", "container", "label", "description", "tags"),
        *("created", "created_by", "updated", "updated_by", "metadata_updated"),
        *("segments_updated", "metadata_version", "generation", "segment_duration", "read_only"),
        *("max_bit_rate", "avg_bit_rate", "essence_parameters"),
        *("flow_collection", "source_collection", "collected_by"),
    }
)
"""Columns that are looked at one by one; of the last ones the derived parts are made anew."""

_LONGEST_LABEL: Final = 255


def origin(row: Row, changed: str) -> Origin:
    """Return when the resource of a row was made and changed (column `changed`), and by whom."""
    updated = nanoseconds(row, changed)
    created = nanoseconds(row, "created")
    created = updated or 0 if created is None else created
    return Origin(
        created_ns=created,
        updated_ns=created if updated is None else updated,
        created_by=text(row, "created_by") or None,
        updated_by=text(row, "updated_by") or None,
    )


def source_document(row: Row, tag_rows: Sequence[Row]) -> tuple[Document, list[Note]]:
    """Return what a source says of itself, and what was mended for that."""
    notes: list[Note] = []
    tags = _tags(row, tag_rows, notes)
    document = _labelled(row, tags, notes)
    _keep({name: row[name] for name in row.keys() - _OWN}, tags, notes)
    return _with_tags(document, tags), notes


def flow_document(
    row: Row, tag_rows: Sequence[Row], collection: Sequence[Document], container: str | None
) -> tuple[Document, list[Note]]:
    """Return the body of the PUT of a flow, and what was mended for that.

    `container` is for a flow that has none.
    """
    notes: list[Note] = []
    tags = _tags(row, tag_rows, notes)
    document = _labelled(row, tags, notes)
    document["id"] = fitting(text(row, "id"))
    # Flows of no source are not of one source.
    document["source_id"] = fitting(text(row, "source_id") or f"source of {text(row, 'id')}")
    if document["id"] != row.get("id"):
        tags["legacy.id"] = text(row, "id")
        notes.append(("id is no UUID in lower case", f"it is {document['id']} here"))
    format_ = text(row, "format")
    document["format"] = _FORMATS.get(format_, format_)
    for name in ("codec", "container", "metadata_version"):
        if text(row, name):
            document[name] = text(row, name)
    if "container" not in document and container is not None:
        document["container"] = container
        notes.append(("flow without container", f"taken to have {container}"))
    if collection:
        document["flow_collection"] = list(collection)
    if row.get("read_only") is True:
        document["read_only"] = True
    left = _numbers(row, document)
    left |= _essence(row, document, notes)
    _keep(left, tags, notes)
    return _with_tags(document, tags), notes


def _labelled(row: Row, tags: Document, notes: list[Note]) -> Document:
    document = {name: text(row, name) for name in ("label", "description") if text(row, name)}
    label = document.get("label", "")
    if len(label) > _LONGEST_LABEL:
        document["label"] = label[:_LONGEST_LABEL]
        tags["legacy.label"] = label
        notes.append(("label too long", "cut; the whole of it is the tag legacy.label"))
    return document


def _numbers(row: Row, document: Document) -> Document:
    """Set whole numbers and the duration of segments; return what does not fit."""
    left = {}
    for name in ("generation", "max_bit_rate", "avg_bit_rate"):
        value = row.get(name)
        if isinstance(value, int) and value >= 0:
            document[name] = value
        elif value is not None:
            left[name] = value
    duration = row.get("segment_duration")
    if duration is not None:
        try:
            document["segment_duration"] = rate(duration)
        except ValueError:
            left["segment_duration"] = duration
    return left


def _essence(row: Row, document: Document, notes: list[Note]) -> Document:
    """Set the essence parameters of the flow's format; return the columns that do not fit."""
    shape = _ESSENCES.get(document["format"])
    types = {} if shape is None else get_type_hints(shape, include_extras=True)
    essence: Document = {}
    left: Document = {}
    found = _decoded_essence(row, notes)
    found |= {name: row[name] for name in row.keys() - _OWN if row[name] not in (0, "")}
    for column, value in found.items():
        names, convert = _COLUMNS.get(column, ((column,), _same))
        try:
            values = convert(value)
            members = dict(zip(names, values, strict=True))
            for name, member in members.items():
                msgspec.convert(member, types[name])
            essence |= members
        except (ValueError, KeyError, msgspec.ValidationError):
            left[column] = value
    if document["format"] == _VIDEO and "frame_rate" not in essence and not essence.get("vfr"):
        essence["vfr"] = True
        notes.append(("video without frame rate", "taken as one that varies (vfr)"))
    if essence or document["format"] != "urn:x-nmos:format:multi":
        document["essence_parameters"] = essence
    return left


def _decoded_essence(row: Row, notes: list[Note]) -> Document:
    try:
        found = decoded(row, "essence_parameters")
    except ValueError as error:
        notes.append(("JSON that is none", str(error)))
        return {"essence_parameters": text(row, "essence_parameters")}
    return dict(found) if isinstance(found, dict) else {}


def _same(value: object) -> Sequence[object]:
    return [value]


def _rate(value: object) -> Sequence[object]:
    return [rate(value)]


def _whole(value: object) -> Sequence[object]:
    found = rate(value)
    if "denominator" in found:
        raise ValueError(f"{value!r} is no whole number")
    return [found["numerator"]]


def _colour(value: object) -> Sequence[object]:
    """Read `BT.709` and `itu-r bt709` as `BT709`."""
    found = re.search(r"BT(601|709|2020|2100)", re.sub(r"[^A-Z0-9]", "", str(value).upper()))
    if found is None:
        raise ValueError(f"{value!r} is no colour space")
    return [found[0]]


_SAMPLINGS: Final = {"4:4:4": (1, 1), "4:2:2": (2, 1), "4:2:0": (2, 2), "4:1:1": (4, 1)}


def _sampling(value: object) -> Sequence[object]:
    """Read `4:2:2`, or `YCbCr-4:2:2`, as the subsampling of the chroma."""
    name = str(value).upper().removeprefix("YCBCR-").strip()
    if name.startswith("RGB"):
        return ["RGB", 1, 1]
    if name not in _SAMPLINGS:
        raise ValueError(f"{value!r} is no sampling")
    return ["YCbCr", *_SAMPLINGS[name]]


_COLUMNS: Final[Mapping[str, tuple[tuple[str, ...], Callable[[object], Sequence[object]]]]] = {
    "frame_rate": (("frame_rate",), _rate),
    "sample_rate": (("sample_rate",), _whole),
    "bits_per_sample": (("bit_depth",), _same),
    "color_space": (("colorspace",), _colour),
    "transfer_characteristics": (("transfer_characteristic",), _same),
    "color_sampling": (("component_type", "horiz_chroma_subs", "vert_chroma_subs"), _sampling),
}
"""Columns that are called or written otherwise in essence parameters."""


def _tags(row: Row, tag_rows: Sequence[Row], notes: list[Note]) -> Document:
    """Return the tags: the older ones of a column, or the newer ones of a table of their own."""
    tags: Document = {}
    try:
        found = decoded(row, "tags")
        if found is not None and not isinstance(found, dict):
            raise ValueError("tags is no JSON object")
        tags = {str(name): _tag(value) for name, value in (found or {}).items()}
    except ValueError as error:
        tags["legacy.tags"] = text(row, "tags")
        notes.append(("JSON that is none", f"{error}; the text is the tag legacy.tags"))
    for one in tag_rows:
        name, value = text(one, "tag_name"), _tag(one.get("tag_value"))
        if name in tags and tags[name] != value:
            notes.append(("tag given twice", f"{name}: all values are kept, as a list"))
            both = [*_list(tags[name]), *_list(value)]
            tags[name] = list(dict.fromkeys(both))
        else:
            tags[name] = value
    return tags


def _tag(value: object) -> str | list[str]:
    """Return the value of a tag: a text, or a list of texts that may be written as JSON."""
    if isinstance(value, str) and value.startswith("["):
        try:
            value = msgspec.json.decode(value)
        except msgspec.DecodeError:
            return str(value)
    if isinstance(value, list):
        return [one if isinstance(one, str) else _json(one) for one in value]
    if isinstance(value, str):
        return value
    return "" if value is None else _json(value)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _keep(left: Mapping[str, object], tags: Document, notes: list[Note]) -> None:
    """Keep as tags what has no place, or does not fit there."""
    for column, value in sorted(left.items()):
        tags[f"legacy.{column}"] = value if isinstance(value, str) else str(value)
        notes.append(("value without a place", f"{column} is the tag legacy.{column}"))


def _with_tags(document: Document, tags: Document) -> Document:
    return {**document, "tags": tags} if tags else document
