"""How far the walk in a listing's order goes."""

import pytest
from tams_gateway_memory.records import Records

from tams_gateway.domain.timerange import ETERNITY, Span
from tams_gateway.storage.query import AtLeast, Below, Condition, Query, Sort, Touches
from tams_gateway.storage.records import FieldType, Kind, Record

KIND = Kind("numbered", {"number": FieldType.INT})


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("condition", [Below("number", 5), AtLeast("number", 95)])
def test_a_bound_on_the_field_of_the_order_ends_the_walk(
    condition: Condition, reverse: bool
) -> None:
    records = Records()
    for number in range(100):
        records.put(Record(f"{number:03}", 1, b"{}", {"number": number}))
    records.put(Record("without", 1, b"{}", {}))
    looked_at = []

    def touches(record: Record, _span: Span) -> bool:
        looked_at.append(record.id)
        return True

    query = Query(KIND, (Touches(ETERNITY), condition), Sort("number"), reverse)
    found = [record.id for record in records.find(query, touches).items]
    assert 5 == len(found)
    assert found == looked_at
