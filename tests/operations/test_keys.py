"""Named keys: made once, shared by every thread and process on the store."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tams_gateway_memory.metadata import MemoryMetadata

from tams_gateway.operations import keys
from tams_gateway.operations.kinds import KEY
from tams_gateway.storage.changes import Change

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
