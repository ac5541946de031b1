"""`tams-gateway s3 init` and what `tams-gateway check` says of a bucket."""

import dataclasses
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from tams_gateway.cli.main import main
from tests.servers.seaweed import ACCESS, SECRET


@dataclasses.dataclass
class Site:
    """A config with one bucket, which is not there yet."""

    config: Path

    def __call__(self, *arguments: str) -> tuple[int, str]:
        """Return the exit status of a command, and what it printed."""
        done = CliRunner().invoke(main, [*arguments, "--config", str(self.config)])
        return done.exit_code, done.output


@pytest.fixture
def site(endpoint: str, tmp_path: Path) -> Callable[..., Site]:
    bucket = f"b{uuid.uuid4().hex[:12]}"

    def made(more: str = "") -> Site:
        config = tmp_path / "tams.toml"
        config.write_text(
            f"[metadata]\nplugin = 'sqlite'\npath = '{tmp_path}/tams.db'\n"
            f"[objects.main]\nplugin = 's3'\nendpoint = '{endpoint}'\nbucket = '{bucket}'\n"
            f"access_key = '{ACCESS}'\nsecret_key = '{SECRET}'\nprefix = 'kept'\n{more}"
        )
        return Site(config)

    return made


def test_a_bucket_is_prepared_once_and_examined(site: Callable[..., Site]) -> None:
    run = site()
    status, output = run("check")
    assert status == 1
    assert "is not there\n" in output
    assert "to do: make it: tams-gateway s3 init, or create_bucket = true" in output

    status, first = run("s3", "init", "--origin", "https://app.example.com")
    assert status == 0, first
    assert ": made\n" in first
    assert "CORS: rule made\nabandoned uploads: rule made\n" in first
    status, again = run("s3", "init", "--origin", "https://app.example.com")
    assert status == 0
    assert ": is there\nCORS: the rule is there\nabandoned uploads: the rule is there\n" in again

    status, output = run("check")
    assert status == 0, output
    for words in (
        "writes, reads, lists and deletes",
        "signed URLs work",
        "clock: that of the server",
        "versions: none; a client may overwrite",
        "CORS: pages of any origin may not",
        "credentials: hold as long as the URLs",
    ):
        assert words in output
    assert run("s3", "init")[0] == 0
    assert "CORS: pages of any origin may upload and read" in run("check")[1]


def test_a_public_endpoint_that_leads_nowhere_is_told(site: Callable[..., Site]) -> None:
    run = site("public_endpoint = 'http://127.0.0.1:9'\ncreate_bucket = true")

    status, output = run("check")

    assert status == 1
    assert "http://127.0.0.1:9, where clients upload and read: does not answer" in output


def test_init_without_a_bucket_in_the_config_says_so(tmp_path: Path) -> None:
    config = tmp_path / "tams.toml"
    config.write_text(f"[metadata]\nplugin = 'sqlite'\npath = '{tmp_path}/tams.db'\n")

    status, output = Site(config)("s3", "init")

    assert status == 1
    assert 'no [objects.NAME] of the config has plugin = "s3"' in output
