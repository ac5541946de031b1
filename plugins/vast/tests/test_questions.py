"""`tams-gateway vast probe`: the report tells what the test server's switches are."""

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from tams_gateway_vast.questions.report import Report, markdown

from tams_gateway.cli.main import main
from tests.servers.vast import Switches, vast


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder: Path = tmp_path_factory.mktemp("probe")
    switches = Switches(
        signature="off", rows="call", rows_conflict_with_committed=False, isolation="latest"
    )
    with vast(endpoints=2, switches=switches) as server:
        config = folder / "tams.toml"
        config.write_text(
            f"[metadata]\nplugin = 'vast'\nendpoints = {server.endpoints}\n"
            f"access_key = '{server.access}'\nsecret_key = '{server.secret}'\n"
            f"bucket = '{server.bucket}'\n"
            f"[objects.main]\nplugin = 'filesystem'\npath = '{folder}/media'\n"
        )
        asked = ["vast", "probe", "--json", "--rounds", "1", "--bucket", "media"]
        done = CliRunner().invoke(main, [*asked, "--config", str(config)])
        assert done.exit_code == 0, done.output
        # The schema was dropped: nothing but the bucket is there.
        dropped = [
            one for one in server.requests if (one.method, one.command) == ("DELETE", "schema")
        ]
        assert len(dropped) == 3
        assert "127.0.0.1" not in done.stdout
    return msgspec.json.decode(done.stdout, type=Report)


def test_every_question_is_answered(report: Report) -> None:
    assert [one.number for one in report.answers] == list(range(13))


def test_the_answers_are_those_of_the_switches(report: Report) -> None:
    found = {one.number: one.found for one in report.answers}

    guards = {name: text.split(";")[0] for name, text in found[0].items()}
    assert guards == {
        "r": "no: one commits on what has changed since its begin",
        **dict.fromkeys(("r+", "n", "n+", "k"), "yes"),
    }
    assert "second 409" in found[1]["update, update, both open"]
    assert "second done" in found[1]["update, update, the second after the first's commit"]
    assert found[1]["update, update, the second after the first's commit"].endswith("value [2]")
    assert "second 409" in found[2]["a table made, both open"]
    assert found[3]["a row, before and after another's commit"].startswith("rows: [0], [1]")
    assert found[4] == {"not seen": "0 of 1, at another endpoint"}
    assert found[5]["insert, after a rollback"].startswith("400")
    assert found[6]["rollback from elsewhere of an open one"] == "done"
    assert found[6]["what it changed"] == "[0]"
    assert found[7]["begin"].endswith(" ms")
    assert found[8]["a select by $row_id finds the row"] == "True"
    assert found[9]["a value of 131073 bytes"].startswith("400")
    assert found[10]["after another's commit"] == "[2]"


def test_the_report_is_a_table_for_each_question(report: Report) -> None:
    text = markdown(report)

    assert text.count("\n## ") == len(report.answers)
    assert "| a value of 131072 bytes | done |" in text
