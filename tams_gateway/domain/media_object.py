"""Media objects as the gateway keeps them, and their instances (R-OBJ, R-INS)."""

from typing import Literal

import msgspec

MOST_INSTANCES = 16
"""How many instances an object may have: a listing shows all of them for each segment."""


class Instance(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One copy of the bytes.

    A controlled one has `storage_id`, `key` and, where the backend keeps versions, the `version`
    seen at registration. An uncontrolled one has `url` and `label`. `copying` ones are not
    advertised yet (R-INS-01), `withdrawn` ones no more: their bytes are about to go (R-INS-07).
    """

    storage_id: str | None = None
    key: str = ""
    version: str | None = None
    url: str = ""
    label: str = ""
    state: Literal["ready", "copying", "withdrawn"] = "ready"

    @property
    def controlled(self) -> bool:
        """Whether the bytes lie in a storage backend of this service."""
        return self.storage_id is not None

    @property
    def place(self) -> str:
        """The `storage-id/key` of a controlled instance, by which its bytes lead to the object."""
        return f"{self.storage_id}/{self.key}"


class MediaObject(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The body of an object's record; the document of `/objects/{id}` is made from it.

    `state`: an `allocated` object is invisible, its bytes may be uploaded, and it is collected at
    `expires`; a `registered` one is immutable; a `collected` one is invisible and its bytes are
    about to go. `uses` counts the segments that refer to it or, for an init object, the
    media objects that name it. `flow_id` is the flow that it was allocated for and, once
    registered, the first that referred to it. Times are nanoseconds since 1970.
    """

    id: str
    content_type: str
    flow_id: str
    state: Literal["allocated", "registered", "collected"] = "allocated"
    init: bool = False
    instances: tuple[Instance, ...] = ()
    uses: int = 0
    expires: int | None = None
    due: int | None = None
    """When the runner is to copy or delete an instance; None where all are ready."""
    timerange: str | None = None
    key_frame_count: int | None = None
    init_object_id: str | None = None
    size: int | None = None
    """In bytes, where the upload came through the gateway or its version is recorded."""
    sha256: str | None = None
    """Of the upload, in lower-case hexadecimal."""
