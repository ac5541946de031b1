"""Sources: derived from flows; read here, their label, description and tags written (R-SRC)."""

from tams_gateway.auth.access import Permission
from tams_gateway.domain import technical
from tams_gateway.domain.identifiers import path_uuid
from tams_gateway.operations.filters import collected_by, equal, tags
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.kinds import SOURCE
from tams_gateway.operations.listing import chosen_sort, list_records
from tams_gateway.operations.messages import Request, Response
from tams_gateway.operations.params import Params
from tams_gateway.operations.visibility import permitted, shown
from tams_gateway.storage.query import Sort

_SORTS = (
    ("created", Sort("created", descending=True)),
    ("updated", Sort("updated", descending=True)),
    ("label", Sort("label")),
)


def get_sources(gateway: Gateway, request: Request) -> Response:
    """Return a page of sources."""
    params = Params(request.query)
    where = [
        *equal("label", params.text("label")),
        *equal("format", params.choice("format", technical.FORMATS)),
        *collected_by(gateway, request.access, SOURCE, params),
        *tags(params),
    ]
    sort = chosen_sort(params, _SORTS)
    return list_records(
        gateway, request, params, SOURCE, where, sort, show=lambda record: record.body
    )


def get_source(gateway: Gateway, request: Request) -> Response:
    """Return one source."""
    source_id = path_uuid(request.path["sourceId"], "source")
    record = gateway.metadata.get(SOURCE, [source_id]).get(source_id)
    record = permitted(request.access, Permission.READ, record, f"source {source_id}")
    [record] = shown(gateway, request.access, SOURCE, [record])
    return Response(body=record.body)
