"""The kinds of record that the core keeps, with the fields by which it finds and sorts them."""

from tams_gateway.storage.records import FieldType, Kind

INT, BOOL, TEXT, SET = FieldType.INT, FieldType.BOOL, FieldType.TEXT, FieldType.SET

SERVICE = Kind("service", {})
"""One record, `service`: what POST /service set."""

KEY = Kind("key", {})
"""Secret keys by name, each made at the first start."""

LEASE = Kind("lease", {"until": INT})
"""Who runs the jobs, and until when (nanoseconds since 1970)."""

HOLD = "hold"
"""The lease under which no bytes are deleted: a backup or a restore has it."""

CURSOR = Kind("cursor", {})
"""How far each reader of the outbox has come."""

BACKEND = Kind("storage_backend", {})
"""The storage backends that were ever configured, by id."""

PROFILE = Kind("profile", {"created": INT, "format": TEXT, "codec": TEXT, "label": TEXT}, tags=True)

SOURCE = Kind(
    "source",
    {
        "created": INT,
        "updated": INT,
        "label": TEXT,
        "format": TEXT,
        "collected_by": SET,
        "auth_classes": SET,
        "flows": INT,
    },
    tags=True,
)
"""`flows` counts the flows of the source; times are nanoseconds since 1970. `auth_classes` is never
unset: what has none holds `UNCLASSIFIED`."""

FLOW = Kind(
    "flow",
    {
        "created": INT,
        "metadata_updated": INT,
        "label": TEXT,
        "source_id": TEXT,
        "format": TEXT,
        "codec": TEXT,
        "profile_id": TEXT,
        "status": TEXT,
        "frame_width": INT,
        "frame_height": INT,
        "init_segments": BOOL,
        "collected_by": SET,
        "collects": SET,
        "auth_classes": SET,
        "life": INT,
    },
    tags=True,
    segments=True,
)
"""`collects` holds the members of the flow's collection; frame sizes are of video only.
`auth_classes` as those of a source."""

OBJECT = Kind(
    "object",
    {
        "expires": INT,
        "due": INT,
        "size": INT,
        "storage_ids": SET,
        "places": SET,
    },
)
"""`expires` is when it is to be collected: unset while it is registered and used. `due` is when the
runner is to copy or delete an instance: unset where all are ready. Both are nanoseconds since 1970.
`places` are `storage-id/key` of its controlled instances."""

DELETION_REQUEST = Kind(
    "deletion_request",
    {
        "created": INT,
        "expiry": INT,
        "due": INT,
        "flow_id": TEXT,
        "life": INT,
        "auth_classes": SET,
    },
)
"""`due` is when the runner takes it up: set until it is done. `life` is set while a flow of this
id that is gone still has segments. `expiry` is when the record goes. Nanoseconds since 1970.
`auth_classes` are those that the flow had."""

AUTH_LOG = Kind("auth_logs", {"at": INT, "action": TEXT, "who": TEXT, "request_id": TEXT})
"""Logins, failures and changes of credentials; `at` in nanoseconds since 1970."""

AUDIT = Kind("audit", {"at": INT, "who": TEXT, "resource": TEXT, "request_id": TEXT})
"""Who wrote what; `at` in nanoseconds since 1970."""

ALL = (
    SERVICE,
    KEY,
    LEASE,
    CURSOR,
    BACKEND,
    PROFILE,
    SOURCE,
    FLOW,
    OBJECT,
    DELETION_REQUEST,
    AUTH_LOG,
    AUDIT,
)
