"""Makes a backup, while the gateway runs: a snapshot of the metadata, then the bytes it names.

Bytes are only added meanwhile: those who delete them give way to the hold.
"""

import time
from collections.abc import Iterator
from contextlib import closing, suppress

import msgspec

from tams_gateway import __version__
from tams_gateway.backup.folder import FORMAT, Backend, BackupError, File, Folder, Item, Manifest
from tams_gateway.backup.lines import encode
from tams_gateway.backup.progress import Track
from tams_gateway.domain.datetimes import date_time
from tams_gateway.domain.media_object import Instance, MediaObject
from tams_gateway.jobs.hold import Hold
from tams_gateway.operations import media_objects
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.kinds import CURSOR, LEASE, OBJECT
from tams_gateway.storage.capabilities import SupportsBackup
from tams_gateway.storage.content import Entry, KindEntry, LifeEntry
from tams_gateway.storage.errors import MissingError
from tams_gateway.storage.objects import Place

_MOMENTARY = {LEASE.name, CURSOR.name}
"""Kinds that mean nothing in another store or at another time."""


class Made(msgspec.Struct):
    """What a backup came to: its manifest, the bytes copied, and what was wrong in the store."""

    manifest: Manifest
    copied: int
    faults: list[str]


def supporting(gateway: Gateway) -> SupportsBackup:
    """Return the metadata store. Raises `BackupError` if it cannot be backed up."""
    if not isinstance(gateway.metadata, SupportsBackup):
        raise BackupError("the plugin of [metadata] has no backups; use those of its database")
    return gateway.metadata


def instances(media_object: MediaObject) -> list[Instance]:
    """Return the instances whose bytes belong to the object as clients see it."""
    if media_object.state == "collected":
        return []
    return [one for one in media_object.instances if one.controlled and one.state == "ready"]


def objects(entries: Iterator[Entry]) -> Iterator[MediaObject]:
    """Yield the objects among entries, in the order of their ids."""
    for entry in entries:
        if isinstance(entry, KindEntry) and entry.kind.name == OBJECT.name:
            yield from (media_objects.from_record(record).object for record in entry.records)


def make(gateway: Gateway, folder: Folder, track: Track) -> Made:
    """Make a backup, or renew the one that is there. Raises `BackupError` and `StoreError`."""
    store = supporting(gateway)
    folder.prepare()
    with Hold(gateway) as hold:
        started = time.time_ns()
        metadata = _Metadata()
        named = metadata.write(store, folder, started)
        copying = _Copying(gateway, folder, hold, started)
        listed = copying.write(
            track("objects", objects(folder.entries(named.name)), metadata.objects)
        )
        hold.check()
        manifest = Manifest(
            format=FORMAT,
            created=date_time(started),
            gateway=__version__,
            metadata=named,
            objects=listed,
            backends=tuple(
                Backend(id_, gateway.backends[id_].name, gateway.backends[id_].label)
                for id_ in sorted(copying.backends)
            ),
            segments=metadata.segments,
            instances=copying.count,
        )
        folder.finish(manifest, started)
    return Made(manifest, copying.copied, copying.faults)


class _Metadata:
    """Writes the snapshot, and counts."""

    def __init__(self) -> None:
        self.segments = 0
        self.objects = 0

    def write(self, store: SupportsBackup, folder: Folder, started: int) -> File:
        with folder.writing() as writing, closing(store.snapshot()) as entries:
            for entry in entries:
                if isinstance(entry, KindEntry) and entry.kind.name in _MOMENTARY:
                    continue
                if isinstance(entry, KindEntry) and entry.kind.name == OBJECT.name:
                    self.objects += len(entry.records)
                if isinstance(entry, LifeEntry):
                    self.segments += len(entry.segments)
                writing.write(encode(entry))
        return writing.place(f"metadata-{started:x}.jsonl")


class _Copying:
    """Copies bytes that are not there yet, and lists all."""

    def __init__(self, gateway: Gateway, folder: Folder, hold: Hold, started: int) -> None:
        self.backends: set[str] = set()
        self.count = 0
        self.copied = 0
        self.faults: list[str] = []
        self._gateway = gateway
        self._folder = folder
        self._hold = hold
        self._started = started

    def write(self, found: Iterator[MediaObject]) -> File:
        former = _Former(self._folder)
        with self._folder.writing() as writing:
            for media_object in found:
                known = former.of(media_object.id)
                for instance in instances(media_object):
                    self._hold.check()
                    item = self._item(media_object, instance, known)
                    if item is not None:
                        self._folder.mark(item.sha256, self._started)
                        writing.write(msgspec.json.encode(item) + b"\n")
                        self.backends.add(item.storage_id)
                        self.count += 1
        return writing.place(f"objects-{self._started:x}.jsonl")

    def _item(
        self, media_object: MediaObject, instance: Instance, former: list[Item]
    ) -> Item | None:
        place = f"{media_object.id!r} in {instance.place}"
        if instance.storage_id not in self._gateway.backends:
            raise BackupError(
                f"object {place}: no [objects] section has this id; `tams-gateway check` says more"
            )
        if not media_objects.has_bytes(self._gateway, instance):
            return None
        size, sha256 = media_object.size, media_object.sha256
        for one in former:
            same = (one.storage_id, one.key, one.version)
            settled = one.version is not None or media_object.state == "registered"
            if (
                sha256 is None
                and settled
                and same
                == (
                    instance.storage_id,
                    instance.key,
                    instance.version,
                )
            ):
                size, sha256 = one.size, one.sha256
        if sha256 is None or size is None or not self._folder.has(sha256, size):
            try:
                size, sha256 = self._copy(instance, sha256, place)
            except MissingError as error:
                if media_object.state == "registered":
                    self.faults.append(f"object {place}: {error}")
                return None
        return Item(
            media_object.id,
            str(instance.storage_id),
            instance.key,
            instance.version,
            media_object.content_type,
            size,
            sha256,
        )

    def _copy(self, instance: Instance, expected: str | None, place: str) -> tuple[int, str]:
        store = self._gateway.backends[str(instance.storage_id)].store
        chunks = store.read(Place(instance.key, instance.version))
        with closing(chunks), self._folder.writing() as writing:
            for chunk in chunks:
                writing.write(chunk)
                self._hold.check()
        if expected not in (None, writing.sha256):
            self.faults.append(f"object {place}: its bytes are not those that were uploaded")
        writing.place_bytes()
        self.copied += writing.size
        return writing.size, writing.sha256


class _Former:
    """The list of the backup that is there already, walked along with the objects of the new."""

    def __init__(self, folder: Folder) -> None:
        self._items: Iterator[Item] = iter(())
        with suppress(BackupError):
            self._items = folder.items(folder.manifest().objects.name)
        self._next = next(self._items, None)

    def of(self, object_id: str) -> list[Item]:
        """Return the items of an object; ids ascend from call to call."""
        found = []
        while self._next is not None and self._next.object_id <= object_id:
            if self._next.object_id == object_id:
                found.append(self._next)
            self._next = next(self._items, None)
        return found
