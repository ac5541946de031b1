"""`python -m tests.servers.vast.sdk`: the tests that the SDK ships, against the test server."""

import argparse
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import msgspec
import vastdb

from tests.servers.vast import vast
from tests.servers.vast.switches import Switches

_CHECK: Final = "pytest_check.plugin"
"""One test needs it, and fails where it is missing: pip install pytest-check."""

FILES: Final = (
    *("test_by_column_inserter", "test_configs", "test_duckdb", "test_ibis_utils", "test_nested"),
    *("test_projections", "test_sanity", "test_schemas", "test_table_in_tx", "test_tables"),
    "test_util",
)
"""The files for what a metadata store uses."""

OTHER_FILES: Final = {
    "test_adbc_integration": "needs VAST's native driver for ADBC",
    "test_blob_expansion": "no blob expansion",
    "test_fixed_list": "no vectors: what a real cluster refuses of them is not refused",
    "test_imports": "no imports: they read Parquet files from S3",
    "test_vector_index": "no vector index",
    "test_vector_search": "needs VAST's native driver for ADBC",
}
"""The files that are left out, and why."""

OTHER_TESTS: Final = {
    "test_duckdb.py::test_duckdb": "calls a method that DuckDB 2 does not have",
    "test_tables.py::test_audit_log_select": "no audit log",
    "test_tables.py::test_catalog_select": "no VAST Catalog",
    "test_tables.py::test_catalog_snapshots_select": "no VAST Catalog",
    "test_tables.py::test_elysium_splits": "waits for 5 minutes",
}
"""The tests of `FILES` that are not run, and why; they count as not passed."""


class Share(msgspec.Struct, frozen=True):
    """How many tests of a file passed, and how many there are."""

    file: str
    passed: int
    all: int
    failed: Sequence[str] = ()


def run(
    files: Sequence[str] = FILES,
    version: str = "5.4.0.0",
    options: Sequence[str] = (),
    timeout: float = 1800,
) -> Iterator[Share]:
    """Run the tests of files, with options for pytest, and yield their shares.

    They run in a process of their own, within `timeout` seconds.
    """
    folder = Path(vastdb.__file__).parent
    plugins = ["-p", _CHECK] if find_spec(_CHECK.partition(".")[0]) else []
    left_out = [one for one in OTHER_TESTS if one.partition(".")[0] in files]
    with vast(2, Switches(version=version)) as server, tempfile.TemporaryDirectory() as temporary:
        report = Path(temporary, "report.xml")
        command = [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugins),
            *("-c", os.devnull, "--rootdir", str(folder), f"--junitxml={report}"),
            *(str(folder / "tests" / f"{file}.py") for file in files),
            *(f"--deselect=tests/{one}" for one in left_out),
            *(
                "--tabular-endpoint-url",
                server.endpoints[0],
                "--tabular-bucket-name",
                server.bucket,
            ),
            *("--tabular-access-key", server.access, "--tabular-secret-key", server.secret),
            *options,
        ]
        # Plugins of pytest take longer to load than most of the tests take.
        environment = {
            **os.environ,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_ADDOPTS": "",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )
        if not report.exists():
            raise RuntimeError(done.stdout + done.stderr)
        cases = [
            (case.get("classname", "").rpartition(".")[2], case.get("name", ""), len(case))
            for case in ET.parse(report).iter("testcase")
        ]
    for file in files:
        mine = [(name, bad) for where, name, bad in cases if where == file]
        failed = [name for name, bad in mine if bad]
        others = sum(one.startswith(f"{file}.") for one in left_out)
        yield Share(file, len(mine) - len(failed), len(mine) + others, failed)


def main() -> None:
    """Print what passes, as a table."""
    parser = argparse.ArgumentParser("python -m tests.servers.vast.sdk", description=__doc__)
    parser.add_argument("--version", default="5.4.0.0", help="of VAST, as the server says it")
    options = parser.parse_args()
    shares = list(run(version=options.version))
    lines = ["| file | passed |", "|---|---|"]
    lines += [f"| `{one.file}` | {one.passed} of {one.all} |" for one in shares]
    passed, number = sum(one.passed for one in shares), sum(one.all for one in shares)
    lines.append(f"| together | {passed} of {number} |")
    lines += ["", *(f"failed: {one.file}: {name}" for one in shares for name in one.failed)]
    lines += [f"left out: {name}: {why}" for name, why in (OTHER_TESTS | OTHER_FILES).items()]
    print("\n".join(lines))  # noqa: T201


if __name__ == "__main__":
    main()
