"""Large objects, written or copied in parts: they appear with the last, or not at all."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from tams_gateway.storage.errors import StoreError
from tams_gateway_s3.border import border, tagged

PART: Final = 16 * 2**20
"""The size of a part that is written, in bytes."""

_MOST: Final = 1000
"""How many parts are of that size; later ones are larger, since there is a most of parts."""

COPIED: Final = 128 * 2**20
"""What a server copies in one request, in bytes: it answers when it is done, and soon enough."""

_MOST_PARTS: Final = 10_000


def put_in_parts(
    client: Any, target: Mapping[str, str], head: bytearray, rest: Iterator[bytes], what: str
) -> Mapping[str, Any]:
    """Write the head and the rest; memory holds one part. Returns what the server answered.

    Whatever is raised, also by `rest`, leaves no parts behind that are paid for.
    """
    made: list[dict[str, Any]] = []
    with _upload(client, target, what) as upload:

        def send(part: bytes) -> None:
            number = len(made) + 1
            with border(what):
                answer = client.upload_part(**upload, PartNumber=number, Body=part)
                made.append({"PartNumber": number, "ETag": answer["ETag"]})

        for chunk in rest:
            head += chunk
            size = PART if len(made) < _MOST else 8 * PART
            while len(head) >= size:
                send(bytes(head[:size]))
                del head[:size]
        if head:
            send(bytes(head))
        with border(what):
            return _completed(client, upload, made)


def copy_within(
    client: Any, target: Mapping[str, str], origin: Mapping[str, str], size: int, what: str
) -> Mapping[str, Any]:
    """Let the server copy an object of that size; returns what it answered."""
    if size <= COPIED:
        with border(what):
            copied: Mapping[str, Any] = client.copy_object(
                **target, CopySource=origin, MetadataDirective="REPLACE"
            )
            tagged(copied["CopyObjectResult"])
            return copied
    step = max(COPIED, -(-size // _MOST_PARTS))
    with _upload(client, target, what) as upload, border(what):
        made = []
        for number, start in enumerate(range(0, size, step), 1):
            last = min(start + step, size) - 1
            answer = client.upload_part_copy(
                **upload,
                PartNumber=number,
                CopySource=origin,
                CopySourceRange=f"bytes={start}-{last}",
            )
            made.append({"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]})
        return _completed(client, upload, made)


def _completed(
    client: Any, upload: Mapping[str, str], made: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any]:
    return tagged(client.complete_multipart_upload(**upload, MultipartUpload={"Parts": made}))


@contextmanager
def _upload(client: Any, target: Mapping[str, str], what: str) -> Iterator[dict[str, str]]:
    """Begin an upload of parts; one that does not end well leaves none that are paid for."""
    place = {"Bucket": target["Bucket"], "Key": target["Key"]}
    with border(what):
        upload = {**place, "UploadId": client.create_multipart_upload(**target)["UploadId"]}
    try:
        yield upload
    except BaseException:
        # The bucket's rule for abandoned uploads takes what cannot be taken now.
        with suppress(StoreError), border(what):
            client.abort_multipart_upload(**upload)
        raise
