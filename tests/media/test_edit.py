"""An edit by reference: no media is copied, and not a frame is lost or doubled."""

from fractions import Fraction
from pathlib import Path

from tams_gateway.domain.timerange import SECOND, format_timestamp, parse_timestamp
from tams_gateway.testing.ingest import Ingest
from tams_gateway.testing.samples import Document
from tests.media.ffmpeg import VIDEO, ffmpeg, frame_times, probe
from tests.media.shelf import fetch, span, upload

RATE = Fraction(30000, 1001)
FRAMES = 30
"""In each object: a little more than a second."""

START = 1_700_000_000 * SECOND


def at(frame: int) -> int:
    """Return the nanosecond at or before a frame, so that ranges hold just the frames meant."""
    return int(frame * SECOND / RATE)


def recorded(ingest: Ingest, folder: Path, picture: str) -> tuple[str, list[str]]:
    """Return a flow of four objects at 29.97 fps that starts at START, and the objects."""
    folder.mkdir()
    made = ("-f", "lavfi", "-i", f"{picture}=size=320x180:rate=30000/1001")
    cut = ("-f", "segment", "-segment_time", "1.001", "-segment_format", "mpegts")
    exact = ("-segment_format_options", "mpegts_copyts=1", "-muxdelay", "0", "-muxpreload", "0")
    coded = ("-frames:v", str(4 * FRAMES), *VIDEO, "-g", str(FRAMES))
    ffmpeg(folder, *made, *coded, *cut, *exact, "%02d.ts")
    files = sorted(folder.glob("*.ts"))
    assert [len(frame_times(file)) for file in files] == [FRAMES] * 4
    flow_id = ingest.flow(
        essence_parameters={
            "frame_width": 320,
            "frame_height": 180,
            "frame_rate": {"numerator": 30000, "denominator": 1001},
        }
    )
    object_ids = upload(ingest, flow_id, files)
    segments = [
        {
            "object_id": object_id,
            "timerange": span(START + at(first), START + at(first + FRAMES)),
            "ts_offset": format_timestamp(START),
        }
        for object_id, first in zip(object_ids, range(0, 4 * FRAMES, FRAMES), strict=True)
    ]
    ingest.add_many(flow_id, segments)
    return flow_id, object_ids


def parts(ingest: Ingest, flow_id: str, first: int, last: int, to: int) -> list[Document]:
    """Return segments that show frames of a flow, up to but not including `last`, from `to` on."""
    start, end = START + at(first), START + at(last)
    found = []
    for segment in ingest.segments(flow_id, {"timerange": span(start, end)}):
        ingest.media_object(segment["object_id"])
        begin, stop = (parse_timestamp(one) for one in segment["timerange"][1:-1].split("_"))
        begin, stop = max(begin, start), min(stop, end)
        moved = to - start
        ts_offset = parse_timestamp(segment["ts_offset"]) + moved
        found.append(
            {
                "object_id": segment["object_id"],
                "timerange": span(begin + moved, stop + moved),
                "ts_offset": format_timestamp(ts_offset),
            }
        )
    return found


def test_parts_of_two_flows_join_in_a_third_to_the_exact_frame_count(
    ingest: Ingest, tmp_path: Path
) -> None:
    """R-SEG-18, R-SEG-26: offsets of both signs, times of 1.7e9 seconds."""
    first, _ = recorded(ingest, tmp_path / "first", "testsrc2")
    second, _ = recorded(ingest, tmp_path / "second", "smptebars")
    edit = ingest.flow()
    cut = parts(ingest, first, 40, 100, 0)
    join = at(100) - at(40)
    cut += parts(ingest, second, 16, 75, join)

    ingest.add_many(edit, cut)

    end = join + at(75) - at(16)
    document = ingest.document(edit, {"include_timerange": "true"})
    assert document["timerange"] == span(0, end)
    segments = ingest.segments(edit)
    assert len(segments) == 6
    signs = {segment["ts_offset"][:1] == "-" for segment in segments}
    assert signs == {True, False}
    shown = 0
    with (tmp_path / "edit.ts").open("wb") as joined:
        for number, segment in enumerate(segments):
            shown += rendered(ingest, segment, tmp_path / f"{number}.ts")
            joined.write((tmp_path / f"cut-{number}.ts").read_bytes())
    assert shown == 60 + 59
    assert probe(tmp_path / "edit.ts")["video"].packets == 60 + 59


def rendered(ingest: Ingest, segment: Document, file: Path) -> int:
    """Cut the frames of a segment out of its object; return how many the service means."""
    file.write_bytes(fetch(ingest, segment))
    offset = parse_timestamp(segment["ts_offset"])
    start, end = (parse_timestamp(one) - offset for one in segment["timerange"][1:-1].split("_"))
    times = frame_times(file)
    wanted = [one for one in times if start <= Fraction(one, 90_000) * SECOND < end]
    trim = f"trim=start_pts={wanted[0]}:end_pts={wanted[-1] + 1},setpts=PTS-STARTPTS"
    cut = f"cut-{file.name}"
    ffmpeg(file.parent, "-copyts", "-i", file.name, "-vf", trim, *VIDEO, "-f", "mpegts", cut)
    return len(wanted)
