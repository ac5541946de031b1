"""The contract of object stores: many threads."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from tams_gateway.storage.objects import ObjectStore, Place, Stat
from tams_gateway.testing.object_samples import KEY, TYPE, read


class ThreadsContract:
    """What an object store promises to the threads of one process."""

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
