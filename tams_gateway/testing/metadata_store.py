"""The contract of metadata stores as inheritable test classes.

    class TestMyStore(SharedMetadataStoreContract):
        @pytest.fixture
        def opener(self, tmp_path):
            return functools.partial(MyStore, tmp_path / "my.db")

        @pytest.fixture
        def store(self, opener):
            store = opener()
            yield store
            store.close()

The fixture `store` gives an empty store to each test. `opener`, which can be pickled, opens the
same store once more, here or in another process. A store whose provider says `shared=False` needs
`store` alone and inherits `MetadataStoreContract`. TAMS_KIT_SEGMENTS=1000000 in the environment
lets the clause about speed look at a flow of that length instead of 100 000.
"""

from tams_gateway.testing.metadata_concurrency import ThreadsContract
from tams_gateway.testing.metadata_listings import ListingsContract
from tams_gateway.testing.metadata_machine import MachineContract
from tams_gateway.testing.metadata_processes import ProcessesContract
from tams_gateway.testing.metadata_records import RecordsContract
from tams_gateway.testing.metadata_segments import SegmentsContract
from tams_gateway.testing.metadata_speed import SpeedContract


class MetadataStoreContract(
    RecordsContract,
    ListingsContract,
    SegmentsContract,
    MachineContract,
    ThreadsContract,
    SpeedContract,
):
    """Every promise of `MetadataStore` that holds inside one process."""


class SharedMetadataStoreContract(MetadataStoreContract, ProcessesContract):
    """The same, and what holds for a store that outlives a process and is shared by several."""
