"""Operations whose answers are kept (`answers`): those that read by id and by flow, and no more."""

from collections.abc import Callable
from functools import partial, wraps
from typing import TypeAlias

from msgspec.structs import replace

from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.messages import Request, Response
from tams_gateway.storage.metadata import MetadataStore

_Operation: TypeAlias = Callable[[Gateway, Request], Response]


def kept(operation: _Operation) -> _Operation:
    """Return the operation such that it answers what was asked before from what is kept.

    Its answers depend on the path, the query, the base URL and what it reads. What a principal that
    may not read everything is shown depends on more, and is made anew each time.
    """

    @wraps(operation)
    def answered(gateway: Gateway, request: Request) -> Response:
        if gateway.answers is None or not request.access.everything:
            return operation(gateway, request)
        key = operation, request.url_path, request.query, request.base
        make = partial(_made, operation, gateway, request)
        return gateway.answers.answer(key, gateway.now_ns(), make)

    return answered


def _made(
    operation: _Operation, gateway: Gateway, request: Request, reads: MetadataStore | None
) -> Response:
    return operation(gateway if reads is None else replace(gateway, metadata=reads), request)
