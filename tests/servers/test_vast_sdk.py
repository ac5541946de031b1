"""The SDK's own tests pass on the VAST test server: a part of them, the quick ones."""

from tests.servers.vast import sdk


def test_the_tests_of_the_sdk_pass() -> None:
    names = "schemas or nested or table_in_tx or rename or column or update or errors or tx"
    slow = "list_columns or insert_by_columns"
    shares = {
        share.file: share
        for share in sdk.run(
            ["test_schemas", "test_nested", "test_table_in_tx", "test_tables"],
            options=["-k", f"({names}) and not ({slow})"],
            timeout=100,
        )
    }
    assert {file: [] for file in shares} == {file: one.failed for file, one in shares.items()}
    assert shares["test_tables"].passed >= 15
    assert shares["test_table_in_tx"].passed >= 10
