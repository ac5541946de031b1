"""The contract of object stores: what the gateway relies on, a test for each promise.

`tams_gateway.testing.suite` runs it on any plugin. A test of a plugin's own may inherit it, too,
and gives the fixture `opener`, whose store is empty at first.
"""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier
from typing import Final
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tams_gateway.storage.capabilities import SupportsMediaRoutes
from tams_gateway.storage.errors import MissingError
from tams_gateway.storage.objects import ObjectStore, Place, Stat
from tams_gateway.testing.opening import Opener

TYPE: Final = "video/mp2t"
KEY: Final = "2026/11/25/clip.ts"
LONGER: Final = bytes(range(256)) * 2500 + b"end"
"""More than one chunk of any store that reads sensibly."""

HOSTILE_KEYS: Final = (
    *("a", "a/b", "a/b/c", "a.ts", "a.ts/b.ts", "check", "CON", "x.tar.gz", "ends."),
    *("...", "a/..../b", ".hidden/.hidden", "-rf", "~", "~root/x", "=2E=2E/=2Fetc=2Fpasswd"),
    *("k" * 1024, "k" * 1023 + "l", "k" * 255 + "/x", "k" * 254 + "/x", "k" * 250 + ".mp4"),
    "d/" * 511 + "ab",
)
"""Legal keys that file systems, URLs and shells may take amiss; all different."""


def read(store: ObjectStore, place: Place, first: int = 0, last: int | None = None) -> bytes:
    """Return the bytes at a place as one."""
    return b"".join(store.read(place, first, last))


