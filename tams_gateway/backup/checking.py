"""Whether a backup is intact: every file of it is read."""

from hashlib import sha256

from tams_gateway.backup.folder import BackupError, Folder, Manifest
from tams_gateway.backup.progress import Track


def faults_of(folder: Folder, manifest: Manifest, track: Track) -> list[str]:
    """Return what is missing or differs from what was written, a line each."""
    faults = []
    for file in (manifest.metadata, manifest.objects):
        try:
            folder.check(file)
        except BackupError as error:
            faults.append(str(error))
    if faults:
        return faults
    for item in track("backup", folder.items(manifest.objects.name), manifest.instances):
        digest, size = sha256(), 0
        try:
            for chunk in folder.read(item.sha256):
                digest.update(chunk)
                size += len(chunk)
        except BackupError as error:
            faults.append(f"object {item.object_id!r}: {error}")
            continue
        if (size, digest.hexdigest()) != (item.size, item.sha256):
            path = folder.bytes_of(item.sha256)
            faults.append(f"object {item.object_id!r}: {path} is not what was copied")
    return faults
