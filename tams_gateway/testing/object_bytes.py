"""The contract of object stores: what is written is what is read."""

import hashlib
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tams_gateway.storage.capabilities import SupportsCopy
from tams_gateway.storage.errors import MissingError, StoreError
from tams_gateway.storage.objects import ObjectStore, Place
from tams_gateway.testing.object_samples import KEY, LONGER, TYPE, failing, read

HOSTILE_KEYS: Final = (
    *("a", "a/b", "a/b/c", "a.ts", "a.ts/b.ts", "check", "CON", "x.tar.gz", "ends."),
    *("...", "a/..../b", ".hidden/.hidden", "-rf", "~", "~root/x", "=2E=2E/=2Fetc=2Fpasswd"),
    *("k" * 255 + "/x", "k" * 254 + "/x", "k" * 250 + ".mp4", "d/" * 511 + "ab"),
    *("/".join(["k" * 255] * 4), "/".join(["k" * 255] * 3 + ["k" * 254 + "l"])),
)
"""Legal keys that file systems, URLs and shells may take amiss; all different."""


class BytesContract:
    """What an object store promises of bytes."""

    def test_what_was_written_is_read_back(self, store: ObjectStore) -> None:
        """Bytes come back as they were, and `write` tells their size, SHA-256 and place."""
        stat = store.write(KEY, TYPE, [LONGER[:1], LONGER[1:7], b"", LONGER[7:]])

        assert len(LONGER) == stat.size
        assert hashlib.sha256(LONGER).hexdigest() == stat.sha256
        assert read(store, Place(KEY, stat.version)) == LONGER
        assert read(store, Place(KEY)) == LONGER

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
        for key in ("absent.ts", "folder", "folder/a.ts/b", "folder/a", "k" * 255):
            with pytest.raises(MissingError):
                store.stat(Place(key))
            with pytest.raises(MissingError):
                store.read(Place(key))

    @pytest.mark.parametrize("error", [ValueError("mine"), ConnectionResetError("gone")])
    def test_failing_chunks_leave_nothing(self, store: ObjectStore, error: Exception) -> None:
        """The very exception of the chunks passes through, and no byte of them stays."""
        with pytest.raises(type(error)) as raised:
            store.write(KEY, TYPE, failing(error))

        assert error is raised.value
        with pytest.raises(MissingError):
            store.stat(Place(KEY))

    def test_failing_chunks_leave_an_earlier_upload(self, store: ObjectStore) -> None:
        """An upload that breaks off takes nothing away."""
        before = store.write(KEY, TYPE, [b"first"])
        with pytest.raises(ValueError, match="mine"):
            store.write(KEY, TYPE, failing(ValueError("mine")))

        assert before.version == store.stat(Place(KEY)).version
        assert read(store, Place(KEY)) == b"first"

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

    def test_a_stream_of_one_object_makes_another(self, store: ObjectStore) -> None:
        """Copies between backends go so: what is read is written (R-INS-01)."""
        source = store.write(KEY, TYPE, [LONGER])
        copy = store.write("copies/clip.ts", TYPE, store.read(Place(KEY, source.version)))

        assert (source.size, source.sha256) == (copy.size, copy.sha256)
        assert read(store, Place("copies/clip.ts", copy.version)) == LONGER

    def test_a_copy_within_the_server_is_an_object_of_its_own(self, store: ObjectStore) -> None:
        """Backends of one server copy without a stream through ours; the rest is as with one."""
        if not isinstance(store, SupportsCopy):
            pytest.skip("it has no copy: what it is to hold comes through the gateway")
        place = Place(KEY, store.write(KEY, TYPE, [LONGER]).version)
        assert store.copy("foreign.ts", TYPE, object(), place) is None

        stat = store.copy("copies/clip.ts", TYPE, store, place)

        if stat is None:
            pytest.skip("it copies nothing from itself")
        copy = Place("copies/clip.ts", stat.version)
        assert len(LONGER) == stat.size
        assert stat.sha256 in (hashlib.sha256(LONGER).hexdigest(), None)
        assert {} == store.delete([place])
        assert LONGER == read(store, copy)
        with pytest.raises(MissingError):
            store.copy("copies/none.ts", TYPE, store, place)

    def test_what_is_still_being_written_is_not_there(self, store: ObjectStore) -> None:
        """Who reads half an object keeps it for the whole; so it appears at once, or never."""
        seen: list[object] = []

        def chunks(place: Place) -> Iterator[bytes]:
            for chunk in (LONGER, LONGER):
                yield chunk
                try:
                    seen.append(read(store, place))
                except MissingError:
                    seen.append(None)

        store.write(KEY, TYPE, chunks(Place(KEY)))
        assert {None} == set(seen)
        seen.clear()
        store.write(KEY, TYPE, chunks(Place(KEY)))
        assert {LONGER + LONGER} == set(seen)

    def test_no_key_leads_out_of_the_place_of_the_store(
        self, store: ObjectStore, tmp_path: Path
    ) -> None:
        """The gateway lets no such key pass; should it ever, nobody else's files are at stake."""
        secret = tmp_path / "secret.ts"
        secret.write_bytes(b"secret")
        ways = [str(tmp_path), *("../" * up for up in range(1, 8)), "a/" + "../" * 5]
        for way in ways:
            with suppress(StoreError, ValueError):
                assert b"secret" != read(store, Place(f"{way}/secret.ts"))
            with suppress(StoreError, ValueError):
                store.write(f"{way}/escaped.ts", TYPE, [b"escaped"])
            with suppress(StoreError, ValueError):
                store.delete([Place(f"{way}/secret.ts")])
        outside = {path for path in tmp_path.rglob("*.ts") if Path.cwd() not in path.parents}
        assert {secret} == outside
