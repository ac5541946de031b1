"""Signatures that receivers verify, with a library of the standard and with what the guide says."""

import base64
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tams_gateway.config_file import ConfigError
from tams_gateway.settings import load
from tams_gateway.testing.waiting import eventually
from tests.deployments import in_process

from .conftest import Open, config
from .receiver import Answer, Received, Receiver

GUIDE = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text()
OLD, NEW, OTHER = ("whsec_" + base64.b64encode(bytes([n]) * 24).decode() for n in range(3))

Verified = Callable[[str, Mapping[str, str], bytes], bool]


@pytest.fixture
def received(open_site: Open) -> list[Received]:
    """Two deliveries of one event, signed with a new and an old secret."""
    failures = iter([500])
    site = open_site("asgi", "sqlite", signing_secret=[NEW, OLD])
    with Receiver(lambda _: Answer(next(failures, 200))) as receiver:
        site.register(receiver.url)
        site.add(site.ingest.flow(), 0)
        assert eventually(lambda: receiver.accepted)
    return receiver.met


def by_library(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    try:
        Webhook(secret).verify(body, dict(headers))
    except WebhookVerificationError:
        return False
    return True


def by_the_guide_in_python(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    [code] = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    namespace: dict[str, Verified] = {}
    exec(code, namespace)
    return namespace["verified"](secret, headers, body)


def by_the_guide_in_javascript(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed: apt-get install nodejs")
    [code] = re.findall(r"```js\n(.*?)```", GUIDE, re.DOTALL)
    sent = json.dumps([secret, dict(headers), body.decode()])
    call = f"\nconst [s, h, b] = {sent};\nconsole.log(verified(s, h, Buffer.from(b)));"
    done = subprocess.run([node, "-e", code + call], capture_output=True, text=True, check=True)
    return {"true": True, "false": False}[done.stdout.strip()]


@pytest.mark.parametrize(
    "verified", [by_library, by_the_guide_in_python, by_the_guide_in_javascript]
)
def test_a_receiver_verifies_with_either_secret(
    received: list[Received], verified: Verified
) -> None:
    first, second = received
    for secret in (OLD, NEW):
        assert verified(secret, second.headers, second.body)
    assert not verified(OTHER, second.headers, second.body)
    assert not verified(NEW, second.headers, second.body + b" ")
    aged = {**second.headers, "webhook-timestamp": "1700000000"}
    assert not verified(NEW, aged, second.body)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


def test_events_and_webhooks_have_ids_of_their_own(open_site: Open) -> None:
    site = open_site(signing_secret=OLD)
    with Receiver() as receiver:
        site.register(receiver.url)
        site.register(receiver.url)
        site.add(site.ingest.flow(), 0, 2)
        assert eventually(lambda: len(receiver.accepted) == 4)
    assert len({one.headers["webhook-id"] for one in receiver.met}) == 4
    assert all(by_library(OLD, one.headers, one.body) for one in receiver.met)


def test_without_a_secret_nothing_is_signed(open_site: Open) -> None:
    site = open_site()
    with Receiver() as receiver:
        site.register(receiver.url)
        site.add(site.ingest.flow(), 0)
        assert eventually(lambda: receiver.accepted)
    assert "webhook-signature" not in receiver.met[0].headers


@pytest.mark.parametrize("secret", ["", "hush", "whsec_hush", "whsec_aHVzaA==", NEW[6:]])
def test_a_secret_of_another_form_is_refused_at_start(tmp_path: Path, secret: str) -> None:
    settings = load(config(tmp_path, "memory", {"signing_secret": secret}), {})
    with (
        pytest.raises(ConfigError, match="signing_secret: expected whsec_"),
        in_process("wsgi", settings, []),
    ):
        pass


def test_secrets_come_from_the_environment_and_from_files(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{OLD}\n")
    path = config(tmp_path, "memory", {})
    new = f'signing_secret = [{{ env = "NEW" }}, {{ file = "{tmp_path}/secret" }}]\n'
    path.write_text(path.read_text() + new)
    with in_process("wsgi", load(path, {**os.environ, "NEW": NEW}), []) as deployment:
        assert deployment.assembly.opened["events[0]"].check().ok
