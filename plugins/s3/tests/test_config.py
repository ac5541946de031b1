"""The ready-made config, and every mistake in a section of the plugin."""

from pathlib import Path

import pytest
from tams_gateway_s3.settings import Settings

from tams_gateway.assembly import assemble
from tams_gateway.plugin import Secret
from tams_gateway.settings import load
from tests.servers.seaweed import ACCESS, SECRET

CONFIG = Path(__file__).parents[3] / "config" / "s3.toml"


def test_the_ready_made_config_opens(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environment = {
        "S3_ACCESS_KEY": ACCESS,
        "S3_SECRET_KEY": SECRET,
        "TAMS_GATEWAY__OBJECTS__MAIN__ENDPOINT": endpoint,
        "TAMS_GATEWAY__OBJECTS__MAIN__CREATE_BUCKET": "true",
    }
    assembly = assemble(load(CONFIG, environment))
    try:
        assert all(opened.check().ok for opened in assembly.opened.values())
    finally:
        assembly.close()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"endpoint": "s3.example.com"}, "endpoint: expected a URL"),
        ({"endpoint": "https://s3.example.com?x=1"}, "endpoint: expected a URL"),
        ({"public_endpoint": "ftp://s3"}, "public_endpoint: expected a URL"),
        ({"access_key": Secret("a")}, "access_key: stands together with secret_key"),
        ({"session_token": Secret("a")}, "session_token: belongs to an access_key"),
        ({"bucket": "a/b"}, "bucket: expected the name"),
        ({"window": -1}, "window: expected 0 to 604800"),
        ({"timeout": 0}, "timeout: expected more than 0"),
    ],
)
def test_a_mistake_is_one_line(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Settings(**{"bucket": "media", **wrong})  # type: ignore[arg-type]


def test_urls_hold_what_the_service_promises() -> None:
    """R-URL-10."""
    assert Settings("media", put_lifetime=7200).lifetimes(3660) == (7200, 3660)
    for wrong in (3659, 604_801):
        with pytest.raises(ValueError, match="get_lifetime: expected 3660"):
            Settings("media", get_lifetime=wrong).lifetimes(3660)
