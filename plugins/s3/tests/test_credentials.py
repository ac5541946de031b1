"""Credentials that are found on the machine, and change or expire while the gateway runs."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from tams_gateway_s3 import connection
from tams_gateway_s3.settings import Settings
from tams_gateway_s3.store import S3Objects

from plugins.s3.tests.conftest import LIFETIME
from tams_gateway.storage.errors import StoreError
from tams_gateway.storage.objects import Place

Issue = Callable[[str, timedelta], None]


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without any credentials but those in these files, which are looked at each time."""
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "shared"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(connection, "_LOOKED_FOR", 0.0)


@pytest.fixture
def issue(tmp_path: Path) -> Issue:
    """Lets a process that AWS tools ask for credentials give these from now on."""
    issued = tmp_path / "issued.json"
    program = f"{sys.executable} -c \"print(open('{issued}').read())\""
    (tmp_path / "config").write_text(f"[profile sessions]\ncredential_process = {program}\n")

    def issue(name: str, lifetime: timedelta) -> None:
        ends = datetime.now(UTC) + lifetime
        keys = {"AccessKeyId": name, "SecretAccessKey": "s", "SessionToken": f"{name}-token"}
        issued.write_text(json.dumps({"Version": 1, **keys, "Expiration": ends.isoformat()}))

    return issue


@pytest.fixture
def store() -> Iterator[S3Objects]:
    settings = Settings("media", endpoint="http://127.0.0.1:9", profile="sessions")
    with closing(S3Objects(settings, LIFETIME, lambda: 1_800_000_000.0)) as store:
        yield store


def signer(store: S3Objects) -> tuple[str, str | None]:
    """Return the access key and the token of a URL that is made now."""
    [url] = store.download([Place("a.ts")], presigned=True)
    query = parse_qs(urlsplit(url).query)
    return query["X-Amz-Credential"][0].split("/")[0], query.get("X-Amz-Security-Token", [None])[0]


def test_younger_credentials_sign_before_the_old_ones_end(store: S3Objects, issue: Issue) -> None:
    """Half an hour is enough for a request to the server, but a URL is to hold for an hour."""
    issue("old", timedelta(minutes=30))
    assert signer(store) == ("old", "old-token")
    assert store.connection.short_lived()

    issue("young", timedelta(hours=6))

    assert signer(store) == ("young", "young-token")
    assert not store.connection.short_lived()


def test_what_still_holds_signs_on_where_there_is_nothing_younger(
    store: S3Objects, issue: Issue, tmp_path: Path
) -> None:
    issue("old", timedelta(minutes=30))
    assert signer(store)[0] == "old"

    (tmp_path / "issued.json").unlink()

    assert signer(store)[0] == "old"
    assert store.connection.short_lived()


def test_expired_credentials_sign_nothing(store: S3Objects, issue: Issue) -> None:
    issue("old", timedelta(minutes=-1))
    with pytest.raises(StoreError, match=r"no valid credentials: .*; renew them"):
        signer(store)

    issue("young", timedelta(hours=6))
    assert signer(store)[0] == "young"


def test_a_source_of_credentials_that_fails_is_told(store: S3Objects, issue: Issue) -> None:
    """It has nothing to give."""
    with pytest.raises(StoreError, match=r"no valid credentials: .*; renew them"):
        signer(store)
    assert not store.check().ok


def test_keys_in_a_file_are_read_again(tmp_path: Path) -> None:
    file = tmp_path / "shared"
    settings = Settings("media", endpoint="http://127.0.0.1:9")
    with closing(S3Objects(settings, LIFETIME, lambda: 1_800_000_000.0)) as store:
        with pytest.raises(StoreError, match="no credentials; give access_key and secret_key"):
            signer(store)
        clients = []
        for name in ("one", "two"):
            file.write_text(f"[default]\naws_access_key_id = {name}\naws_secret_access_key = s\n")
            assert signer(store) == (name, None)
            clients.append(store.connection.client)
    assert clients[0] is not clients[1], "requests are signed with the new keys as well"
