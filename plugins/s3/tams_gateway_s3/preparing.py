"""`tams-gateway s3 init`: a bucket with the rules that media need, made as often as one likes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Final

from botocore.exceptions import ClientError  # type: ignore[import-untyped]
from msgspec.structs import replace

from tams_gateway.plugin import Context
from tams_gateway.storage.errors import StoreError
from tams_gateway_s3.border import border, code_of
from tams_gateway_s3.settings import Settings
from tams_gateway_s3.store import S3Objects

_NAME: Final = "tams-gateway"
"""The id of our rules: others are left as they are."""

_NO_RULES: Final = frozenset(
    {"NoSuchCORSConfiguration", "NoSuchLifecycleConfiguration", "NoSuchConfiguration"}
)

_ABANDONED_AFTER: Final = 7
"""After so many days the parts of an upload that never ended are deleted."""

Rule = dict[str, Any]


def prepare(settings: Settings, context: Context, origins: Sequence[str]) -> Iterator[str]:
    """Make what is missing; yield a line for each thing. Raises `StoreError` without a bucket.

    Web pages of these origins may upload and read. Rules that are not ours stay.
    """
    made = replace(settings, create_bucket=False)
    with closing(S3Objects(made, context.url_lifetime, context.now)) as store:
        yield from _prepared(store, origins)


def _prepared(store: S3Objects, origins: Sequence[str]) -> Iterator[str]:
    yield f"{store.what}: {'made' if store.create_bucket() else 'is there'}"
    yield _rules("CORS", store, _cors_rule(origins), "CORSRules", "cors", "CORSConfiguration")
    yield _rules(
        "abandoned uploads",
        store,
        _lifecycle_rule(store.settings.prefix),
        "Rules",
        "lifecycle_configuration",
        "LifecycleConfiguration",
    )


def _cors_rule(origins: Sequence[str]) -> Rule:
    return {
        "ID": _NAME,
        "AllowedOrigins": list(origins),
        "AllowedMethods": ["GET", "PUT", "HEAD"],
        "AllowedHeaders": ["Content-Type", "Range"],
        "ExposeHeaders": ["ETag", "Content-Range", "Accept-Ranges"],
        "MaxAgeSeconds": 3600,
    }


def _lifecycle_rule(prefix: str) -> Rule:
    return {
        "ID": _NAME,
        "Status": "Enabled",
        "Filter": {"Prefix": prefix},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": _ABANDONED_AFTER},
    }


def _rules(what: str, store: S3Objects, ours: Rule, key: str, name: str, argument: str) -> str:
    """Add our rule to those of the bucket; return what was done. `name` is that of botocore."""
    client, bucket = store.connection.client, {"Bucket": store.settings.bucket}
    try:
        with border(store.what):
            there = _present(getattr(client, f"get_bucket_{name}"), bucket, key)
            if any(_equal(ours, one) for one in there):
                return f"{what}: the rule is there"
            others = [one for one in there if one.get("ID") != _NAME]
            put = getattr(client, f"put_bucket_{name}")
            put(**bucket, **{argument: {key: [*others, ours]}})
    except StoreError as error:
        return f"{what}: no rule made: {error}"
    return f"{what}: rule made"


def _present(
    get: Callable[..., Mapping[str, Any]], bucket: Mapping[str, str], key: str
) -> Sequence[Rule]:
    try:
        found: Sequence[Rule] = get(**bucket).get(key, [])
        return found
    except ClientError as error:
        if code_of(error) in _NO_RULES:
            return []
        raise


def _equal(ours: Rule, other: Rule) -> bool:
    """Whether a rule says what ours does, in whatever order, under whatever id."""
    return all(
        _sorted(value) == _sorted(other.get(name)) for name, value in ours.items() if name != "ID"
    )


def _sorted(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) else value
