"""`docs/vast-tables.md`: it tells of the tables as they are, and its queries answer."""

import re
from pathlib import Path

from tams_gateway_vast.columns import Table
from tams_gateway_vast.kind_tables import OBJECTS, RECORDS
from tams_gateway_vast.layout import LAYOUTS
from tams_gateway_vast.projections import SECOND_ORDERS

DOCUMENT = (Path(__file__).parents[3] / "docs" / "vast-tables.md").read_text()
COMMON = OBJECTS.columns[:5]


def section(title: str) -> str:
    found = re.search(rf"^(##+) {title}\n(.*?)(?=^##|\Z)", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[2]


def columns(text: str) -> list[tuple[str, str]]:
    return re.findall(r"^\| `(\w+)` \| (\w+) \| .*\|$", text, re.MULTILINE)


def own(table: Table) -> list[tuple[str, str]]:
    """Return the columns of a table but those that are common to all records."""
    shared = COMMON if {*COMMON} <= {*table.columns} else ()
    return [(one.name, str(one.type)) for one in table.columns if one not in shared]


def test_every_table_is_documented_with_its_columns_types_and_order() -> None:
    documented = re.findall(r"^### `(\w+)`$", DOCUMENT, re.MULTILINE)
    assert sorted(documented) == sorted(table.name for table in LAYOUTS.tables)
    for table in LAYOUTS.tables:
        text = section(f"`{table.name}`")
        assert columns(text) == own(table), table.name
        told = re.search(r"[Ss]orted by ((?:`\w+`(?:, )?)+)", text)
        order = tuple(re.findall(r"`(\w+)`", told[1])) if told else None
        if {*COMMON} <= {*table.columns} and table is not RECORDS:
            assert order is None, table.name
            assert table.sorted_by == ("id",), table.name
        else:
            assert (order or ()) == table.sorted_by, table.name


def test_the_columns_of_all_records_are_documented() -> None:
    assert columns(section("Records")) == [(one.name, str(one.type)) for one in COMMON]


def test_the_second_orders_are_documented() -> None:
    text = " ".join(section("Projections").split())
    for table, sorted_by in SECOND_ORDERS:
        assert f"`{table.name}` by {', '.join(f'`{one}`' for one in sorted_by)}" in text
