"""A gateway in memory whose clock the tests set, and a way to act between its reads and writes."""

from collections.abc import Callable
from typing import Any

from tams_gateway_memory.metadata import MemoryMetadata
from tams_gateway_memory.objects import MemoryObjects

from tams_gateway.domain.timerange import SECOND
from tams_gateway.operations.gateway import Backend, Gateway, Limits, Service
from tams_gateway.storage.media_urls import MediaUrls
from tams_gateway.testing.samples import KEYS

MAIN = "00000000-0000-4000-8000-000000000001"
OTHER = "00000000-0000-4000-8000-000000000002"


class Clock:
    """Nanoseconds since 1970, moved by hand, and by one at each look."""

    def __init__(self) -> None:
        self.ns = 1_700_000_000 * SECOND

    def now_ns(self) -> int:
        self.ns += 1
        return self.ns

    def forward(self, seconds: float) -> None:
        self.ns += int(seconds * SECOND)


class Meddled(MemoryMetadata):
    """A metadata store in which something happens once, behind a `find` or before an `apply`."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: dict[str, Callable[[], object]] = {}

    def after_find(self, act: Callable[[], object]) -> None:
        self._waiting["find"] = act

    def before_apply(self, act: Callable[[], object]) -> None:
        self._waiting["apply"] = act

    def find(self, *arguments: Any) -> Any:
        found = super().find(*arguments)
        self._act("find")
        return found

    def apply(self, *arguments: Any) -> None:
        self._act("apply")
        super().apply(*arguments)

    def _act(self, method: str) -> None:
        act = self._waiting.pop(method, None)
        if act is not None:
            act()


def gateway_in_memory(metadata: MemoryMetadata, clock: Clock, limits: Limits = Limits()) -> Gateway:  # noqa: B008 - a frozen struct
    """Return a gateway with two storage backends, at whose events somebody listens."""
    return Gateway(
        metadata=metadata,
        backends={MAIN: _backend(MAIN, "main", True), OTHER: _backend(OTHER, "other", False)},
        limits=limits,
        service=Service(),
        now_ns=clock.now_ns,
        listening=True,
    )


def _backend(id_: str, name: str, default: bool) -> Backend:
    store = MemoryObjects(MediaUrls(name, KEYS, 3600, lambda: 0.0))
    return Backend(id_, name, name, default, {}, store, {"id": id_}, {})
