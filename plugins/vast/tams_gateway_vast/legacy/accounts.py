"""Webhooks with their owners; and users and tokens, which have to be made anew."""

import shlex
from collections.abc import Mapping
from typing import Final

import msgspec

from tams_gateway.auth.principal import ANYBODY, Principal, Scope
from tams_gateway.domain.errors import Refusal
from tams_gateway.plugin.commands import Import
from tams_gateway_vast.legacy.documents import Document
from tams_gateway_vast.legacy.report import Report
from tams_gateway_vast.legacy.tables import Tables
from tams_gateway_vast.legacy.values import Row, fitting, items, text

_IDS: Final = ("flow_ids", "source_ids", "flow_collected_by_ids", "source_collected_by_ids")
_LISTS: Final = ("events", *_IDS, "accept_get_urls", "accept_storage_ids")
_FINISHED: Final = frozenset({"done", "completed", "complete", "finished", "error", "failed"})

_UNREAD: Final = {
    "refresh_tokens": "whoever is logged in logs in again",
    "auth_logs": "the log stays where it is: read it with SQL",
}

_READ: Final = frozenset(
    {
        *("sources", "flows", "segments", "objects", "flow_object_references"),
        *("flow_collections", "source_collections", "tags", "webhooks", "deletion_requests"),
        *("users", "api_tokens", *_UNREAD),
    }
)


class Accounts:
    """Takes webhooks over, and tells of all that belongs to people and can't be taken."""

    def __init__(self, tables: Tables, report: Report, importer: Import) -> None:
        self._tables = tables
        self._report = report
        self._importer = importer

    def run(self) -> None:
        """Take the webhooks over, and tell of the rest. Raises `StoreError`."""
        users = {text(row, "user_id"): row for row in self._tables.rows("users")}
        for row in self._tables.rows("webhooks"):
            self._webhook(row, users)
        for row in users.values():
            scopes = " ".join(f"--scope {scope}" for scope in _scopes(row))
            name = shlex.quote(text(row, "username"))
            told = f"its password can't be checked here: tams-gateway user add {scopes} {name}"
            self._report.tell("user to be made anew", "left out", "users", told, row)
        for row in self._tables.rows("api_tokens"):
            name = shlex.quote(text(users.get(text(row, "user_id"), {}), "username"))
            told = f"its hash can't be checked here: tams-gateway token create {name}"
            self._report.tell("token to be made anew", "left out", "api_tokens", told, row)
        for row in self._tables.rows("deletion_requests"):
            done = text(row, "status").lower() in _FINISHED
            told = "it has ended" if done else "its flow is here as far as it was: delete it again"
            problem = "deletion request" if done else "deletion request that had not ended"
            self._report.tell(problem, "left out", "deletion_requests", told, row)
        for name in self._tables.names:
            if name in _UNREAD or name not in _READ:
                told = _UNREAD.get(name, "no table of the older server that is known here")
                self._report.tell("table that is not read", "left out", name, told, {})

    def _webhook(self, row: Row, users: Mapping[str, Row]) -> None:
        try:
            document = _webhook(row)
            owner = _owner(row, users)
            webhook_id = fitting(text(row, "id"))
            encoded = msgspec.json.encode(document)
            self._importer.webhook(webhook_id, encoded, owner)
        except ValueError as error:
            self._report.tell("JSON that is none", "left out", "webhooks", str(error), row)
            return
        except Refusal as refusal:
            self._report.tell("webhook refused", "left out", "webhooks", refusal.summary, row)
            return
        self._report.taken["webhooks"] += 1
        if webhook_id != row.get("id"):
            told = f"it is {webhook_id} here"
            self._report.tell("id is no UUID in lower case", "mended", "webhooks", told, row)


def _webhook(row: Row) -> Document:
    """Return the body of the POST of a webhook. Raises ValueError for lists that are none."""
    document: Document = {"url": text(row, "url")}
    for name in _LISTS:
        found = items(row, name)
        if found or name == "events":
            document[name] = [fitting(str(one)) for one in found] if name in _IDS else found
    for name in ("api_key_name", "api_key_value"):
        if text(row, name):
            document[name] = text(row, name)
    for name in ("presigned", "verbose_storage"):
        if isinstance(row.get(name), bool):
            document[name] = row[name]
    return document


def _owner(row: Row, users: Mapping[str, Row]) -> Principal:
    """Return for whom the events of a webhook are judged: who made it; anybody if nobody did."""
    id_ = text(row, "owner_id") or text(row, "created_by")
    if not id_:
        return ANYBODY
    user = users.get(id_, {"username": id_})
    scopes = {Scope(f"tams-api/{name}") for name in _scopes(user)}
    return Principal(text(user, "username") or id_, frozenset(scopes))


def _scopes(user: Row) -> list[str]:
    return ["admin"] if user.get("is_admin") is True else ["read"]
