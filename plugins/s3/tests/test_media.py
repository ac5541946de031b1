"""Real media in a bucket: ffmpeg plays them from signed URLs, past the gateway."""

from pathlib import Path

import pytest

from plugins.s3.tests.test_http import backend, send
from tams_gateway.testing.ingest import Ingest, seconds
from tests.media.ffmpeg import MISSING, VIDEO, ffmpeg, probe

COUNT = 4
"""Segments of a second each."""


@pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
@pytest.mark.parametrize("deployment", ["wsgi-sqlite"], indirect=True)
def test_ffmpeg_plays_a_playlist_of_signed_urls(ingest: Ingest, tmp_path: Path) -> None:
    """B6, B8, B27, B28: uploaded by URL and content type, played by the first URL of each."""
    picture = ("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-t", str(COUNT))
    cut = ("-f", "segment", "-segment_time", "1", "-segment_format", "mpegts", "%02d.ts")
    ffmpeg(tmp_path, *picture, *VIDEO, "-g", "25", *cut)
    flow_id = ingest.flow()
    made = ingest.allocate(flow_id, limit=COUNT, storage_id=backend(ingest.client, "hot"))
    for at, one in enumerate(made):
        header = {"Content-Type": one["put_url"]["content-type"]}
        file = tmp_path / f"{at:02}.ts"
        assert send("PUT", one["put_url"]["url"], file.read_bytes(), header)[0] == 200
        ingest.register(flow_id, one["object_id"], seconds(at, at + 1))

    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1"]
    for segment in ingest.segments(flow_id, {"presigned": "true"}):
        lines += ["#EXTINF:1.0,", segment["get_urls"][0]["url"]]
    playlist = tmp_path / "playlist.m3u8"
    playlist.write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]))

    track = probe(playlist, "-protocol_whitelist", "file,http,tcp")["video"]
    assert track.packets == COUNT * 25
    assert "X-Amz-Signature" in lines[-1]
