"""Callers that write to one flow wait in one queue, and are committed together."""

import threading
from collections.abc import Callable, Sequence
from typing import Final

from tams_gateway.storage.changes import AddSegments, Change, DropSegments

CALLERS: Final = 64
"""The most callers of one commit."""

_SEGMENTS: Final = 20_000
"""No caller joins a commit that would have more segments than this."""


class Job:
    """One caller's changes, and what came of them."""

    __slots__ = ("changes", "done", "error", "segments", "wake")

    def __init__(self, changes: Sequence[Change]) -> None:
        self.changes = changes
        self.segments = sum(
            len(one.segments) for one in changes if isinstance(one, AddSegments | DropSegments)
        )
        self.error: Exception | None = None
        self.done = False
        # Locked until it is done, or its caller is to lead.
        self.wake = threading.Lock()
        self.wake.acquire()


class Queues:
    """A queue for each flow that is written to: whoever finds it empty commits for those behind."""

    def __init__(self, commit: Callable[[Sequence[Job]], None]) -> None:
        self._commit = commit
        self._mutex = threading.Lock()
        self._waiting: dict[str, list[Job]] = {}

    def run(self, flow_id: str, job: Job) -> None:
        """Return when the job is done; its `error` says how. Raises what a commit raises."""
        with self._mutex:
            leads = flow_id not in self._waiting
            self._waiting.setdefault(flow_id, []).append(job)
        if not leads:
            job.wake.acquire()
            if job.done:
                return
        taken = self._take(flow_id)
        try:
            self._commit(taken)
        except BaseException as error:
            for one in taken:
                one.error = one.error or (error if isinstance(error, Exception) else None)
            raise
        finally:
            self._settle(flow_id, taken)

    def _take(self, flow_id: str) -> list[Job]:
        """Return the first of those that wait; the queue stays, so that nobody else leads."""
        with self._mutex:
            waiting = self._waiting[flow_id]
            count, segments = 1, waiting[0].segments
            while count < min(len(waiting), CALLERS):
                segments += waiting[count].segments
                if segments > _SEGMENTS:
                    break
                count += 1
            taken = waiting[:count]
            del waiting[:count]
            return taken

    def _settle(self, flow_id: str, taken: Sequence[Job]) -> None:
        """Tell the callers, and let the next one lead."""
        for one in taken:
            one.done = True
            one.wake.release()
        with self._mutex:
            waiting = self._waiting[flow_id]
            if waiting:
                waiting[0].wake.release()
            else:
                del self._waiting[flow_id]
