"""Named keys: made once, shared by every thread and process on the store."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tams_gateway_memory.metadata import MemoryMetadata

from tams_gateway.domain.errors import Invalid, NotFound
from tams_gateway.domain.timerange import SECOND
from tams_gateway.operations import keys
from tams_gateway.operations.kinds import KEY
from tams_gateway.storage.changes import Change
from tams_gateway.storage.key_ring import KeyRing
from tams_gateway.storage.media_urls import MediaUrls

START = """
import sys
from tams_gateway.assembly import assemble
from tams_gateway.operations import keys
from tams_gateway.settings import load

assembly = assemble(load(None, {}))
print("ready", flush=True)
sys.stdin.readline()
print(keys.ring(assembly.gateway.metadata, lambda: 0, "pages").newest.secret.hex())
assembly.close()
"""


def test_threads_that_race_to_make_a_key_agree() -> None:
    barrier = threading.Barrier(8)

    class Together(MemoryMetadata):
        """Lets nobody write before all have seen that the key is not there."""

        def apply(self, changes: list[Change]) -> None:
            barrier.wait(timeout=30)
            super().apply(changes)

    store = Together()
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: keys.ring(store, lambda: 0, "media").newest, range(8)))
    assert len(made) == 1
    assert set(store.get(KEY, ["media"])) == {"media"}


class Kept:
    """A ring in a store, under a clock that the test sets."""

    def __init__(self) -> None:
        self.store = MemoryMetadata()
        self.now_ns = 1_700_000_000 * SECOND
        self.ring()

    def ring(self) -> KeyRing:
        """Return the ring as another process finds it now."""
        found = keys.ring(self.store, lambda: self.now_ns, "media")
        assert found.newest
        return found

    def ids(self) -> list[str]:
        return [key.id for key in self.ring().keys]

    def rotate(self) -> str:
        return keys.rotate(self.store, "media", self.now_ns).id

    def pass_by(self, seconds: int) -> None:
        self.now_ns += seconds * SECOND


def test_a_new_key_verifies_at_once_and_signs_when_all_know_it() -> None:
    kept = Kept()
    [first] = kept.ids()

    second = kept.rotate()

    assert kept.ids() == [first, second]
    kept.pass_by(keys.SIGNS_AFTER - 1)
    assert kept.ids() == [first, second]
    third = kept.rotate()
    kept.pass_by(1)
    assert kept.ids() == [second, third, first]
    kept.pass_by(keys.SIGNS_AFTER)
    assert kept.ids() == [third, second, first]
    assert [key.id for key in keys.rings(kept.store)["media"]] == [third, second, first]


def test_a_ring_whose_older_keys_are_gone_signs_with_the_new_one() -> None:
    kept = Kept()
    [first] = kept.ids()
    second = kept.rotate()

    keys.remove(kept.store, "media", first)

    assert kept.ids() == [second]
    assert kept.ring().find(first) is None
    with pytest.raises(Invalid):
        keys.remove(kept.store, "media", second)
    with pytest.raises(NotFound):
        keys.remove(kept.store, "media", first)
    with pytest.raises(NotFound):
        keys.rotate(kept.store, "pages", kept.now_ns)


def test_what_an_old_key_signed_holds_until_it_is_removed() -> None:
    kept = Kept()
    [first] = kept.ids()

    def urls() -> MediaUrls:
        return MediaUrls("main", kept.ring(), 60, lambda: 0.0)

    [url] = urls().download(["clip.ts"], presigned=True)
    signature = url.partition("signature=")[2]
    kept.rotate()
    kept.pass_by(keys.SIGNS_AFTER)

    assert urls().download(["clip.ts"], presigned=True) != [url]
    assert urls().holds("GET", "clip.ts", "60", "", signature)
    keys.remove(kept.store, "media", first)
    assert not urls().holds("GET", "clip.ts", "60", "", signature)


def test_processes_that_race_to_make_a_key_agree(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", START],
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    made = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert len(set(made)) == 1
    assert len(bytes.fromhex(made[0])) == 32
