"""Each real server, and what is no HTTP. More: `python -m tests.reliability garbage`."""

import random
from pathlib import Path

import pytest

from tams_gateway.testing.waiting import eventually
from tests.reliability.fuzz import holds
from tests.reliability.garbage import Garbage, pipelined
from tests.servers.process import SERVERS, serving


@pytest.mark.parametrize("server", SERVERS)
def test_what_is_no_request_breaks_nothing_and_carries_none(tmp_path: Path, server: str) -> None:
    """R-GEN-02: what a proxy could take for a body is never taken for a request here."""
    with serving(tmp_path, "--server", server) as serve:
        garbage = Garbage(serve, random.randrange(2**32))
        before = holds(serve)

        garbage.run(150)

        assert [200] * 50 == pipelined(serve, 50)
        trickling = [serve.open_socket(b"PUT /service HTTP/1.1\r\nCont") for _ in range(20)]
        for _ in range(3):
            for one in trickling:
                one.sendall(b"e")
            assert serve.request("GET", "/service").status == 200
        for one in trickling:
            one.close()
        assert eventually(lambda: holds(serve).files <= before.files + 12)
