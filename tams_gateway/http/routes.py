"""The one table of routes: method and template, the operation, the scopes that it needs."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import msgspec

from tams_gateway.auth.principal import Scope
from tams_gateway.operations import (
    deletion_requests,
    deletions,
    event_streams,
    flows,
    instances,
    journals,
    media,
    objects,
    profiles,
    properties,
    segment_posts,
    segments,
    service,
    sources,
    storage_allocation,
    storage_backends,
    webhooks,
)
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.kept import kept
from tams_gateway.operations.messages import Request, Response
from tams_gateway.plugin.routes import PluginRoute, SupportsRoutes

Operation: TypeAlias = Callable[[Gateway, Request], Response]


class Route(msgspec.Struct, frozen=True):
    """One operation on a path; HEAD is that of the GET (R-GEN-01).

    `scopes` is who may call it: any one of them suffices (R-AUTH-05). `open` ones need no
    credentials at all, nor do requests that `admits` lets in: those with a signature of ours. One
    that `logs_in` looks at credentials itself.
    `streams` takes the request's body as a stream. A `brief` one reads single records or a page of
    segments, never more: stores whose reads do not wait are called without a thread for it.
    """

    method: str
    template: str
    operation: Operation
    scopes: frozenset[Scope]
    open: bool = False
    logs_in: bool = False
    streams: bool = False
    brief: bool = False
    admits: Callable[[Gateway, Request], bool] | None = None


ANY = frozenset(Scope)
READ = frozenset({Scope.READ})
WRITE = frozenset({Scope.WRITE})
DELETE = frozenset({Scope.DELETE})
ADMIN = frozenset({Scope.ADMIN})

_FLOW = "/flows/{flowId}"
_SOURCE = "/sources/{sourceId}"
_WEBHOOK = "/service/webhooks/{webhookId}"


def _properties(owner: str, *names: str) -> list[Route]:
    """Return the three operations of each property; removing one is a write (R-AUTH-05)."""
    made = []
    for name in names:
        template = f"{owner}/{name}"
        made += [
            Route("GET", template, getattr(properties, f"get_{name}"), READ, brief=True),
            Route("PUT", template, getattr(properties, f"put_{name}"), WRITE),
            Route("DELETE", template, getattr(properties, f"delete_{name}"), WRITE),
        ]
    return made


def _tags(owner: str) -> list[Route]:
    return [
        Route("GET", f"{owner}/tags", properties.get_tags, READ, brief=True),
        Route("GET", f"{owner}/tags/{{name}}", properties.get_tag, READ, brief=True),
        Route("PUT", f"{owner}/tags/{{name}}", properties.put_tag, WRITE),
        Route("DELETE", f"{owner}/tags/{{name}}", properties.delete_tag, WRITE),
    ]


ROUTES: tuple[Route, ...] = (
    Route("GET", "/", service.get_root, ANY, brief=True),
    Route("GET", "/service", service.get_service, ANY, brief=True),
    Route("POST", "/service", service.post_service, ADMIN),
    Route(
        "GET", "/service/storage-backends", storage_backends.get_storage_backends, ANY, brief=True
    ),
    Route("GET", "/service/profiles", profiles.get_profiles, READ),
    Route("GET", "/service/profiles/{profileId}", profiles.get_profile, READ, brief=True),
    Route("POST", "/service/profiles/{profileId}", profiles.post_profile, WRITE | ADMIN),
    Route("GET", "/service/webhooks", webhooks.get_webhooks, READ),
    Route("POST", "/service/webhooks", webhooks.post_webhook, WRITE),
    Route("GET", _WEBHOOK, webhooks.get_webhook, READ),
    Route("PUT", _WEBHOOK, webhooks.put_webhook, READ),
    Route("DELETE", _WEBHOOK, webhooks.delete_webhook, READ),
    Route("GET", "/sources", sources.get_sources, READ),
    Route("GET", _SOURCE, kept(sources.get_source), READ, brief=True),
    *_tags(_SOURCE),
    *_properties(_SOURCE, "label", "description"),
    Route("GET", "/flows", flows.get_flows, READ),
    Route("GET", _FLOW, kept(flows.get_flow), READ, brief=True),
    Route("PUT", _FLOW, flows.put_flow, WRITE),
    Route("DELETE", _FLOW, deletions.delete_flow, DELETE),
    *_tags(_FLOW),
    *_properties(_FLOW, "label", "description", "flow_collection", "max_bit_rate", "avg_bit_rate"),
    Route("GET", f"{_FLOW}/read_only", properties.get_read_only, READ, brief=True),
    Route("PUT", f"{_FLOW}/read_only", properties.put_read_only, WRITE),
    Route("GET", f"{_FLOW}/segments", kept(segments.get_segments), READ, brief=True),
    Route("POST", f"{_FLOW}/segments", segment_posts.post_segments, WRITE),
    Route("DELETE", f"{_FLOW}/segments", deletions.delete_segments, DELETE),
    Route("POST", f"{_FLOW}/storage", storage_allocation.post_storage, WRITE),
    Route("GET", "/objects/{objectId}", objects.get_object, READ),
    Route("POST", "/objects/{objectId}/instances", instances.post_instance, WRITE),
    Route("DELETE", "/objects/{objectId}/instances", instances.delete_instance, WRITE),
    Route("GET", "/flow-delete-requests", deletion_requests.get_deletion_requests, ADMIN),
    Route(
        "GET",
        "/flow-delete-requests/{requestId}",
        deletion_requests.get_deletion_request,
        DELETE | ADMIN,
    ),
    Route("GET", "/audit", journals.get_audit, ADMIN),
    Route("GET", "/auth-log", journals.get_auth_log, ADMIN),
    Route("GET", "/events", event_streams.get_events, READ),
    Route("GET", "/events/stream", event_streams.get_event_stream, READ),
    Route("GET", "/media/{store}/{key:path}", media.get_media, READ, admits=media.signed),
    Route(
        "PUT",
        "/media/{store}/{key:path}",
        media.put_media,
        WRITE,
        streams=True,
        admits=media.signed,
    ),
)


def with_plugins(own: Sequence[Route], opened: Mapping[str, object]) -> list[Route]:
    """Return our own routes, and those of what plugins opened, by the key of its section.

    Raises ValueError, naming the section, for a route on a path of ours or of another section.
    """
    owners = {_shape(route.template): "the gateway" for route in own}
    found = list(own)
    for key, one in opened.items():
        for route in one.routes() if isinstance(one, SupportsRoutes) else ():
            owner = owners.setdefault(_shape(route.template), key)
            if owner != key:
                raise ValueError(f"{key}: the path {route.template} is that of {owner} already")
            found.append(_plugin_route(route))
    return found


def _shape(template: str) -> str:
    """Return the template without the names of its parameters."""
    return re.sub(r"{[^}]*}", "{}", template)


def _plugin_route(route: PluginRoute) -> Route:
    def respond(_gateway: Gateway, request: Request) -> Response:
        return route.respond(request)

    return Route(
        route.method, route.template, respond, route.scopes, open=route.open, logs_in=route.logs_in
    )
