"""The ready-made config opens on a cluster."""

import json
from pathlib import Path

import pytest

from tams_gateway.assembly import assemble
from tams_gateway.settings import load
from tests.servers.vast import Server

CONFIG = Path(__file__).parents[3] / "config" / "vast-s3.toml"


def test_the_ready_made_config_opens(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environment = {
        "VAST_ACCESS_KEY": server.access,
        "VAST_SECRET_KEY": server.secret,
        "S3_ACCESS_KEY": "key",
        "S3_SECRET_KEY": "secret",
        "TAMS_GATEWAY__METADATA__ENDPOINTS": json.dumps(server.endpoints),
        "TAMS_GATEWAY__METADATA__BUCKET": server.bucket,
    }
    assembly = assemble(load(CONFIG, environment))
    try:
        assert list(assembly.opened) == ["metadata", "objects.main"]
        assert assembly.opened["metadata"].check().ok
    finally:
        assembly.close()
