"""The routes of the issuer: OAuth 2.0 tokens (RFC 6749) and their end (RFC 7009)."""

import time
from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias
from urllib.parse import parse_qsl

import msgspec

from tams_gateway.auth.journal import AuthAction, AuthEntry
from tams_gateway.auth.principal import Scope
from tams_gateway.auth.provider import DeniedError
from tams_gateway.domain.datetimes import date_time
from tams_gateway.plugin import Context, PluginRoute, Request, Response
from tams_gateway_auth.basic import name_and_password
from tams_gateway_auth.claims import known_scopes, scope_text
from tams_gateway_auth.issuer import Granted, Issuer
from tams_gateway_auth.users import User

_LARGEST: Final = 65536
"""The largest form that is looked at, in bytes."""

_MOST_FIELDS: Final = 32
_FORM: Final = "application/x-www-form-urlencoded"
_UNCACHED: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}

_Error: TypeAlias = Literal[
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "invalid_scope",
    "unsupported_grant_type",
]


class _RefusedError(Exception):
    """A request for a token that is refused, as RFC 6749 (5.2) has it."""

    def __init__(self, error: _Error, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description

    def response(self, request: Request) -> Response:
        """Return the answer, which has what every error of the API has as well (R-GEN-10)."""
        body = {
            "error": self.error,
            "error_description": self.description,
            "type": self.error,
            "summary": self.description,
            "message": self.description,
            "time": date_time(time.time_ns()),
            "request_id": request.id,
        }
        status, headers = 400, _UNCACHED
        if self.error == "invalid_client":
            status, headers = 401, {**_UNCACHED, "WWW-Authenticate": 'Basic realm="tams"'}
        return Response(status=status, body=msgspec.json.encode(body), headers=headers)


class IssuerRoutes:
    """`POST /auth/token` and `POST /auth/revoke`; both look at credentials themselves."""

    def __init__(self, issuer: Issuer, context: Context) -> None:
        self._issuer = issuer
        self._context = context
        self._grants = {
            "client_credentials": self._client_credentials,
            "password": self._password,
            "refresh_token": self._refresh,
        }

    def routes(self) -> Sequence[PluginRoute]:
        """Return the routes."""
        return [
            PluginRoute("POST", "/auth/token", self._token, open=True, logs_in=True),
            PluginRoute("POST", "/auth/revoke", self._revoke, open=True),
        ]

    def _token(self, request: Request) -> Response:
        try:
            form = _form(request)
            grant = self._grants.get(_needed(form, "grant_type"))
            if grant is None:
                known = ", ".join(self._grants)
                raise _RefusedError("unsupported_grant_type", f"expected one of {known}")
            granted = grant(request, form)
        except _RefusedError as refused:
            return refused.response(request)
        return Response(body=msgspec.json.encode(granted), headers=_UNCACHED)

    def _client_credentials(self, request: Request, form: Mapping[str, str]) -> Granted:
        client = self._client(request, form)
        if client is None:
            raise _RefusedError("invalid_client", "expected client_id and client_secret")
        granted = self._issuer.grant(client, _asked(form, client.scopes))
        self._note(request, "token_issued", client.name, f"client_credentials {granted.scope}")
        return granted

    def _password(self, request: Request, form: Mapping[str, str]) -> Granted:
        client = self._client(request, form)
        name, password = _needed(form, "username"), _needed(form, "password")
        try:
            user = self._verified(request, name, password)
        except DeniedError as error:
            raise _RefusedError("invalid_grant", str(error)) from error
        scopes = _asked(form, user.scopes)
        granted = self._issuer.log_in(user, scopes, client.name if client else None)
        self._note(request, "token_issued", user.name, f"password {granted.scope}")
        return granted

    def _refresh(self, request: Request, form: Mapping[str, str]) -> Granted:
        client = self._client(request, form)
        stored = self._issuer.found(_needed(form, "refresh_token"))
        if stored is None:
            self._note(request, "failure", "", "refresh token: unknown or expired")
            raise _RefusedError("invalid_grant", "unknown or expired refresh token")
        token = stored.token
        if token.used:
            self._issuer.end_family(token.family)
            self._note(request, "token_reused", token.user, "all tokens of the login were ended")
            raise _RefusedError("invalid_grant", "unknown or expired refresh token")
        try:
            user = self._issuer.holder(token)
        except DeniedError as error:
            self._note(request, "failure", token.user, f"refresh token: {error}")
            raise _RefusedError("invalid_grant", "unknown or expired refresh token") from error
        if token.client != (client.name if client else None):
            self._note(request, "failure", token.user, "refresh token: of another client")
            raise _RefusedError("invalid_grant", "the refresh token is another client's")
        scopes = _asked(form, token.scopes & user.scopes)
        granted = self._issuer.refresh(stored, user, scopes)
        self._note(request, "token_refreshed", user.name, granted.scope)
        return granted

    def _revoke(self, request: Request) -> Response:
        """End a token; who has it may do so. One that is unknown is as good as ended (RFC 7009)."""
        try:
            text = _needed(_form(request), "token")
        except _RefusedError as refused:
            return refused.response(request)
        user = self._issuer.end(text)
        if user is None and (stored := self._issuer.found(text)) is not None:
            user = stored.token.user
            self._issuer.end_family(stored.token.family)
        if user is not None:
            self._note(request, "token_revoked", user)
        return Response(headers=_UNCACHED)

    def _client(self, request: Request, form: Mapping[str, str]) -> User | None:
        """Return the client that proved who it is, by header or form (B21), None without a secret.

        A `client_id` alone is of a client that can keep no secret, such as a page.
        """
        header = request.headers.get("authorization", "")
        name, secret = form.get("client_id", ""), form.get("client_secret", "")
        if header.partition(" ")[0].lower() == "basic":
            if secret:
                raise _RefusedError("invalid_request", "the client's secret is in header and form")
            try:
                name, secret = name_and_password(header.partition(" ")[2])
            except DeniedError as error:
                raise _RefusedError("invalid_client", str(error)) from error
        if not secret:
            return None
        try:
            return self._verified(request, name, secret)
        except DeniedError as error:
            raise _RefusedError("invalid_client", str(error)) from error

    def _verified(self, request: Request, name: str, password: str) -> User:
        users = self._issuer.users
        users.verify(name, password, request.peer, request.id)
        return users.find(name)

    def _note(self, request: Request, action: AuthAction, who: str, detail: str = "") -> None:
        self._context.note(AuthEntry(action, who, request.peer, request.id, detail))


def _form(request: Request) -> dict[str, str]:
    """Return the fields of a form; an empty one counts as absent (RFC 6749, 3.2)."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _FORM:
        raise _RefusedError("invalid_request", f"expected a body of type {_FORM}")
    if len(request.body) > _LARGEST:
        raise _RefusedError("invalid_request", f"expected a form of at most {_LARGEST} bytes")
    try:
        pairs = parse_qsl(request.body.decode(), errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise _RefusedError("invalid_request", "the form is malformed") from error
    form = dict(pairs)
    if len(form) < len(pairs):
        raise _RefusedError("invalid_request", "a field of the form is there twice")
    return form


def _needed(form: Mapping[str, str], name: str) -> str:
    if name not in form:
        raise _RefusedError("invalid_request", f"{name} is missing")
    return form[name]


def _asked(form: Mapping[str, str], granted: frozenset[Scope]) -> frozenset[Scope]:
    """Return the scopes that a form asks for, all that there are without any (B21)."""
    if "scope" not in form:
        return granted
    words = set(form["scope"].split())
    asked = known_scopes(sorted(words))
    if len(asked) < len(words) or not asked <= granted:
        raise _RefusedError("invalid_scope", f"expected some of: {scope_text(granted)}")
    return asked
