"""ffmpeg and ffprobe as the tests call them."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final, NamedTuple

MISSING: Final = None if shutil.which("ffmpeg") else "ffmpeg is missing: apt-get install ffmpeg"
"""Why tests of real media cannot run here, None where they can."""

VIDEO: Final = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-sc_threshold", "0")


class Track(NamedTuple):
    """What ffprobe counts in one stream of a file."""

    kind: str
    packets: int
    seconds: float


def ffmpeg(folder: Path, *arguments: str) -> None:
    """Run ffmpeg in a folder; fail with what it says."""
    command = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-y", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def probe(source: Path | str, *options: str) -> dict[str, Track]:
    """Count packets by the kind of stream, through the whole of a file or playlist."""
    fields = "stream=codec_type,nb_read_packets,duration:format=duration"
    found = _ffprobe(source, "-count_packets", "-show_entries", fields, *options)
    total = found["format"].get("duration", 0)
    return {
        one["codec_type"]: Track(
            one["codec_type"], int(one["nb_read_packets"]), float(one.get("duration", total))
        )
        for one in found["streams"]
    }


def frame_times(source: Path) -> list[int]:
    """Return the embedded timestamps of the video frames, in units of the stream's time base."""
    fields = ("-select_streams", "v", "-show_entries", "frame=pts")
    return [int(frame["pts"]) for frame in _ffprobe(source, *fields)["frames"]]


def _ffprobe(source: Path | str, *options: str) -> dict[str, Any]:
    command = ["ffprobe", "-v", "error", "-of", "json", *options, str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found
