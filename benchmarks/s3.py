"""Measures what signed URLs of S3 cost: beside botocore's, and in a page of a thousand segments.

    S3_ACCESS_KEY=... S3_SECRET_KEY=... python -m benchmarks.s3 http://localhost:8333

The pages come from a gateway with metadata in memory, which makes a bucket `tams-benchmark` on that
server, beside a bare Falcon app as in `benchmarks.table`.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import botocore.session  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from tams_gateway_s3.signing import Bucket, Credentials, Signer, Wish

from tams_gateway.storage.objects import Place

from . import servers
from .goals import Goal, Row
from .table import Run, beside_bare

_COUNT: Final = 1000
_KEYS: Final = [f"2026/11/28/01970c0c-1f2e-7d3a-9b1c-{number:012d}.ts" for number in range(_COUNT)]
_GOALS: Final = {
    "gunicorn": Goal(0.12, 0.18),
    "granian": Goal(0.1, 0.18),
    "uvicorn": Goal(0.12, 0.18),
}
_ROW: Final = Row("GET 1000 segments, fresh S3 URLs, memory", "get-1000", "s3", _GOALS)


def signing(endpoint: str, access_key: str, secret_key: str) -> tuple[float, float]:
    """Return how many CPU microseconds a URL costs, and how many one of botocore's does."""
    client = botocore.session.get_session().create_client(
        "s3",
        "us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    signer = Signer(Bucket.at(endpoint, "media", "us-east-1", virtual=False))
    credentials, wish = Credentials(access_key, secret_key), Wish("GET", 3660)
    places = [Place(key) for key in _KEYS]

    def theirs() -> None:
        for key in _KEYS:
            client.generate_presigned_url("get_object", {"Bucket": "media", "Key": key}, 3660)

    return _least(lambda: signer.urls(credentials, wish, places, time.time()), 30), _least(
        theirs, 3
    )


def _least(work: Callable[[], object], times: int) -> float:
    found = []
    for _ in range(times):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found) / _COUNT * 1e6


def main() -> None:
    """Measure both, and print the lines of docs/performance.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("endpoint", help="the URL of an S3 server")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a turn")
    chosen = parser.parse_args()
    keys = os.environ["S3_ACCESS_KEY"], os.environ["S3_SECRET_KEY"]
    ours, theirs = signing(chosen.endpoint, *keys)
    print(
        f"a signed URL: {ours:.2f} us, botocore {theirs:.0f} us, {theirs / ours:.0f} times as many"
    )
    servers.STORES["s3"] = {**servers.STORES["memory"], **servers.s3(chosen.endpoint)}
    with tempfile.TemporaryDirectory() as folder:
        run = Run(chosen.rounds, chosen.seconds, Path(folder), _COUNT)
        for server in servers.SERVERS:
            beside_bare(run, server, "s3", [_ROW])


if __name__ == "__main__":
    main()
