"""The threads in which an event loop lets blocking calls work."""

import asyncio
import contextvars
import threading

import pytest

from tams_gateway.http.threads import Threads


def test_no_more_threads_work_than_are_allowed_and_each_call_gets_its_turn() -> None:
    together = threading.Barrier(3)
    names = set()

    def work(number: int) -> int:
        together.wait(10)
        names.add(threading.current_thread().name)
        return number

    async def run() -> list[int]:
        threads = Threads(3, "some")
        done = await asyncio.gather(*[threads.run(lambda n=n: work(n)) for n in range(12)])
        threads.close()
        return done

    assert list(range(12)) == asyncio.run(run())
    assert {"some-1", "some-2", "some-3"} == names


def test_one_request_at_a_time_needs_one_thread() -> None:
    async def run() -> set[str]:
        threads = Threads(8, "some")
        names = {await threads.run(lambda: threading.current_thread().name) for _ in range(20)}
        threads.close()
        return names

    assert {"some-1"} == asyncio.run(run())


def test_a_call_sees_the_context_and_its_error_comes_back() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")

    def fail() -> None:
        raise ValueError(variable.get())

    async def run() -> None:
        threads = Threads(1, "some")
        variable.set("seen")
        with pytest.raises(ValueError, match="seen"):
            await threads.run(fail)
        threads.close()
        with pytest.raises(RuntimeError):
            threads.run(fail)

    asyncio.run(run())


def test_who_is_cut_off_waits_no_more_and_the_thread_goes_on() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait(10)

    async def run() -> str:
        threads = Threads(1, "some")
        waiting = asyncio.ensure_future(threads.run(work))
        await asyncio.to_thread(begun.wait, 10)
        waiting.cancel()
        go_on.set()
        answer = await threads.run(lambda: "next")
        threads.close()
        return answer

    assert "next" == asyncio.run(run())
