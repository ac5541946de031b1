"""The gateway whose writers of one flow are not joined in VAST, for `benchmarks.vast`.

    python -m benchmarks.unjoined gunicorn

Runs as `serve` runs it, but each writer has a transaction of its own.
"""

import importlib
import sys

from tams_gateway_vast.writing import queues

if __name__ == "__main__":
    queues.CALLERS = 1  # type: ignore[misc]
    importlib.import_module(f"tams_gateway.cli.servers.run_{sys.argv[1]}").main()
