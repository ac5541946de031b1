"""Restores a backup, also under a running gateway: bytes first, then all metadata at once.

What was there and is not in the backup stays as objects to be collected, so that the jobs delete
its bytes afterwards.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from hashlib import sha256
from typing import IO

import msgspec
from msgspec.structs import replace as changed

from tams_gateway.backup.checking import faults_of
from tams_gateway.backup.folder import BackupError, Folder, Item, Manifest
from tams_gateway.backup.making import instances, supporting
from tams_gateway.backup.progress import Track
from tams_gateway.domain.media_object import Instance, MediaObject
from tams_gateway.jobs.hold import Hold
from tams_gateway.operations import known_backends, media_objects
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.kinds import BACKEND, CURSOR, KEY, LEASE, OBJECT
from tams_gateway.storage.content import Entry, KindEntry
from tams_gateway.storage.errors import MissingError
from tams_gateway.storage.objects import Place, Stat
from tams_gateway.storage.query import After, Query
from tams_gateway.storage.records import Record
from tams_gateway.storage.webhooks import WEBHOOK, begun_anew

_MADE_AT_START = {KEY.name, LEASE.name, CURSOR.name, BACKEND.name}
"""Kinds whose records stand in a store that nobody has used."""


class Restored(msgspec.Struct):
    """What was restored; `written` counts bytes of objects."""

    manifest: Manifest
    written: int


def restore(gateway: Gateway, folder: Folder, track: Track, *, replace: bool) -> Restored:
    """Put a backup in the place of what is there. Raises `BackupError` and `StoreError`.

    Nothing changes before the whole backup is known to be intact. An error leaves the old content,
    and the same call goes on.
    """
    store = supporting(gateway)
    manifest = folder.manifest()
    for one in manifest.backends:
        if one.id not in gateway.backends:
            raise BackupError(
                f"objects of the backup lie in the storage backend {one.label!r}, and no section of"
                f' the config has its id: say id = "{one.id}" in the one that is to have its bytes'
            )
    if not replace and not _is_empty(gateway):
        raise BackupError("the store is not empty; say --replace to lose what is in it")
    damage = faults_of(folder, manifest, track)
    if damage:
        raise BackupError(f"the backup is damaged, and nothing was changed: {damage[0]}")
    with Hold(gateway) as hold, tempfile.TemporaryFile() as versions:
        placing = _Placing(gateway, folder, hold, versions)
        placing.run(track("objects", folder.items(manifest.objects.name), manifest.instances))
        versions.seek(0)
        content = _Content(gateway, folder, manifest, versions)
        hold.check()
        store.replace(content.entries())
    known_backends.note(gateway)
    for storage_id, place in placing.stale:
        gateway.backends[storage_id].store.delete([place])
    return Restored(manifest, placing.written)


def _is_empty(gateway: Gateway) -> bool:
    with closing(supporting(gateway).snapshot()) as entries:
        return all(
            isinstance(entry, KindEntry) and entry.kind.name in _MADE_AT_START for entry in entries
        )


class _Placing:
    """Sees that all bytes are in their backends, and writes down their versions there, in order."""

    def __init__(self, gateway: Gateway, folder: Folder, hold: Hold, versions: IO[bytes]) -> None:
        self.written = 0
        self.stale: list[tuple[str, Place]] = []
        self._gateway = gateway
        self._folder = folder
        self._hold = hold
        self._versions = versions

    def run(self, items: Iterator[Item]) -> None:
        for item in items:
            self._hold.check()
            self._versions.write(msgspec.json.encode(self._place(item)) + b"\n")

    def _place(self, item: Item) -> str | None:
        """Return the version under which the bytes are there; an interrupted restore goes on."""
        store = self._gateway.backends[item.storage_id].store
        for place in dict.fromkeys((Place(item.key, item.version), Place(item.key))):
            try:
                stat = store.stat(place)
                if stat.size == item.size and self._digest(item, place) == item.sha256:
                    return stat.version
            except MissingError:
                continue
            if place.version is not None:
                self.stale.append((item.storage_id, place))
        made: Stat = store.write(item.key, item.content_type, self._kept(item))
        self.written += made.size
        return made.version

    def _digest(self, item: Item, place: Place) -> str:
        digest = sha256()
        with closing(self._gateway.backends[item.storage_id].store.read(place)) as chunks:
            for chunk in chunks:
                self._hold.check()
                digest.update(chunk)
        return digest.hexdigest()

    def _kept(self, item: Item) -> Iterator[bytes]:
        for chunk in self._folder.read(item.sha256):
            self._hold.check()
            yield chunk


class _Content:
    """The entries of a backup as they fit this store."""

    def __init__(
        self, gateway: Gateway, folder: Folder, manifest: Manifest, versions: IO[bytes]
    ) -> None:
        self._gateway = gateway
        self._folder = folder
        self._manifest = manifest
        # Read before the store replaces everything: it may have to make room for a kind first.
        self._keys = {one.id: one for one in gateway.metadata.find(Query(KEY, limit=1000)).items}
        self._tip = gateway.metadata.tip()
        self._placed = zip(
            folder.items(manifest.objects.name), map(msgspec.json.decode, versions), strict=True
        )
        self._next = next(self._placed, None)
        self._former = _Former(gateway)

    def entries(self) -> Iterator[Entry]:
        """Yield all entries; reads what the store held so far."""
        for entry in self._folder.entries(self._manifest.metadata.name):
            if not isinstance(entry, KindEntry):
                yield entry
            elif entry.kind.name == OBJECT.name:
                yield changed(entry, kind=OBJECT, records=list(self._objects(entry.records)))
            elif entry.kind.name == KEY.name:
                self._keys.update((one.id, one) for one in entry.records)
            elif entry.kind.name == WEBHOOK.name:
                records = [begun_anew(one, self._tip) for one in entry.records]
                yield changed(entry, kind=WEBHOOK, records=records)
            else:
                yield entry
        # A key that came after the backup may be in use by processes that run.
        yield KindEntry(KEY, [self._keys[name] for name in sorted(self._keys)])
        while rest := [one for _, one in zip(range(1000), self._former.rest(), strict=False)]:
            yield KindEntry(OBJECT, rest)

    def _objects(self, records: Sequence[Record]) -> Iterator[Record]:
        for record in records:
            yield from self._former.before(record.id)
            media_object = self._versioned(media_objects.from_record(record).object)
            media_object = self._former.merged(media_object, self._gateway.now_ns())
            yield _record(media_object)

    def _versioned(self, media_object: MediaObject) -> MediaObject:
        """Return an object that names the versions which this store gave."""
        wanted = instances(media_object)
        return changed(
            media_object,
            instances=tuple(
                self._with_version(media_object.id, one) if one in wanted else one
                for one in media_object.instances
            ),
        )

    def _with_version(self, object_id: str, instance: Instance) -> Instance:
        if self._next is None:
            return instance
        item, version = self._next
        if (item.object_id, item.storage_id, item.key) != (
            object_id,
            instance.storage_id,
            instance.key,
        ):
            return instance
        self._next = next(self._placed, None)
        return changed(instance, version=version)


class _Former:
    """The objects that the store held so far, walked along with those that come."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._objects = self._walk()
        self._next = next(self._objects, None)

    def _walk(self) -> Iterator[MediaObject]:
        after = None
        more = True
        while more:
            page = self._gateway.metadata.find(Query(OBJECT, after=after, limit=1000))
            yield from (media_objects.from_record(record).object for record in page.items)
            more = page.more
            after = After(None, page.items[-1].id) if page.items else None

    def before(self, object_id: str) -> Iterator[Record]:
        """Yield what is to be collected of the objects with smaller ids."""
        while self._next is not None and self._next.id < object_id:
            yield from self._taken()

    def rest(self) -> Iterator[Record]:
        """Yield what is to be collected of all other objects."""
        while self._next is not None:
            yield from self._taken()

    def _taken(self) -> Iterator[Record]:
        former = self._next
        assert former is not None
        self._next = next(self._objects, None)
        if any(one.controlled for one in former.instances):
            now_ns = self._gateway.now_ns()
            yield _record(changed(former, uses=0, state="collected", expires=now_ns, due=None))

    def merged(self, media_object: MediaObject, now_ns: int) -> MediaObject:
        """Return an object that withdraws the instances which it had here and has no more."""
        former = self._next
        if former is None or former.id != media_object.id:
            return media_object
        self._next = next(self._objects, None)
        places = {one.place for one in media_object.instances if one.controlled}
        gone = tuple(
            changed(one, state="withdrawn")
            for one in former.instances
            if one.controlled and one.place not in places
        )
        if not gone:
            return media_object
        return changed(media_object, instances=(*media_object.instances, *gone), due=now_ns)


def _record(media_object: MediaObject) -> Record:
    put = media_objects.put(media_object)
    return Record(put.id, 1, put.body, put.fields)
