"""Keys of each type, the tokens that they sign, and a server of key sets, for tests."""

import functools
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from tams_gateway_memory.metadata import MemoryMetadata

from tams_gateway.auth.journal import AuthEntry
from tams_gateway.operations import keys
from tams_gateway.plugin import Context

_MAKE: dict[str, Callable[[], Any]] = {
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ES512": lambda: ec.generate_private_key(ec.SECP521R1()),
    "EdDSA": lambda: ed25519.Ed25519PrivateKey.generate(),
}


class Signer:
    """A private key with an id, and what it signs by default."""

    def __init__(self, algorithm: str, key_id: str, make: Callable[[], Any] | None = None) -> None:
        self.algorithm = algorithm
        self.id = key_id
        self.private = (make or _MAKE[algorithm])()

    def jwk(self, **members: object) -> dict[str, Any]:
        """Return the public half; `members` are added, those of None left out."""
        handler = jwt.get_algorithm_by_name(self.algorithm)
        public: dict[str, Any] = json.loads(handler.to_jwk(self.private.public_key()))
        public.pop("key_ops", None)
        public |= {"kid": self.id, "use": "sig", **members}
        return {name: value for name, value in public.items() if value is not None}

    def token(self, algorithm: str | None = None, kid: bool = True, **claims: object) -> str:
        """Return a token of the claims of `valid`; claims of None are left out."""
        headers = {"kid": self.id} if kid else None
        return jwt.encode(valid(**claims), self.private, algorithm or self.algorithm, headers)


@functools.cache
def signer(algorithm: str, key_id: str = "") -> Signer:
    """Return a key that is the same for all tests of a process: an RSA key takes its time."""
    return Signer(algorithm, key_id or algorithm)


def valid(**claims: object) -> dict[str, Any]:
    """Return claims of a token that holds now."""
    now = int(time.time())
    all_ = {"sub": "alice", "scope": "tams-api/read", "iat": now, "exp": now + 600, **claims}
    return {name: value for name, value in all_.items() if value is not None}


def key_set(*signers: Signer) -> bytes:
    """Return the key set of signers."""
    return json.dumps({"keys": [one.jwk() for one in signers]}).encode()


class KeyServer:
    """A real HTTP server of one document; tests change what it answers."""

    def __init__(self, document: bytes) -> None:
        self.document = document
        self.status = 200
        self.headers: dict[str, str] = {}
        self.paths: list[str] = []
        self.url = ""

    @property
    def fetches(self) -> int:
        """How often it was asked."""
        return len(self.paths)


@contextmanager
def serving(
    document: bytes, wrap: Callable[[Any], Any] = lambda socket: socket
) -> Iterator[KeyServer]:
    """Serve a document on a port of its own."""
    served = KeyServer(document)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            document = served.document
            served.paths.append(self.path)
            self.send_response(served.status)
            for name, value in served.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(document)))
            self.end_headers()
            self.wfile.write(document)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A client that refuses what it gets is no fault of the server."""

    with Quiet(("127.0.0.1", 0), Handler) as server:
        server.socket = wrap(server.socket)
        served.url = f"http://127.0.0.1:{server.server_port}/keys"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()


class World:
    """What a provider is opened with: a store of its own, and what was noted."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.metadata = MemoryMetadata()
        self.noted: list[AuthEntry] = []
        self.context = Context(
            name="jwt",
            log=structlog.get_logger("tests"),
            now=now,
            url_lifetime=3600,
            keys=functools.cache(
                lambda name: keys.ring(self.metadata, time.time_ns, name),
            ),
            metadata=self.metadata,
            note=self.noted.append,
        )

    def actions(self) -> Sequence[str]:
        """What was noted, in order."""
        return [entry.action for entry in self.noted]
