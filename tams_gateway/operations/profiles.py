"""Profiles: created once, immutable, never deleted (R-PRF)."""

import msgspec

from tams_gateway.domain import technical
from tams_gateway.domain.body import MIME_PATTERN
from tams_gateway.domain.datetimes import date_time
from tams_gateway.domain.errors import Invalid, NotFound
from tams_gateway.domain.identifiers import path_uuid
from tams_gateway.domain.profile import Profile, parse_post
from tams_gateway.operations.filters import equal
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.kinds import PROFILE
from tams_gateway.operations.listing import list_records
from tams_gateway.operations.messages import Request, Response
from tams_gateway.operations.params import Params
from tams_gateway.storage.changes import ABSENT, Put
from tams_gateway.storage.query import Sort

_decoder = msgspec.json.Decoder(Profile)


def get_profiles(gateway: Gateway, request: Request) -> Response:
    """Return a page of profiles, newest first (R-PRF-06)."""
    params = Params(request.query)
    where = [
        *equal("format", params.choice("format", technical.FORMATS)),
        *equal("codec", params.matching("codec", MIME_PATTERN, "a media type")),
        *equal("label", params.text("label")),
    ]
    return list_records(
        gateway,
        request,
        params,
        PROFILE,
        where,
        Sort("created", descending=True),
        show=lambda record: record.body,
        ordered=False,
    )


def get_profile(gateway: Gateway, request: Request) -> Response:
    """Return one profile."""
    profile_id = path_uuid(request.path["profileId"], "profile")
    record = gateway.metadata.get(PROFILE, [profile_id]).get(profile_id)
    if record is None:
        raise NotFound(f"no profile {profile_id}")
    return Response(body=record.body)


def post_profile(gateway: Gateway, request: Request) -> Response:
    """Create a profile under the client's id; a second time is refused (R-PRF-01, -02)."""
    profile_id = path_uuid(request.path["profileId"], "profile")
    now_ns = gateway.now_ns()
    profile = parse_post(request.body, profile_id, date_time(now_ns), request.principal.author)
    if gateway.metadata.get(PROFILE, [profile_id]):
        raise Invalid(f"profile {profile_id} already exists, and profiles are immutable")
    body = msgspec.json.encode(profile)
    fields = {**profile.fields(), "created": now_ns}
    gateway.metadata.apply([Put(PROFILE, profile_id, body, fields, ABSENT)])
    location = f"{request.base}/service/profiles/{profile_id}"
    return Response(status=201, body=body, headers={"Location": location})


def find_profile(gateway: Gateway, profile_id: str) -> Profile:
    """Return the profile that a flow names; raises `Invalid` if there is none (R-PRF-08)."""
    record = gateway.metadata.get(PROFILE, [profile_id]).get(profile_id)
    if record is None:
        raise Invalid.at("/profile_id", f"profile {profile_id!r} does not exist")
    return _decoder.decode(record.body)
