"""The contract of object stores: versions and deletions."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tams_gateway.storage.capabilities import SupportsMediaRoutes
from tams_gateway.storage.errors import MissingError
from tams_gateway.storage.objects import ObjectStore, Place
from tams_gateway.testing.object_samples import KEY, TYPE, failing, read


class VersionsContract:
    """What an object store promises of uploads that follow each other."""

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

    def test_any_history_leaves_what_the_model_says(self, store: ObjectStore) -> None:
        """The clauses look at one promise each; this one at how they meet."""

        class OnStore(_Machine):
            def __init__(self) -> None:
                super().__init__(store)

        run_state_machine_as_test(
            OnStore,
            settings=settings(
                max_examples=10,
                stateful_step_count=15,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )


_KEYS = ("a", "a/b", "a/b.ts")


class _Machine(RuleBasedStateMachine):
    """Does what hypothesis thinks of to the store, and to a dict."""

    def __init__(self, store: ObjectStore) -> None:
        super().__init__()
        self.store = store
        self.there: dict[str, list[tuple[Place, bytes]]] = {key: [] for key in _KEYS}
        self.gone: set[Place] = set()
        store.delete([Place(key) for key in _KEYS])

    @rule(key=st.sampled_from(_KEYS), data=st.binary(max_size=9))
    def write(self, key: str, data: bytes) -> None:
        """Upload; a store without versions keeps the last upload alone."""
        place = Place(key, self.store.write(key, TYPE, [data]).version)
        assert place not in self.gone
        if place.version is None:
            self.there[key].clear()
        assert place not in dict(self.there[key])
        self.there[key].append((place, data))

    @rule(key=st.sampled_from(_KEYS))
    def break_off(self, key: str) -> None:
        """Begin an upload that fails."""
        with pytest.raises(ValueError, match="mine"):
            self.store.write(key, TYPE, failing(ValueError("mine")))

    @rule(key=st.sampled_from(_KEYS), at=st.integers(0, 3))
    def delete_version(self, key: str, at: int) -> None:
        """Delete one upload."""
        for place, _ in self.there[key][at : at + 1]:
            assert {} == self.store.delete([place])
            self.gone |= {place} if place.version is not None else set()
            del self.there[key][at]

    @rule(keys=st.sets(st.sampled_from(_KEYS)))
    def delete(self, keys: set[str]) -> None:
        """Delete every upload of some keys."""
        assert {} == self.store.delete([Place(key) for key in keys])
        for key in keys:
            self.gone |= {place for place, _ in self.there[key] if place.version is not None}
            self.there[key].clear()

    @invariant()
    def what_is_there_is_read(self) -> None:
        """Each upload by its version, and the last one without."""
        for key, uploads in self.there.items():
            for place, data in [*uploads, *((Place(key), data) for _, data in uploads[-1:])]:
                assert data == read(self.store, place)
                assert len(data) == self.store.stat(place).size

    @invariant()
    def what_is_gone_is_missing(self) -> None:
        """Also where other uploads of the key are there."""
        for place in [*self.gone, *(Place(key) for key in _KEYS if not self.there[key])]:
            with pytest.raises(MissingError):
                self.store.stat(place)
