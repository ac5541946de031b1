"""What `filesystem` does when its disk, its directory or its process fails."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tams_gateway_filesystem import directories
from tams_gateway_filesystem.store import FilesystemObjects
from tams_gateway_filesystem.temporary import TemporaryFile

from tams_gateway.storage.errors import FullError, MissingError, StoreError
from tams_gateway.storage.media_urls import MediaUrls
from tams_gateway.storage.objects import Place
from tams_gateway.testing.samples import KEYS

KEY = "2026/11/25/clip.ts"


def open_store(root: Path, durable: bool = True) -> FilesystemObjects:
    urls = MediaUrls("main", KEYS, 3600, time.time)
    return FilesystemObjects(root, urls, durable=durable, now=time.time)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "objects"


@pytest.fixture
def store(root: Path) -> FilesystemObjects:
    return open_store(root)


def test_what_a_dead_writer_left_goes_with_a_later_upload(root: Path) -> None:
    """No restart is needed: it looks at most once a minute, at what is older than that."""
    now = [time.time()]
    urls = MediaUrls("main", KEYS, 3600, time.time)
    store = FilesystemObjects(root, urls, durable=False, now=lambda: now[0])
    left = root / "@uploads" / "left"
    left.write_bytes(b"half")

    os.utime(left, (now[0] - 3600, now[0] - 3600))
    now[0] += 59
    store.write(KEY, "video/mp2t", [b"data"])
    early = left.exists()
    now[0] += 2
    store.write(KEY, "video/mp2t", [b"data"])

    assert early
    assert not left.exists()


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def failing(number: int) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("call", ["write", "fsync", "open"])
def test_a_full_disk_is_told_and_leaves_nothing(
    store: FilesystemObjects, root: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing(number))
        with pytest.raises(FullError, match=os.strerror(number)):
            store.write(KEY, "video/mp2t", [b"data"])

    assert files(root) == []
    assert store.check().ok


@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS, errno.EACCES])
def test_every_method_wraps_the_errors_of_the_system(
    store: FilesystemObjects, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    place = Place(KEY, store.write(KEY, "video/mp2t", [b"data"]).version)
    fail = failing(number)
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", fail)
        patch.setattr(os, "fsync", fail)
        patch.setattr(os, "unlink", fail)
        patch.setattr(Path, "unlink", fail)
        patch.setattr(Path, "lstat", fail)
        patch.setattr(Path, "iterdir", fail)
        for call in (
            lambda: store.write(KEY, "video/mp2t", [b"more"]),
            lambda: store.read(place),
            lambda: store.read(Place(KEY)),
            lambda: store.stat(place),
            lambda: store.stat(Place(KEY)),
        ):
            with pytest.raises(StoreError, match=os.strerror(number)) as raised:
                call()
            assert not isinstance(raised.value, MissingError)
        for one in (place, Place(KEY)):
            assert os.strerror(number) in store.delete([one])[one]
        health = store.check()
        assert not health.ok
        assert os.strerror(number) in health.detail
        assert health.remedy

    assert b"".join(store.read(place)) == b"data"


def test_a_disk_that_fails_in_the_middle_of_reading_is_told(
    store: FilesystemObjects, root: Path
) -> None:
    store.write(KEY, "video/mp2t", [b"data"])
    chunks = store.read(Place(KEY))
    os.close(chunks._file.fileno())  # type: ignore[attr-defined]
    with pytest.raises(StoreError, match="Bad file descriptor"):
        next(chunks)
    with pytest.raises(OSError, match="Bad file descriptor"):
        chunks._file.close()  # type: ignore[attr-defined]


def test_a_failed_sync_of_a_directory_leaves_no_object(
    store: FilesystemObjects, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(directories, "sync", failing(errno.EIO))
        with pytest.raises(StoreError, match="Input/output error"):
            store.write(KEY, "video/mp2t", [b"data"])

    assert files(root) == []


def test_every_directory_up_to_the_root_is_synced_after_the_file(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(root)
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    store.write("2026/11/clip.ts", "video/mp2t", [b"data"])

    folder = root / "2026/11/clip.ts@"
    assert Path(synced[0]).parent == root / "@uploads"
    assert [folder, folder.parent, folder.parent.parent, root] == [Path(one) for one in synced[1:]]


def test_many_deletions_sync_a_directory_once(
    store: FilesystemObjects, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a sync that fails is told for each object whose removal it was to make durable."""
    gone = [Place(f"2026/{number}.ts") for number in range(3)]
    for place in (*gone, Place("2026/kept.ts")):
        store.write(place.key, "video/mp2t", [b"media"])
    synced: list[Path] = []
    monkeypatch.setattr(directories, "sync", synced.append)
    assert {} == store.delete(gone[:2])
    assert [root / "2026"] == synced

    monkeypatch.setattr(directories, "sync", failing(errno.EIO))
    assert gone[2:] == list(store.delete(gone[2:]))


def test_nothing_is_synced_for_durability_process(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    store = open_store(root, durable=False)
    store.write(KEY, "video/mp2t", [b"data"])

    assert store.delete([Place(KEY)]) == {}


def test_a_disk_that_is_not_mounted_is_no_empty_store(store: FilesystemObjects, root: Path) -> None:
    """The objects are away, not gone: nothing counts as missing or as deleted."""
    place = Place(KEY, store.write(KEY, "video/mp2t", [b"data"]).version)
    root.rename(root.with_name("unmounted"))
    root.mkdir()

    for call in (store.stat, store.read):
        with pytest.raises(StoreError) as raised:
            call(place)
        assert not isinstance(raised.value, MissingError)
    with pytest.raises(StoreError):
        store.write(KEY, "video/mp2t", [b"data"])
    assert list(store.delete([place])) == [place]
    assert "mount its disk" in store.check().remedy
    assert list(root.iterdir()) == []


def test_a_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "objects").write_bytes(b"")
    with pytest.raises(StoreError, match="Not a directory"):
        open_store(tmp_path / "objects")


