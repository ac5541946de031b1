"""The contract of object stores: faults, what is held open, and other processes."""

import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Final

import pytest

from tams_gateway.storage.errors import MissingError, StoreError
from tams_gateway.storage.objects import ObjectStore, Place
from tams_gateway.testing.apart import apart, killed_at_each_step
from tams_gateway.testing.faults import FAULTS, Seen, descriptors, growth, under
from tams_gateway.testing.object_samples import KEY, LONGER, TYPE, failing, read
from tams_gateway.testing.opening import Opener

_ABSENT: Final = Place("absent.ts")

READS: Final[Mapping[str, Callable[[ObjectStore], object]]] = {
    "describe": lambda store: store.describe(),
    "upload": lambda store: store.upload(KEY, TYPE, presigned=False),
    "download": lambda store: store.download([Place("0.ts")], presigned=False),
    "stat": lambda store: store.stat(Place("0.ts")).size,
    "read": lambda store: read(store, Place("0.ts")),
    "read of a range": lambda store: read(store, Place("0.ts"), 7, 9),
    "delete": lambda store: set(store.delete([_ABSENT])) <= {_ABSENT},
}
"""Each method, so that the answer stays the same when more is written."""


def write(store: ObjectStore, number: int) -> None:
    """Write an object that is told apart by its number."""
    store.write(f"{number}.ts", TYPE, [LONGER, b"%d" % number])


def _write_and_delete(store: ObjectStore, number: int) -> None:
    """Write one object and delete another. Raises `StoreError` if one cannot be done."""
    for doomed in range(4) if number == 0 else ():
        store.write(f"doomed/{doomed}.ts", TYPE, [b"doomed"])
    failed = store.delete([Place(f"doomed/{number}.ts")])
    if failed:
        raise StoreError(str(failed))
    write(store, number)


def _found(store: ObjectStore, key: str) -> bytes | None:
    try:
        return read(store, Place(key))
    except MissingError:
        return None


def _under(fault: str, opener: Opener[ObjectStore]) -> Seen:
    return under(fault, opener, READS, _write_and_delete)


class FaultsContract:
    """What an object store promises when what it stands on fails, and its process dies."""

    @pytest.fixture
    def shared(self, opener: Opener[ObjectStore]) -> Opener[ObjectStore]:
        """Return what opens the store in another process, too."""
        return opener.shared()

    @pytest.mark.parametrize("fault", FAULTS)
    def test_every_method_answers_rightly_or_raises_a_store_error(
        self, opener: Opener[ObjectStore], fault: str
    ) -> None:
        """Clients get 503 and retry; a foreign error is a 500, and a wrong answer is believed."""
        seen = apart(_under, fault, opener)
        seen.assert_right(fault)
        if opener.is_shared():
            with closing(opener()) as store:
                for number in range(4):
                    whole = LONGER + b"%d" % number
                    found = _found(store, f"{number}.ts")
                    assert found in ((whole,) if number in seen.written else (whole, None))
                    if number in seen.written:
                        assert _found(store, f"doomed/{number}.ts") is None

    def test_calls_leave_nothing_open(self, store: ObjectStore) -> None:
        """A server runs for months: one file or thread for each request ends it."""
        write(store, 0)

        def call() -> None:
            for one in READS.values():
                one(store)
            with closing(store.read(Place("0.ts"))) as chunks:
                next(chunks)
            store.read(Place("0.ts")).close()
            with pytest.raises(ValueError, match="mine"):
                store.write(KEY, TYPE, failing(ValueError("mine")))

        assert {} == growth(call)

    def test_close_releases_what_was_opened(self, opener: Opener[ObjectStore]) -> None:
        """`check` opens and closes: nothing may stay behind."""

        def once() -> tuple[int, int]:
            with closing(opener()) as store:
                write(store, 0)
                read(store, Place("0.ts"))
            return len(descriptors()), threading.active_count()

        once()
        warm = once()
        for _ in range(3):
            assert warm == once()

    def test_what_one_process_wrote_every_other_reads_at_once(
        self, shared: Opener[ObjectStore], store: ObjectStore
    ) -> None:
        """An upload through one worker is played through another."""
        for number in range(2):
            apart(_write_apart, shared, number)
            assert LONGER + b"%d" % number == read(store, Place("0.ts"))

    def test_a_process_that_is_killed_at_any_step_of_a_write_leaves_all_or_nothing(
        self, shared: Opener[ObjectStore], store: ObjectStore
    ) -> None:
        """`kill -9` between any two things that it does: half an object looks like a whole one."""
        for number, returned in killed_at_each_step(shared, write):
            whole = LONGER + b"%d" % number
            assert _found(store, f"{number}.ts") in ((whole,) if returned else (whole, None))
        write(store, 2)
        assert LONGER + b"2" == read(store, Place("2.ts"))


def _write_apart(opener: Opener[ObjectStore], number: int) -> None:
    with closing(opener()) as store:
        store.write("0.ts", TYPE, [LONGER, b"%d" % number])
