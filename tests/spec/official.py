"""The official document of TAMS 8.2, where it is at hand, as a judge of answers.

It is looked for in `$TAMS_SPEC` and beside the repository; we hold no copy of it.
"""

import functools
import json
import os
import re
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import jsonschema_rs
import pytest

from tams_gateway.testing.client import Answer, Watch

_BESIDE: Final = Path(__file__).parents[3] / "shared" / "tams-spec"

FOLDER: Final = Path(os.environ.get("TAMS_SPEC") or _BESIDE)
"""Where the document, its schemas and its examples are."""

PRESENT: Final = (FOLDER / "tams-8.2.openapi.json").is_file()

needs_document: Final = pytest.mark.skipif(
    not PRESENT, reason="the official document is absent: set TAMS_SPEC to its folder"
)

_UNSET_BIT_RATE: Final = re.compile(r"/flows/[^/]+/(max|avg)_bit_rate")
"""Here alone null is an answer, which the document does not foresee (G-06)."""

_PAGING: Final = {
    "x-paging-limit": re.compile(r"[1-9][0-9]*"),
    "x-paging-count": re.compile(r"[0-9]+"),
    "x-paging-reverse-order": re.compile(r"true|false"),
    "x-paging-nextkey": re.compile(r"[A-Za-z0-9._-]+"),
    "x-paging-timerange": re.compile(r"\(\)|[\[(]-?[0-9]+:[0-9]+_-?[0-9]+:[0-9]+[\])]"),
}


def watches() -> list[Watch]:
    """Return what every answer of a gateway under test is to pass."""
    return [official().judge] if PRESENT else []


@functools.cache
def official() -> "Official":
    """Return the document, read once for each process."""
    return Official(FOLDER)


@functools.cache
def operations() -> list[dict[str, Any]]:
    """Return the flat list of the document's operations."""
    found: list[dict[str, Any]] = json.loads((FOLDER / "operations.json").read_text())
    return found


def example(name: str) -> Any:
    """Return one of the published examples."""
    return json.loads((FOLDER / "api" / "examples" / f"{name}.json").read_text())


class Official:
    """The document with its schemas compiled.

    A pattern is anchored at the very end of the text, and formats are checked.
    """

    def __init__(self, folder: Path) -> None:
        self._document = json.loads((folder / "tams-8.2.openapi.json").read_text())
        self._paths = [
            (re.compile(re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(path))), path)
            for path in self._document["paths"]
        ]
        self._compiled: dict[tuple[str, str, int], Any] = {}
        self._error = self.schema("error")

    def schema(self, name: str) -> Any:
        """Return the compiled component schema of that name."""
        return self._compile({"$ref": f"#/components/schemas/{name}"})

    @property
    def event_types(self) -> list[str]:
        """The types of event."""
        return list(self._document["webhooks"])

    def event(self, type_: str) -> Any:
        """Return the compiled schema of an event of that type, as it is sent to a webhook."""
        key = (type_, "event", 0)
        if key not in self._compiled:
            body = self._document["webhooks"][type_]["post"]["requestBody"]
            self._compiled[key] = self._compile(body["content"]["application/json"]["schema"])
        return self._compiled[key]

    def judge(self, method: str, target: str, answer: Answer) -> None:
        """Raise AssertionError if the answer is not one that the document allows.

        Status codes that it does not list (405, 503 ...) are ordinary HTTP (G-04); their bodies
        are errors all the same (R-GEN-10).
        """
        raw_path, _, query = target.partition("?")
        if method == "HEAD" or answer.status == 204:
            assert answer.body == b"", f"{method} {target}: a body of {len(answer.body)} bytes"
            return
        if answer.status >= 400:
            self._check(self._error, method, target, answer)
            assert answer.json["message"] == answer.json["summary"], "B25"
            return
        path = self._path(raw_path)
        operation = self._document["paths"].get(path, {}).get(method.lower())
        if operation is None:
            return
        assert str(answer.status) in operation["responses"], f"{method} {path}: {answer.status}"
        self._check_headers(operation["responses"][str(answer.status)], query, answer)
        validator = self._validator(path, method, answer.status)
        unset = answer.body == b"null" and _UNSET_BIT_RATE.fullmatch(raw_path)
        if validator is not None and not unset:
            self._check(validator, method, target, answer)

    def _path(self, raw: str) -> str | None:
        return next((path for pattern, path in self._paths if pattern.fullmatch(raw)), None)

    def _validator(self, path: str | None, method: str, status: int) -> Any:
        key = (path or "", method, status)
        if key not in self._compiled:
            response = self._document["paths"][path][method.lower()]["responses"][str(status)]
            schema = self._resolve(response).get("content", {}).get("application/json", {})
            schema = schema.get("schema")
            self._compiled[key] = None if schema is None else self._compile(schema)
        return self._compiled[key]

    def _resolve(self, part: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in part:
            found: Any = self._document
            for name in part["$ref"].removeprefix("#/").split("/"):
                found = found[unquote(name).replace("~1", "/").replace("~0", "~")]
            part = found
        return part

    def _compile(self, schema: dict[str, Any]) -> Any:
        return jsonschema_rs.Draft202012Validator(
            {"allOf": [schema], "components": self._document["components"]},
            validate_formats=True,
        )

    def _check(self, validator: Any, method: str, target: str, answer: Answer) -> None:
        assert answer.headers["content-type"] == "application/json", answer.headers
        errors = [
            f"{'/'.join(map(str, error.instance_path))}: {error.message}"
            for error in validator.iter_errors(answer.json)
        ]
        assert not errors, f"{method} {target} {answer.status}: {errors[:5]} {answer.body[:2000]!r}"

    def _check_headers(self, response: dict[str, Any], query: str, answer: Answer) -> None:
        """Check the paging headers: which ones there are, and how they look."""
        declared = {name.lower() for name in self._resolve(response).get("headers", {})}
        for name, pattern in _PAGING.items():
            value = answer.headers.get(name)
            if value is None:
                required = name in declared and name != "x-paging-nextkey"
                assert not required, f"{name} is missing"
            else:
                assert name in declared, f"{name} is not declared here"
                assert pattern.fullmatch(value), f"{name}: {value}"
        assert ("link" in answer.headers) == ("x-paging-nextkey" in answer.headers)
        if "x-paging-count" in answer.headers and isinstance(answer.json, list):
            assert int(answer.headers["x-paging-count"]) == len(answer.json)
        limits = [value for name, value in parse_qsl(query) if name == "limit"]
        if limits and "x-paging-limit" in answer.headers:
            assert int(answer.headers["x-paging-limit"]) <= int(limits[0])