def test_a_key_never_leaves_the_root(store: FilesystemObjects, root: Path) -> None:
    secret = root.parent / "secret.ts@"
    secret.mkdir()
    (secret / f"{'0' * 32}.ts").write_bytes(b"secret")
    for key in ("../secret.ts", "a/../../secret.ts", "/etc/passwd", "", ".", "a//b", "a\0b", "a@"):
        for call in (store.stat, store.read):
            with pytest.raises(StoreError, match="not a key"):
                call(Place(key))
        with pytest.raises(StoreError, match="not a key"):
            store.write(key, "video/mp2t", [b"data"])
        assert "not a key" in store.delete([Place(key)])[Place(key)]
    with pytest.raises(MissingError):
        store.read(Place(KEY, "../../../../secret"))

    assert files(root) == []


def test_a_link_inside_the_root_is_not_followed(store: FilesystemObjects, root: Path) -> None:
    outside = root.parent / "outside"
    (outside / "clip.ts@").mkdir(parents=True)
    (outside / "clip.ts@" / f"{'0' * 32}.ts").write_bytes(b"secret")
    (root / "way").symlink_to(outside)
    for call in (store.stat, store.read):
        with pytest.raises(StoreError, match="symbolic link"):
            call(Place("way/clip.ts"))
    with pytest.raises(StoreError, match="symbolic link"):
        store.write("way/clip.ts", "video/mp2t", [b"data"])
    assert "symbolic link" in next(iter(store.delete([Place("way/clip.ts")]).values()))

    version = store.write(KEY, "video/mp2t", [b"data"]).version
    [file] = (root / f"{KEY}@").iterdir()
    file.unlink()
    file.symlink_to(outside / "clip.ts@" / f"{'0' * 32}.ts")
    with pytest.raises(StoreError):
        store.read(Place(KEY, version))
    assert [path.name for path in (outside / "clip.ts@").iterdir()] == [f"{'0' * 32}.ts"]


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "objects").symlink_to(tmp_path / "disk")
    store = open_store(tmp_path / "objects")
    store.write(KEY, "video/mp2t", [b"data"])

    assert b"".join(store.read(Place(KEY))) == b"data"


def test_deleting_removes_the_directories_that_it_empties(
    store: FilesystemObjects, root: Path
) -> None:
    store.write("2026/11/24/a.ts", "video/mp2t", [b"a"])
    store.write("2026/11/25/b.ts", "video/mp2t", [b"b"])
    store.delete([Place("2026/11/25/b.ts")])

    assert [path.name for path in (root / "2026/11").iterdir()] == ["24"]
    store.delete([Place("2026/11/24/a.ts")])
    assert [path.name for path in root.iterdir()] == ["@uploads"]


def test_an_upload_survives_that_its_directory_is_pruned_before_it_moves_in(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(root)
    real = Path.mkdir
    raced: list[Path] = []

    def mkdir(path: Path, *args: object, **options: object) -> None:
        real(path, *args, **options)  # type: ignore[arg-type]
        if path.name == "clip.ts@" and not raced:
            raced.append(directories.prune(path, root))

    monkeypatch.setattr(Path, "mkdir", mkdir)
    store.write(KEY, "video/mp2t", [b"data"])

    assert raced == [root]
    assert b"".join(store.read(Place(KEY))) == b"data"


def test_the_uploads_of_dead_processes_are_swept_at_the_start(
    store: FilesystemObjects, root: Path
) -> None:
    """Old ones without a lock; young ones and those that are still written stay."""
    uploads = root / "@uploads"
    abandoned, young = uploads / "abandoned", uploads / "young"
    for path in (abandoned, young):
        path.write_bytes(b"half")
    written = TemporaryFile(uploads)
    for path in (abandoned, written.path):
        os.utime(path, (0, 0))
    open_store(root)

    assert {young.name, written.path.name} == {path.name for path in uploads.iterdir()}
    written.close()
    assert {young.name} == {path.name for path in uploads.iterdir()}


KILLED = """
import os, signal, sys, time
from pathlib import Path
from tams_gateway.storage.media_urls import MediaUrls
from tams_gateway.testing.samples import KEYS
from tams_gateway_filesystem.store import FilesystemObjects

def chunks():
    yield b"half"
    os.kill(os.getpid(), signal.SIGKILL)

urls = MediaUrls("main", KEYS, 3600, time.time)
store = FilesystemObjects(Path(sys.argv[1]), urls, durable=True, now=time.time)
store.write("a.ts", "video/mp2t", chunks())
"""


def test_an_upload_is_swept_once_its_process_is_killed(root: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED, str(root)], check=False, timeout=30)
    assert ended.returncode == -signal.SIGKILL
    [left] = (root / "@uploads").iterdir()
    assert left.read_bytes() == b"half"
    os.utime(left, (0, 0))
    open_store(root)

    assert files(root) == []


def test_a_file_under_way_is_locked(store: FilesystemObjects, root: Path) -> None:
    def chunks() -> Iterator[bytes]:
        [path] = (root / "@uploads").iterdir()
        with path.open("rb") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield b"data"

    assert store.write(KEY, "video/mp2t", chunks()).size == 4


def test_a_directory_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    open_store(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    (other / "letter").write_text("dear")
    with pytest.raises(StoreError, match="holds 'letter' and no @uploads"):
        open_store(other)
    assert [other / "letter"] == list(other.iterdir())
