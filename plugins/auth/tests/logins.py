"""A gateway with the built-in issuer for tests, and what clients send to it."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from tams_gateway_auth.bearer import Bearer
from tams_gateway_auth.issuer import Issuer
from tams_gateway_auth.passwords import Passwords

from tams_gateway.operations.kinds import AUTH_LOG
from tams_gateway.storage.query import Query
from tams_gateway.testing.client import Answer, Client
from tests.deployments import Deployment

PASSWORD: Final = "pass: wörd+%41"
_HASH: Final = Passwords(32, 1).hash(PASSWORD)
_CHEAP: Final = {"memory_kib": 32, "passes": 1, "lock_after": 100}


def _user(*scopes: str, **more: object) -> dict[str, object]:
    return {"password": _HASH, "scopes": [f"tams-api/{scope}" for scope in scopes], **more}


USERS: Final = {
    "alice": _user("read", "write", groups=["news"]),
    "ingest": _user("read", "write", "delete"),
    "nobody": _user(),
}

AUTH: Final = [{"plugin": "jwt", "issue": {"users": USERS, **_CHEAP}}]
"""The sections of a config with the issuer and these users."""


def basic(name: str, password: str = PASSWORD) -> dict[str, str]:
    """Return the header with a name and a password."""
    return {"authorization": f"Basic {b64encode(f'{name}:{password}'.encode()).decode()}"}


def bearing(token: str) -> dict[str, str]:
    """Return the header with a token."""
    return {"authorization": f"Bearer {token}"}


def post(
    client: Client,
    path: str,
    fields: Mapping[str, str] | str,
    headers: Mapping[str, str] = {},
) -> Answer:
    """Send a form."""
    text = fields if isinstance(fields, str) else urlencode(fields)
    kind = {"content-type": "application/x-www-form-urlencoded"}
    return client.post(path, body=text.encode(), headers={**kind, **headers})


def log_in(client: Client, name: str = "alice", **more: str) -> dict[str, Any]:
    """Log in by the password grant and return the tokens."""
    fields = {"grant_type": "password", "username": name, "password": PASSWORD, **more}
    answer = post(client, "/auth/token", fields)
    assert answer.status == 200, answer.body
    tokens: dict[str, Any] = answer.json
    return tokens


def refresh(client: Client, token: str, **more: str) -> Answer:
    """Use a refresh token."""
    fields = {"grant_type": "refresh_token", "refresh_token": token, **more}
    return post(client, "/auth/token", fields)


def status(client: Client, token: str) -> int:
    """Return how a request with an access token is answered."""
    return client.get("/service", headers=bearing(token)).status


def provider(at: Deployment) -> Bearer:
    """Return the provider of a gateway."""
    found = at.assembly.opened["auth[0]"]
    assert isinstance(found, Bearer)
    return found


def issuer(at: Deployment) -> Issuer:
    """Return the issuer of a gateway."""
    found = provider(at)._issuer
    assert found is not None
    return found


def later(at: Deployment, seconds: float) -> None:
    """Let time pass for the tokens that a gateway has verified."""
    verified = provider(at)._verified
    elapsed = verified._elapsed
    verified._elapsed = lambda: elapsed() + seconds


def noted(at: Deployment) -> list[tuple[str, str]]:
    """Return what the log of logins has, action and name, without what logins bring each time."""
    found = at.gateway.metadata.find(Query(AUTH_LOG, limit=1000)).items
    return sorted((str(one.fields["action"]), str(one.fields["who"])) for one in found)
