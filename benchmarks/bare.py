"""The least that a Falcon app can do for the requests of the load driver, as `serve` would run it.

    TAMS_BARE=FOLDER python -m benchmarks.bare gunicorn

GET answers a constant, POST and PUT decode the body first, an upload is read to its end. What is
answered depends on the name by which the driver introduces itself (`User-Agent`): `FOLDER` has
`NAME` with the body for each of them, and `statuses.json`.

The server is started by the gateway's own module, with the same settings; only the app in it is
another one. So there is no second list of settings that could differ.
"""

import importlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import falcon
import falcon.asgi
import msgspec

from tams_gateway import log
from tams_gateway.cli.servers import process

FOLDER = "TAMS_BARE"
"""The variable that names the folder of answers."""

_PIECE = 2**18
_decode = msgspec.json.Decoder().decode


class Answer(NamedTuple):
    """What is answered to one kind of request."""

    status: int
    body: bytes


def save(folder: Path, answers: Mapping[str, Answer]) -> None:
    """Write the answers to a folder, for a server to find them there."""
    folder.mkdir(exist_ok=True)
    for name, answer in answers.items():
        (folder / name.replace("/", "@")).write_bytes(answer.body)
    statuses = {name: answer.status for name, answer in answers.items()}
    (folder / "statuses.json").write_text(json.dumps(statuses))


def load(folder: Path) -> dict[str, Answer]:
    """Return the answers of a folder."""
    statuses = json.loads((folder / "statuses.json").read_text())
    return {
        name: Answer(status, (folder / name.replace("/", "@")).read_bytes())
        for name, status in statuses.items()
    }


class Constant:
    """The resource at every path, for WSGI."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self._answers = answers

    def on_get(self, req: falcon.Request, resp: falcon.Response, **_parameters: str) -> None:
        """Answer."""
        resp.status, resp.data = self._answers[req.user_agent or ""]

    def on_post(self, req: falcon.Request, resp: falcon.Response, **_parameters: str) -> None:
        """Decode the body and answer."""
        _decode(req.bounded_stream.read())
        resp.status, resp.data = self._answers[req.user_agent or ""]

    on_put = on_post


class Media(Constant):
    """The same where bytes go up and down."""

    def on_put(self, req: falcon.Request, resp: falcon.Response, **_parameters: str) -> None:
        """Read the body and answer."""
        while req.bounded_stream.read(_PIECE):
            pass
        resp.status, resp.data = self._answers[req.user_agent or ""]


class AsyncConstant:
    """The resource at every path, for ASGI."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self._answers = answers

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, **_parameters: str
    ) -> None:
        """Answer."""
        resp.status, resp.data = self._answers[req.user_agent or ""]

    async def on_post(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, **_parameters: str
    ) -> None:
        """Decode the body and answer."""
        _decode(await req.stream.read())
        resp.status, resp.data = self._answers[req.user_agent or ""]

    on_put = on_post


class AsyncMedia(AsyncConstant):
    """The same where bytes go up and down."""

    async def on_put(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, **_parameters: str
    ) -> None:
        """Read the body and answer."""
        async for _ in req.stream:
            pass
        resp.status, resp.data = self._answers[req.user_agent or ""]


_TEMPLATES = ("/flows", "/flows/{flow}", "/flows/{flow}/segments", "/flows/{flow}/storage")
_MEDIA = "/media/{store}/{key:path}"


def wsgi() -> "falcon.App[Any, Any]":
    """Return the app for gunicorn and granian."""
    log.configure()
    answers = load(Path(os.environ[FOLDER]))
    app = falcon.App()
    for template in _TEMPLATES:
        app.add_route(template, Constant(answers))
    app.add_route(_MEDIA, Media(answers))
    return app


def asgi() -> "falcon.asgi.App[Any, Any]":
    """Return the app for uvicorn."""
    log.configure()
    answers = load(Path(os.environ[FOLDER]))
    app = falcon.asgi.App()
    for template in _TEMPLATES:
        app.add_route(template, AsyncConstant(answers))
    app.add_route(_MEDIA, AsyncMedia(answers))
    return app


if __name__ in ("__main__", "__mp_main__"):  # the latter in further workers of uvicorn
    process.wsgi_worker = wsgi  # type: ignore[assignment]
    process.asgi_worker = asgi  # type: ignore[assignment]
if __name__ == "__main__":
    importlib.import_module(f"tams_gateway.cli.servers.run_{sys.argv[1]}").main()