class ObjectStoreContract:
    """What the gateway relies on."""

    @pytest.fixture
    def store(self, opener: Opener[ObjectStore]) -> Iterator[ObjectStore]:
        """Return the store, open."""
        store = opener()
        yield store
        store.close()

    def test_what_was_written_is_read_back(self, store: ObjectStore) -> None:
        """Bytes come back as they were, and `write` tells their size, SHA-256 and place."""
        stat = store.write(KEY, TYPE, [LONGER[:1], LONGER[1:7], b"", LONGER[7:]])

        assert len(LONGER) == stat.size
        assert hashlib.sha256(LONGER).hexdigest() == stat.sha256
        assert read(store, Place(KEY, stat.version)) == LONGER
        assert read(store, Place(KEY)) == LONGER

    def test_a_store_behind_the_media_routes_keeps_versions(self, store: ObjectStore) -> None:
        """Of two uploads of one key each is read and deleted by itself; others have no routes."""
        if not isinstance(store, SupportsMediaRoutes):
            pytest.skip("it has no media_urls: the gateway does not serve its bytes")
        old = store.write(KEY, TYPE, [b"old"]).version
        new = store.write(KEY, TYPE, [b"new"]).version

        assert old is not None
        assert new is not None
        assert read(store, Place(KEY, old)) == b"old"
        assert store.delete([Place(KEY, old)]) == {}
        assert read(store, Place(KEY, new)) == b"new"

    def test_no_bytes_are_an_object_too(self, store: ObjectStore) -> None:
        """An empty upload is there, unlike none."""
        stat = store.write(KEY, TYPE, [])

        assert stat.size == 0
        assert read(store, Place(KEY, stat.version)) == b""

    def test_stat_tells_what_write_told(self, store: ObjectStore) -> None:
        """Size and version are the same; what a store does not keep is None."""
        written = store.write(KEY, TYPE, [b"bytes"])
        for place in (Place(KEY), Place(KEY, written.version)):
            found = store.stat(place)

            assert (written.size, written.version) == (found.size, found.version)
            assert found.sha256 in (written.sha256, None)
            assert found.content_type in (TYPE, None)

    def test_any_range_is_the_slice_of_the_bytes(self, store: ObjectStore) -> None:
        """Offsets are inclusive; what lies behind the end is not there."""
        place = Place(KEY, store.write(KEY, TYPE, [LONGER]).version)
        offsets = st.one_of(
            st.integers(0, 3),
            st.integers(0, len(LONGER) + 2),
            st.integers(len(LONGER) - 3, len(LONGER) + 3),
            st.sampled_from([2**18 - 1, 2**18, 2**18 + 1, 2**19 - 1, 2**19]),
        )

        @settings(max_examples=50, deadline=None, database=None)
        @given(first=offsets, last=st.none() | offsets)
        def compare(first: int, last: int | None) -> None:
            expected = LONGER[first:] if last is None else LONGER[first : last + 1]
            assert expected == read(store, place, first, last)

        compare()

    def test_a_reader_may_leave_early(self, store: ObjectStore) -> None:
        """Closing the iterator releases what it holds, and the bytes stay."""
        place = Place(KEY, store.write(KEY, TYPE, [LONGER]).version)
        for begin in (False, True):
            chunks = store.read(place)
            with closing(chunks):
                if begin:
                    assert LONGER.startswith(next(chunks))
            assert list(chunks) == []
        assert read(store, place) == LONGER

    def test_what_is_not_there_is_missing(self, store: ObjectStore) -> None:
        """Reading fails at the call, not later; so does a place next to an object."""
        store.write("folder/a.ts", TYPE, [b"a"])
        for key in ("absent.ts", "folder", "folder/a.ts/b", "folder/a", "k" * 1024):
            with pytest.raises(MissingError):
                store.stat(Place(key))
            with pytest.raises(MissingError):
                store.read(Place(key))

    @pytest.mark.parametrize("error", [ValueError("mine"), ConnectionResetError("gone")])
    def test_failing_chunks_leave_nothing(self, store: ObjectStore, error: Exception) -> None:
        """The very exception of the chunks passes through, and no byte of them stays."""
        with pytest.raises(type(error)) as raised:
            store.write(KEY, TYPE, _failing(error))

        assert error is raised.value
        with pytest.raises(MissingError):
            store.stat(Place(KEY))

    def test_failing_chunks_leave_an_earlier_upload(self, store: ObjectStore) -> None:
        """An upload that breaks off takes nothing away."""
        before = store.write(KEY, TYPE, [b"first"])
        with pytest.raises(ValueError, match="mine"):
            store.write(KEY, TYPE, _failing(ValueError("mine")))

        assert before.version == store.stat(Place(KEY)).version
        assert read(store, Place(KEY)) == b"first"

    def test_the_latest_upload_counts(self, store: ObjectStore) -> None:
        """A place without version is the latest one; one with it never changes (R-STO-13)."""
        versions = [store.write(KEY, TYPE, [b"%d" % n]).version for n in range(5)]

        assert read(store, Place(KEY)) == b"4"
        if versions[0] is not None:
            assert [read(store, Place(KEY, one)) for one in versions] == [
                b"%d" % n for n in range(5)
            ]

    def test_a_version_is_deleted_alone(self, store: ObjectStore) -> None:
        """The other versions of the key stay."""
        first, second = (store.write(KEY, TYPE, [data]).version for data in (b"1", b"2"))
        if first is None:
            pytest.skip("the store keeps no versions; run it on one that does")

        assert store.delete([Place(KEY, second)]) == {}
        assert read(store, Place(KEY)) == read(store, Place(KEY, first)) == b"1"
        with pytest.raises(MissingError):
            store.read(Place(KEY, second))
        assert store.delete([Place(KEY, first)]) == {}
        with pytest.raises(MissingError):
            store.stat(Place(KEY))

    def test_every_version_is_deleted_without_one(self, store: ObjectStore) -> None:
        """So a collected object leaves nothing, also not what was never recorded (R-OBJ-08)."""
        versions = [store.write(KEY, TYPE, [b"data"]).version for _ in range(3)]

        assert store.delete([Place(KEY)]) == {}
        for version in (None, *versions):
            with pytest.raises(MissingError):
                store.stat(Place(KEY, version))

    def test_what_is_not_there_counts_as_deleted(self, store: ObjectStore) -> None:
        """A deletion may be repeated, and takes more places than any server does at once."""
        version = store.write(KEY, TYPE, [b"data"]).version
        absent = [Place(f"absent/{number}.ts") for number in range(1200)]

        assert store.delete([*absent, Place(KEY), Place(KEY, version)]) == {}
        assert store.delete([Place(KEY), Place(KEY, version)]) == {}
        assert store.delete([]) == {}

    def test_an_object_may_be_written_where_one_was_deleted(self, store: ObjectStore) -> None:
        """Directories and markers that a deletion leaves are in nobody's way."""
        store.write(KEY, TYPE, [b"old"])
        store.delete([Place(KEY)])
        new = store.write(KEY, TYPE, [b"new"])

        assert read(store, Place(KEY)) == read(store, Place(KEY, new.version)) == b"new"

    def test_keys_do_not_meet(self, store: ObjectStore) -> None:
        """Each legal key up to 1024 bytes has bytes of its own, and loses only those."""
        stats = {key: store.write(key, TYPE, [key.encode()]) for key in HOSTILE_KEYS}
        for key, stat in stats.items():
            assert read(store, Place(key, stat.version)) == key.encode()
        gone, kept = HOSTILE_KEYS[::2], HOSTILE_KEYS[1::2]
        assert store.delete([Place(key) for key in gone]) == {}
        for key in kept:
            assert read(store, Place(key, stats[key].version)) == key.encode()
        for key in gone:
            with pytest.raises(MissingError):
                store.stat(Place(key))

    def test_uploads_of_one_key_at_once_stay_whole(self, store: ObjectStore) -> None:
        """Of eight writers each has its version, or the last one wins; never a mixture."""
        data = [bytes([number]) * 300_000 for number in range(8)]
        barrier = Barrier(8)

        def upload(number: int) -> Stat:
            barrier.wait()
            return store.write(KEY, TYPE, [data[number][:1000], data[number][1000:]])

        with ThreadPoolExecutor(8) as pool:
            stats = list(pool.map(upload, range(8)))

        assert read(store, Place(KEY)) in data
        for number, stat in enumerate(stats):
            if stat.version is not None:
                assert data[number] == read(store, Place(KEY, stat.version))

    def test_uploads_and_deletions_of_neighbours_do_not_disturb(self, store: ObjectStore) -> None:
        """A deletion next to an upload never takes the place away from under it."""
        barrier = Barrier(8)

        def churn(number: int) -> None:
            key = f"a/b/c/{number}.ts"
            barrier.wait()
            for turn in range(10):
                text = b"%d of %d" % (turn, number)
                assert read(store, Place(key, store.write(key, TYPE, [text]).version)) == text
                assert store.delete([Place(key)]) == {}

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(churn, range(8)))

    def test_a_stream_of_one_object_makes_another(self, store: ObjectStore) -> None:
        """Copies between backends go so: what is read is written (R-INS-01)."""
        source = store.write(KEY, TYPE, [LONGER])
        copy = store.write("copies/clip.ts", TYPE, store.read(Place(KEY, source.version)))

        assert (source.size, source.sha256) == (copy.size, copy.sha256)
        assert read(store, Place("copies/clip.ts", copy.version)) == LONGER

    @pytest.mark.parametrize("presigned", [True, False])
    def test_an_upload_url_is_as_wished_and_has_the_ending(
        self, store: ObjectStore, presigned: bool
    ) -> None:
        """R-STO-09, B6, B27: the path is the key's, the flag tells whether it is signed."""
        upload = store.upload(KEY, TYPE, presigned=presigned)

        assert presigned is upload.presigned
        assert presigned is bool(urlsplit(upload.url).query)
        assert unquote(urlsplit(upload.url).path).endswith(KEY)

    def test_download_urls_are_as_wished(self, store: ObjectStore) -> None:
        """B7, B8: only presigned ones, only others, or presigned ones first."""
        place = Place(KEY, store.write(KEY, TYPE, [b"data"]).version)
        [signed] = store.download([place], presigned=True)
        [plain] = store.download([place], presigned=False)
        [both] = store.download([place], presigned=None)

        assert signed
        assert all(url.presigned for url in signed)
        assert not any(url.presigned for url in plain)
        assert [*(u.presigned for u in signed), *(u.presigned for u in plain)] == [
            url.presigned for url in both
        ]

    def test_download_urls_end_as_the_key_does(self, store: ObjectStore) -> None:
        """B27: players refuse a segment whose path has no fitting ending."""
        keys = ["a/b.ts", "a/b.m4s", "init.mp4", "sound.wav"]
        for key, urls in zip(
            keys, store.download([Place(key) for key in keys], presigned=None), strict=True
        ):
            for url in urls:
                assert unquote(urlsplit(url.url).path).endswith(key)

    def test_a_page_of_download_urls_comes_in_order(self, store: ObjectStore) -> None:
        """A listing asks for 1000 places at once; none needs to be there."""
        places = [Place(f"page/{number}.ts") for number in range(1000)]
        found = store.download(places, presigned=True)

        assert [place.key for place in places] == [
            "/".join(urlsplit(urls[0].url).path.split("/")[-2:]) for urls in found
        ]
        assert store.download([], presigned=None) == []

    def test_a_store_says_what_it_is_and_that_it_works(self, store: ObjectStore) -> None:
        """For the storage-backend document (R-STB-01), and for `tams-gateway check`."""
        product = store.describe()

        assert product.provider
        assert product.store_product
        assert store.check().ok
        assert store.check().detail


def _failing(error: Exception) -> Iterator[bytes]:
    yield LONGER
    raise error
