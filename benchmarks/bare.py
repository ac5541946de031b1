"""The least that a Falcon app can do: the same bytes as the gateway, from memory.

`TAMS_BARE` names a folder with `flow.json` and `segments.json`.
"""

import os
from pathlib import Path

import falcon
import falcon.asgi
import msgspec

_FOLDER = Path(os.environ["TAMS_BARE"])
_FLOW = (_FOLDER / "flow.json").read_bytes()
_SEGMENTS = (_FOLDER / "segments.json").read_bytes()
_decode = msgspec.json.Decoder().decode


class Flow:
    """Answers GET with a flow."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, flow: str) -> None:
        """Answer."""
        resp.data = _FLOW


class Segments:
    """Answers GET with a page of segments; decodes what is posted."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, flow: str) -> None:
        """Answer."""
        resp.data = _SEGMENTS

    def on_post(self, req: falcon.Request, resp: falcon.Response, flow: str) -> None:
        """Decode and answer."""
        _decode(req.bounded_stream.read())
        resp.status = 201


class AsyncFlow:
    """The same for ASGI."""

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, flow: str) -> None:
        """Answer."""
        resp.data = _FLOW


class AsyncSegments:
    """The same for ASGI."""

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, flow: str) -> None:
        """Answer."""
        resp.data = _SEGMENTS

    async def on_post(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, flow: str
    ) -> None:
        """Decode and answer."""
        _decode(await req.stream.read())
        resp.status = 201


wsgi = falcon.App()
wsgi.add_route("/flows/{flow}", Flow())
wsgi.add_route("/flows/{flow}/segments", Segments())
asgi = falcon.asgi.App()
asgi.add_route("/flows/{flow}", AsyncFlow())
asgi.add_route("/flows/{flow}/segments", AsyncSegments())
