"""The contract of metadata stores as an inheritable test class.

    class TestMyStore(MetadataStoreContract):
        @pytest.fixture
        def store(self, tmp_path):
            store = MyStore(tmp_path)
            yield store
            store.close()

The fixture gives an empty store for each test.
"""

from tams_gateway.testing.metadata_listings import ListingsContract
from tams_gateway.testing.metadata_records import RecordsContract
from tams_gateway.testing.metadata_segments import SegmentsContract


class MetadataStoreContract(RecordsContract, ListingsContract, SegmentsContract):
    """Every promise of `MetadataStore` that holds inside one process."""
