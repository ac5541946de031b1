"""Real media: in only through the API, out by time, byte by byte, and playable."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tams_gateway.domain.timerange import SECOND
from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest
from tests.media.ffmpeg import VIDEO, ffmpeg, probe
from tests.media.shelf import fetch, pages, span, upload

COUNT = 8
PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25")
TONE = ("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000")
ESSENCE = {"frame_width": 320, "frame_height": 180, "frame_rate": {"numerator": 25}}


def assert_read_back(ingest: Ingest, flow_id: str, contents: Sequence[bytes]) -> None:
    """Read segments of a second each: all, from the middle, backwards, by page (B26)."""
    whole = [*contents]
    assert pages(ingest, flow_id, "limit=1000") == whole
    assert pages(ingest, flow_id, "limit=3") == whole
    assert pages(ingest, flow_id, "limit=3&reverse_order=true") == whole[::-1]
    assert pages(ingest, flow_id, "timerange=[3:0_6:0)") == whole[3:6]
    assert pages(ingest, flow_id, "timerange=[3:500000000_6:0]&limit=2") == whole[3:7]
    assert pages(ingest, flow_id, "timerange=(2:999999999_&reverse_order=true") == whole[:2:-1]


def register(ingest: Ingest, flow_id: str, object_ids: list[str], **members: object) -> None:
    """Place the objects on the timeline, a second each, with one request."""
    ingest.add_many(
        flow_id,
        [
            {"object_id": one, "timerange": span(at * SECOND, (at + 1) * SECOND), **members}
            for at, one in enumerate(object_ids)
        ],
    )


@pytest.fixture(scope="module")
def transport_stream(client: Client, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Segments of MPEG-TS with video and audio."""
    folder = tmp_path_factory.mktemp("ts")
    cut = ("-f", "segment", "-segment_time", "1", "-segment_format", "mpegts")
    coded = (*VIDEO, "-g", "25", "-c:a", "aac")
    ffmpeg(folder, *PICTURE, *TONE, "-t", str(COUNT), *coded, *cut, "%02d.ts")
    return sorted(folder.glob("*.ts"))[:COUNT]


def test_a_transport_stream_comes_back_and_plays(
    ingest: Ingest, transport_stream: list[Path], tmp_path: Path
) -> None:
    """R-STO-08, R-SEG-07, B6, B26, B28: video with audio, on the default store."""
    flow_id = ingest.flow(essence_parameters=ESSENCE)
    register(ingest, flow_id, upload(ingest, flow_id, transport_stream))

    contents = [file.read_bytes() for file in transport_stream]
    assert_read_back(ingest, flow_id, contents)
    played = tmp_path / "played.ts"
    played.write_bytes(b"".join(pages(ingest, flow_id, "limit=5")))
    tracks = probe(played)
    assert tracks["video"].packets == COUNT * 25
    assert tracks["video"].seconds == pytest.approx(COUNT, abs=0.05)
    assert tracks["audio"].packets == pytest.approx(COUNT * 48000 / 1024, abs=2)


def test_ffmpeg_plays_a_playlist_of_get_urls(
    ingest: Ingest, transport_stream: list[Path], tmp_path: Path
) -> None:
    """B27, B8: the first URL of each segment, as it is, without credentials."""
    flow_id = ingest.flow(essence_parameters=ESSENCE)
    register(ingest, flow_id, upload(ingest, flow_id, transport_stream))

    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1"]
    for segment in ingest.segments(flow_id, {"presigned": "true"}):
        lines += ["#EXTINF:1.0,", segment["get_urls"][0]["url"]]
    playlist = tmp_path / "playlist.m3u8"
    playlist.write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]))

    tracks = probe(playlist, "-protocol_whitelist", "file,http,tcp")
    assert tracks["video"].packets == COUNT * 25
    allowed = ("-protocol_whitelist", "file,http,tcp")
    ffmpeg(tmp_path, *allowed, "-i", str(playlist), "-c", "copy", "copied.mp4")
    assert probe(tmp_path / "copied.mp4")["video"].packets == COUNT * 25


def test_fragmented_mp4_comes_back_with_its_init_segment_and_plays(
    ingest: Ingest, tmp_path: Path
) -> None:
    """R-SEG-08, R-SEG-30, R-SEG-32, R-STO-07: the init object is allocated first."""
    cut = ("-f", "hls", "-hls_time", "1", "-hls_segment_type", "fmp4", "-hls_list_size", "0")
    names = ("-hls_fmp4_init_filename", "init.mp4", "-hls_segment_filename", "%02d.m4s")
    coded = (*PICTURE, "-t", str(COUNT), *VIDEO, "-g", "25")
    ffmpeg(tmp_path, *coded, *cut, *names, "out.m3u8")
    files = sorted(tmp_path.glob("*.m4s"))
    init = tmp_path / "init.mp4"
    flow_id = ingest.init_flow(essence_parameters={**ESSENCE, "init_segments": True})
    [init_id] = upload(ingest, flow_id, [init], content_type="video/mp4")
    object_ids = upload(ingest, flow_id, files)
    register(ingest, flow_id, object_ids, init_object_id=init_id)

    assert_read_back(ingest, flow_id, [file.read_bytes() for file in files])
    segments = ingest.segments(flow_id)
    assert {segment["init_object"]["object_id"] for segment in segments} == {init_id}
    shown = fetch(ingest, segments[0]["init_object"])
    assert shown == init.read_bytes()
    played = tmp_path / "played.mp4"
    played.write_bytes(shown + b"".join(fetch(ingest, segment) for segment in segments))
    tracks = probe(played)
    assert tracks["video"].packets == COUNT * 25
    assert tracks["video"].seconds == pytest.approx(COUNT, abs=0.05)


def test_wav_comes_back_and_plays(ingest: Ingest, tmp_path: Path) -> None:
    """Audio without loss, to the sample."""
    cut = ("-f", "segment", "-segment_time", "1", "%02d.wav")
    ffmpeg(tmp_path, *TONE, "-t", str(COUNT), "-c:a", "pcm_s16le", *cut)
    files = sorted(tmp_path.glob("*.wav"))
    flow_id = ingest.flow(
        format="urn:x-nmos:format:audio",
        codec="audio/x-raw-int",
        container="audio/wav",
        essence_parameters={
            "sample_rate": 48000,
            "channels": 1,
            "bit_depth": 16,
            "unc_parameters": {"unc_type": "interleaved"},
        },
    )
    register(ingest, flow_id, upload(ingest, flow_id, files))

    contents = [file.read_bytes() for file in files]
    assert_read_back(ingest, flow_id, contents)
    back = tmp_path / "back"
    back.mkdir()
    names = [f"{at:02}.wav" for at in range(COUNT)]
    for name, content in zip(names, pages(ingest, flow_id, "limit=3"), strict=True):
        (back / name).write_bytes(content)
    (back / "list.txt").write_text("".join(f"file {name}\n" for name in names))
    ffmpeg(back, "-f", "concat", "-i", "list.txt", "-c", "copy", "joined.wav")
    ffmpeg(back, "-i", "joined.wav", "-f", "s16le", "samples")
    assert probe(back / "joined.wav")["audio"].seconds == pytest.approx(COUNT, abs=1e-6)
    assert (back / "samples").stat().st_size == COUNT * 48000 * 2
